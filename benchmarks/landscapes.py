"""Tables of scores, every set of a small space over every item, that searches are simulated on.

The masks are real: the demo's cutouts, taken with the steps of its workflow (blur, channel, threshold, grow)
and scored by intersection over union. The others are formulas.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from pixaris.data_loaders.demo import prepare

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Landscape:
    """A space whose every score is known.

    Attributes:
        name: What it is called.
        levels: How many values each parameter has.
        categories: Which of the parameters have no order.
        scores: [sets, items], larger is better; sets in the order of ``itertools.product`` over the levels.
        baseline: The set that a search starts with.
    """

    name: str
    levels: tuple[int, ...]
    categories: frozenset[int]
    scores: Array
    baseline: int

    @property
    def means(self) -> Array:
        """Every set's score over all items [sets]."""
        means: Array = self.scores.mean(axis=1)
        return means

    def place(self, index: Sequence[int]) -> int:
        """A set's row, by the index of each parameter's value."""
        return int(np.ravel_multi_index(tuple(index), self.levels))

    def index(self, place: int) -> tuple[int, ...]:
        """What `place` was made of."""
        return tuple(int(one) for one in np.unravel_index(place, self.levels))

    def from_baseline(self, place: int) -> Landscape:
        """The same from another baseline."""
        return Landscape(f"{self.name}, other baseline", self.levels, self.categories, self.scores, place)


