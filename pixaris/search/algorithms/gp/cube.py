"""A search space as a unit cube. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

Point: TypeAlias = tuple[float, ...]
"""A parameter set: one number from 0 to 1 for each dimension."""

# Standard deviation of steps around a good set, in widths of the cube …
_AROUND = 0.1
# … and how often a category changes besides.
_FLIPS = 0.15
# Ordered parameters of so few levels have all of them tried one by one; of more, those some steps away …
_ALL_VALUES = 12
# … this far, in levels …
_STEPS = (1, 2, 3, 5)
# … or, of continuous ones, in widths of the cube.
_NEAR = (0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Dimension:
    """One parameter.

    Attributes:
        levels: How many values it has, evenly from 0 to 1; None for a continuous one.
        categorical: Whether they have no order.
    """

    levels: int | None = None
    categorical: bool = False

    def snap(self, at: Array) -> Array:
        """The nearest values [points]."""
        inside: Array = np.clip(at, 0.0, 1.0)
        if self.levels is None:
            return inside
        # Not the formula below, which would divide by zero.
        if self.levels == 1:
            return np.zeros_like(inside)
        snapped: Array = np.round(inside * (self.levels - 1)) / (self.levels - 1)
        return snapped

    def of_uniform(self, draws: Array) -> Array:
        """Values of uniform draws, every level as likely as the others [points]."""
        if self.levels is None:
            return draws
        # Not by rounding: that would give the two ends half the share of the others. The minimum is for a
        # draw of exactly 1.
        chosen = np.minimum((draws * self.levels).astype(int), self.levels - 1)
        values: Array = chosen / max(1, self.levels - 1)
        return values

    def others(self, at: float) -> list[float]:
        """The values near another one: all where there are few, or where they have no order."""
        if self.levels is None:
            near = [at + sign * step for step in _NEAR for sign in (-1, 1)]
            return [one for one in near if 0.0 <= one <= 1.0]
        last = self.levels - 1
        here = round(at * last)
        if self.categorical or self.levels <= _ALL_VALUES:
            found = [level for level in range(self.levels) if level != here]
        else:
            steps = [here + sign * step for step in _STEPS for sign in (-1, 1)]
            found = [level for level in steps if 0 <= level <= last]
        return [level / last for level in found]


@dataclass(frozen=True)
class Cube:
    """The space of a search.

    Attributes:
        dimensions: One for each parameter that varies.
        canonical: Where the set lies that a point becomes, for dimensions whose values are no even steps.
    """

    dimensions: tuple[Dimension, ...]
    canonical: Callable[[Point], Point] = tuple

    @property
    def categorical(self) -> npt.NDArray[np.bool_]:
        """Which dimensions have no order [dimensions]."""
        return np.array([one.categorical for one in self.dimensions], dtype=bool)

    def of_uniform(self, draws: Array) -> list[Point]:
        """Sets of uniform draws [points, dimensions]."""
        columns = [one.of_uniform(column) for one, column in zip(self.dimensions, draws.T, strict=True)]
        return self._points(np.stack(columns, axis=1))

    def neighbours(self, of: Point) -> list[Point]:
        """Sets that differ from another in one parameter."""
        found = []
        for place, dimension in enumerate(self.dimensions):
            for value in dimension.others(of[place]):
                found.append(self.canonical((*of[:place], value, *of[place + 1 :])))
        return found

    def around(self, of: Point, count: int, draws: np.random.Generator) -> list[Point]:
        """Sets near another, in all parameters."""
        moved = np.array(of) + _AROUND * draws.normal(size=(count, len(self.dimensions)))
        # Drawn whether or not there are categories, so that one seed goes alike in spaces that differ only in
        # them.
        drawn = draws.random((count, len(self.dimensions)))
        flips = draws.random((count, len(self.dimensions))) < _FLIPS
        columns = []
        for place, dimension in enumerate(self.dimensions):
            column = dimension.snap(moved[:, place])
            if dimension.categorical:
                column = np.where(flips[:, place], dimension.of_uniform(drawn[:, place]), of[place])
            columns.append(column)
        return self._points(np.stack(columns, axis=1))

    def _points(self, rows: Array) -> list[Point]:
        return [self.canonical(tuple(map(float, row))) for row in rows]
