"""Values to places along an axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pixaris.words import number

_LOGARITHMIC = ("loguniform", "qloguniform", "lograndint", "qlograndint")
_LINEAR = ("uniform", "quniform", "randint", "qrandint")
_EXCLUSIVE = ("randint", "lograndint")
_EDGE = 0.02
"""Part of a domain next to its end: a winner there may want to go further."""


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes:
        low: Value at its start.
        high: Value at its end.
        start: Coordinate of its start.
        end: Coordinate of its end.
        logarithmic: Whether equal ratios are equal distances.
        options: Of a category: its values; low and high are then 0 and one less than their number.
        bounded: Whether low and high are the ends of a search's domain.
    """

    low: float
    high: float
    start: float = 0.0
    end: float = 1.0
    logarithmic: bool = False
    options: tuple[str, ...] = ()
    bounded: bool = False

    def between(self, start: float, end: float) -> Scale:
        """The same along other coordinates."""
        return replace(self, start=start, end=end)

    def share(self, value: object) -> float | None:
        """Where a value lies from 0 to 1; None for what is not on this axis."""
        if self.options:
            word = number(value)
            if word not in self.options:
                return None
            # In the middle of its share of the axis, so that the first and last do not lie on the frame.
            return (self.options.index(word) + 0.5) / len(self.options)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return None
        # A single value stands in the middle.
        if self.high == self.low:
            return 0.5
        if not self.logarithmic:
            return (value - self.low) / (self.high - self.low)
        if value > 0:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return None

    def at(self, value: object) -> float | None:
        """A value's coordinate; None for what is not on this axis."""
        share = self.share(value)
        if share is None:
            return None
        return self.start + share * (self.end - self.start)

    def edge(self, value: object) -> str:
        """ "lower" or "upper" where a value lies at an end of the domain, else ""."""
        if not self.bounded or self.options:
            share = None
        else:
            share = self.share(value)
        if share is None or self.high == self.low:
            return ""
        if share <= _EDGE:
            return "lower"
        if share >= 1 - _EDGE:
            return "upper"
        return ""

    def ticks(self, most: int = 5) -> list[tuple[float, str]]:
        """Coordinates and labels of round values."""
        if self.options:
            marks: Sequence[object] = self.options
        elif self.logarithmic:
            marks = _powers(self.low, self.high)
        else:
            marks = _round_values(self.low, self.high, most)
        placed = ((self.at(mark), mark) for mark in marks)
        return [(at, _label(mark)) for at, mark in placed if at is not None]


def _label(mark: object) -> str:
    if isinstance(mark, float):
        return f"{mark:g}"
    return str(mark)


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten, or the ends where there are fewer than two of them."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = [10.0**power for power in range(first, last + 1)]
    if len(powers) > 1:
        return powers
    # Within one decade no power of ten need lie.
    return [float(f"{low:.2g}"), float(f"{high:.2g}")]


def _round_values(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 and a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    # A hair less than asked for: a quotient may be 1.9999999 by rounding.
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [float(f"{(first + index) * step:.10g}") for index in range(max(count, 1))]


def of_values(values: Sequence[object], margin: float = 0.05) -> Scale:
    """The axis that holds some values: numbers, or words for anything else."""
    numbers = [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    ]
    if len(numbers) < len(values) or not numbers:
        options = tuple(dict.fromkeys(number(value) for value in values))
        return Scale(0, max(len(options) - 1, 0), options=options)
    low, high = min(numbers), max(numbers)
    # Equal values get a width of their own size, and zeros one of 1.
    gap = (high - low or abs(high) or 1.0) * margin
    return Scale(low - gap, high + gap)


def of_domain(row: Mapping[str, object], values: Sequence[object]) -> Scale:
    """The axis of a parameter: its domain, as the manifest has it, or else what holds its values."""
    kind = next((kind for kind in (*_LINEAR, *_LOGARITHMIC) if kind in row), "")
    ends = row.get(kind)
    if not kind or not isinstance(ends, list) or not all(isinstance(end, int | float) for end in ends[:2]):
        return of_values(values)
    low, high = float(ends[0]), float(ends[1])
    if len(ends) > 2 and isinstance(ends[2], int | float):
        step = float(ends[2])
    else:
        step = 0.0
    # Tune's upper end is left out of whole numbers.
    if kind in _EXCLUSIVE or step == 1:
        high -= 1
    logarithmic = kind in _LOGARITHMIC and low > 0
    scale = Scale(low, high, logarithmic=logarithmic, bounded=True)
    shares = [scale.share(value) for value in values]
    inside = [share for share in shares if share is not None and -1e-9 <= share <= 1 + 1e-9]
    if len(inside) == len(values):
        return scale
    # A workflow's own value may lie far outside; drawn on the frame, it would look like one inside.
    return _widened(scale, values)


def _widened(scale: Scale, values: Sequence[object]) -> Scale:
    """An axis that also holds values outside the domain, as a workflow's own may be."""
    others = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(others) < len(values):
        return of_values(values)
    low, high = min(scale.low, *others), max(scale.high, *others)
    return Scale(low, high, logarithmic=scale.logarithmic and low > 0)