@functools.cache
def _pictures() -> tuple[tuple[Array, npt.NDArray[np.bool_]], ...]:
    """The demo's cutouts: three channels of each input, and its true mask."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        found = []
        for path in sorted((Path(folder) / "cutout" / "Input").iterdir()):
            channels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64) / 255.0
            inside = np.asarray(Image.open(path.parents[1] / "Mask" / path.name).convert("L")) > 127
            found.append((np.moveaxis(channels, 2, 0), inside))
    return tuple(found)


def _grown(levels: Array, grow: int) -> Array:
    """What is above a threshold once grown, is what grows of what is above it."""
    if grow == 0:
        return levels
    cross = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), abs(grow))
    grown: Array = (ndimage.grey_dilation if grow > 0 else ndimage.grey_erosion)(levels, footprint=cross)
    return grown


def _ious(levels: Array, inside: npt.NDArray[np.bool_], thresholds: Array) -> Array:
    """Intersection over union of all that is above each threshold."""
    found = np.sort(levels.ravel())
    hit = np.sort(levels[inside])
    above = found.size - np.searchsorted(found, thresholds, side="right")
    both = hit.size - np.searchsorted(hit, thresholds, side="right")
    ious: Array = both / (above + inside.sum() - both)
    return ious


def _masks(
    name: str, items: int, smoothings: Sequence[Sequence[float]], thresholds: Array, grows: Sequence[int]
) -> Landscape:
    """Sets of smoothing parameters × channel × threshold × grow."""
    choices = list(itertools.product(*smoothings)) if smoothings else [()]
    levels = (*(len(one) for one in smoothings), 3, len(thresholds), len(grows))
    scores = np.empty((*levels, items))
    for item in range(items):
        picture, inside = _pictures()[item]
        for place, smoothing in enumerate(choices):
            at = np.unravel_index(place, levels[: len(smoothings)]) if smoothings else ()
            for channel in range(3):
                plain = picture[channel]
                if smoothing:
                    radius, sigma = smoothing
                    plain = ndimage.gaussian_filter(plain, sigma, radius=int(radius))
                for number, grow in enumerate(grows):
                    row = _ious(_grown(plain, grow), inside, thresholds)
                    scores[(*at, channel, slice(None), number, item)] = row
    flat = scores.reshape(-1, items)
    channel_at = sum(len(one) > 1 for one in smoothings)
    levels = tuple(count for count in levels if count > 1)
    best = np.unravel_index(int(flat.mean(axis=1).argmax()), levels)
    index = [int(one) for one in best]
    index[channel_at + 1] = max(0, index[channel_at + 1] - max(2, len(thresholds) // 5))
    index[-1] = (index[-1] + 2) % len(grows)
    baseline = int(np.ravel_multi_index(tuple(index), levels))
    return Landscape(name, levels, frozenset({channel_at}), flat, baseline)


@functools.cache
def mask() -> Landscape:
    """7 980 sets × 6 items: blur radius, sigma, channel, threshold, grow; the baseline is two parameters from
    the best.
    """
    blur = ((1, 2, 3, 5), (0.3, 0.8, 1.3, 1.8, 2.3))
    return _masks("mask", 6, blur, np.linspace(0.05, 0.95, 19), range(-3, 4))


@functools.cache
def cutout() -> Landscape:
    """1 365 sets × 12 items: channel, threshold, grow."""
    return _masks("cutout", 12, ((2,), (1.0,)), np.linspace(0.05, 0.95, 91), range(5))


@functools.cache
def bowl() -> Landscape:
    """Not used to choose any setting: 3 smooth parameters, one of them without influence, an optimum of its
    own for each of 8 items; 9 261 sets.
    """
    draws = np.random.default_rng(77)
    axis = np.linspace(0, 1, 21)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    optima = np.array([0.35, 0.7]) + draws.normal(0, 0.12, (8, 2))
    apart = ((grid[:, None, :2] - optima[None]) ** 2 * np.array([1.0, 0.6])).sum(axis=-1)
    scores = np.exp(-6.0 * apart) + draws.normal(0, 0.05, 8)
    return Landscape("bowl", (21, 21, 21), frozenset(), scores, 0)


@functools.cache
def ridge() -> Landscape:
    """Not used to choose any setting: a curved ridge over two parameters, four modes of which one is best, 10
    items; 3 844 sets.
    """
    draws = np.random.default_rng(5)
    axis = np.linspace(0, 1, 31)
    x, y = (one.ravel() for one in np.meshgrid(axis, axis, indexing="ij"))
    shift = draws.normal(0, 0.04, 10)
    rows = []
    for mode, height in enumerate((0.0, -0.15, 0.1, -0.3)):
        bend = y[:, None] - (0.2 + 0.6 * x[:, None] ** 2) - 0.1 * mode - shift
        along = x[:, None] - 0.65 - shift
        rows.append(height + np.exp(-20.0 * bend**2 - 4.0 * along**2))
    noise = draws.normal(0, 0.01, (len(rows) * len(x), 10))
    return Landscape("ridge", (4, 31, 31), frozenset({0}), np.concatenate(rows) + noise, 3)


def additive(seed: int, sets: int, items: int, *, spread: float, kind: str = "normal") -> Array:
    """Scores of sets that differ by a number each, [sets, items]: ``set + item + noise``.

    Args:
        seed: Makes it repeatable.
        sets: How many sets.
        items: How many items.
        spread: Standard deviation of the sets; that of items and noise is 0.3.
        kind: "normal"; "heavy": Student's t with 3 degrees, and 4 % of the images collapse; "smooth": each
            item has an optimum of its own.
    """
    draws = np.random.default_rng(seed)
    if kind == "smooth":
        places = draws.random((sets, 1, 2))
        optima = 0.5 + 0.12 * draws.normal(size=(1, items, 2))
        smooth: Array = -2.0 * ((places - optima) ** 2).sum(axis=-1) + draws.normal(0, 0.02, (sets, items))
        return smooth
    table: Array = draws.normal(0, spread, (sets, 1)) + draws.normal(0, 0.3, (1, items))
    if kind == "heavy":
        table = table + 0.3 * draws.standard_t(3, (sets, items)) / np.sqrt(3)
        table[draws.random((sets, items)) < 0.04] -= 1.0
        return table
    return table + draws.normal(0, 0.3, (sets, items))
