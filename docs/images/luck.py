"""Draws docs/images/luck.svg: one search of 25 sets, what it measured, and what was true.

python docs/images/luck.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from pixaris.statistics.intervals import MeanInterval
from pixaris.statistics.paired import PairedDifference
from pixaris.statistics.shrinkage import shrunk_gain

Numbers = npt.NDArray[np.float64]

SETS, ITEMS, SPREAD, NOISE = 25, 12, 0.02, 0.06
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 380, 64, 48, 46
RIGHT = 560
"""Where the sets end and the three answers begin."""

FILE = Path(__file__).with_suffix(".svg")
INK, MUTED, GRID, BLUE, ORANGE = "#222", "#777", "#ddd", "#1f77b4", "#d95f02"


def simulated() -> tuple[Numbers, Numbers]:
    """The sets' true gains [sets], and all scores, the baseline's first [sets + 1, items]."""
    rng = np.random.default_rng(26)
    true = rng.normal(0.02, SPREAD, SETS)
    scores = rng.normal(0.0, NOISE, (SETS + 1, ITEMS)) + rng.normal(0.5, 0.1, ITEMS)
    scores[1:] += true[:, None]
    return true, scores


def winners_gain() -> tuple[float, float]:
    """What the winner measured, and what is true."""
    true, scores = simulated()
    measured = (scores[1:] - scores[0]).mean(axis=1)
    return float(measured.max()), float(true[measured.argmax()])


def main() -> str:
    """The picture."""
    true, scores = simulated()
    measured = (scores[1:] - scores[0]).mean(axis=1)
    order = np.argsort(measured)
    winner = int(order[-1])
    expected = shrunk_gain(scores, winner + 1, 0)
    assert expected is not None
    found = PairedDifference.of((scores[winner + 1] - scores[0]).tolist())
    drawing = _Drawing(float(min(measured.min(), true.min())) - 0.02, float(found.high or 0.0) + 0.02)
    drawing.axis("gain over the baseline")
    for place, index in enumerate(order):
        x = LEFT + 14 + place * (RIGHT - LEFT - 50) / (SETS - 1)
        colour = ORANGE if index == winner else BLUE
        drawing.line(x, float(measured[index]), x, float(true[index]), GRID)
        drawing.dot(x, float(true[index]), "white", colour)
        drawing.dot(x, float(measured[index]), colour, colour)
    drawing.text(LEFT + 14, HEIGHT - 14, "25 parameter sets, by what they measured", MUTED)
    drawing.answer(RIGHT + 36, "measured", found, ORANGE)
    drawing.answer(RIGHT + 104, "expected", expected, BLUE)
    drawing.answer(RIGHT + 168, "true", MeanInterval(float(true[winner]), None, None, 0), INK)
    drawing.text(LEFT + 14, 24, "● measured on 12 items   ○ true", INK)
    drawing.text(RIGHT + 12, 24, "the winner's gain", INK)
    return drawing.svg()


class _Drawing:
    """Marks on a vertical scale.

    Args:
        low: Its lower end.
        high: Its upper end.
    """

    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high
        self._marks: list[str] = []

    def _y(self, value: float) -> float:
        return TOP + (self._high - value) / (self._high - self._low) * (HEIGHT - TOP - BOTTOM)

    def axis(self, words: str) -> None:
        """Lines at round values, the baseline's stronger."""
        for step in np.arange(-0.1, 0.2, 0.05):
            if self._low < step < self._high:
                zero = abs(step) < 1e-9
                self.line(LEFT, float(step), WIDTH - 16, float(step), MUTED if zero else GRID)
                self.text(8, self._y(float(step)) + 4, "0" if zero else f"{step:+.2f}", MUTED)
        self.text(8, TOP - 8, words, MUTED)

    def line(
        self, x1: float, value1: float, x2: float, value2: float, colour: str, width: float = 1.0
    ) -> None:
        """A line between two values."""
        ends = f'x1="{x1:.1f}" y1="{self._y(value1):.1f}" x2="{x2:.1f}" y2="{self._y(value2):.1f}"'
        self._marks.append(f'<line {ends} stroke="{colour}" stroke-width="{width}"/>')

    def dot(self, x: float, value: float, fill: str, stroke: str) -> None:
        """A point."""
        at = f'cx="{x:.1f}" cy="{self._y(value):.1f}" r="4"'
        self._marks.append(f'<circle {at} fill="{fill}" stroke="{stroke}" stroke-width="1.5"/>')

    def answer(self, x: float, words: str, found: MeanInterval, colour: str) -> None:
        """A mean with its interval, and its name below."""
        if found.low is not None and found.high is not None:
            self.line(x, found.low, x, found.high, colour, 3.0)
        self.dot(x, found.mean, colour, colour)
        self.text(x - 4 * len(words) + 4, HEIGHT - 14, words, colour)

    def text(self, x: float, y: float, words: str, colour: str) -> None:
        """Words that begin at x."""
        self._marks.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{words}</text>')

    def svg(self) -> str:
        """The file's content."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        style = 'font-family="sans-serif" font-size="13"'
        ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        return "\n".join([f"{head} {style}>", ground, *self._marks, "</svg>"]) + "\n"


if __name__ == "__main__":
    FILE.write_text(main(), encoding="utf-8")
