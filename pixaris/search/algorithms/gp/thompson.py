"""The next set of a search that votes steer: the best one of a draw of what the votes say. Pure.

Thompson sampling (Thompson 1933): a function is drawn from the posterior of what sets are worth, and the next
set is where it is highest. Sets come where the best may be, as often as it may be there, and several that are
proposed together differ by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pixaris.search.algorithms.gp.cube import Cube, Point
from pixaris.statistics.preference.utility import Utility, draw

# Even points for the first round, of which as many are used as it has sets.
_FIRST = 256
# Candidates from everywhere; and, where the space is nearly used up, how many are tried for one that is left.
_RANDOM, _MANY = 300, 3_000
# Candidates around each of the best sets so far.
_NEAR, _LEADERS = 20, 3


@dataclass(frozen=True)
class Heard:
    """What the votes say of the sets that were put up.

    Attributes:
        points: The sets, in the order of `said`; none before the first round.
        said: What was fitted; None before the first round.
    """

    points: tuple[Point, ...] = ()
    said: Utility | None = None


class Thompson:
    """Proposes sets.

    Args:
        cube: The space.
        heard: What is known of the sets so far.
        seed: Makes it repeatable.
    """

    def __init__(self, cube: Cube, heard: Heard, seed: int | None) -> None:
        from scipy.stats import qmc

        self._cube = cube
        self._heard = heard
        # Each round draws anew: with the seed alone every round would propose around the same candidates.
        begin = None if seed is None else [seed, len(heard.points)]
        self._random = np.random.default_rng(begin)
        sobol = qmc.Sobol(len(cube.dimensions), seed=self._random)
        self._even = cube.of_uniform(sobol.random(_FIRST))

    def next(self, known: Iterable[Point]) -> Point | None:
        """The next set.

        Args:
            known: Sets that were proposed already, besides those that were put up.

        Returns:
            None where every set is known.
        """
        out = {*known, *self._heard.points}
        if self._heard.said is None:
            found = [point for point in self._even if point not in out]
            return found[0] if found else self._rest(out)
        candidates = [point for point in self._candidates(self._heard.said) if point not in out]
        if not candidates:
            return self._rest(out)
        # One draw for all candidates together: sets that are near each other must be good or bad in the same
        # draw.
        worth = draw(
            np.array(self._heard.points),
            self._cube.categorical,
            self._heard.said,
            np.array(candidates),
            self._random,
        )
        return candidates[int(worth.argmax())]

    def _candidates(self, said: Utility) -> list[Point]:
        found = self._uniform(_RANDOM)
        for leader in np.argsort(-said.posterior.mean, kind="stable")[:_LEADERS]:
            point = self._heard.points[leader]
            found += self._cube.neighbours(point)
            found += self._cube.around(point, _NEAR, self._random)
        return list(dict.fromkeys(found))

    def _rest(self, out: set[Point]) -> Point | None:
        """Any set that is left, of a space that is nearly used up."""
        return next((point for point in self._uniform(_MANY) if point not in out), None)

    def _uniform(self, count: int) -> list[Point]:
        return self._cube.of_uniform(self._random.random((count, len(self._cube.dimensions))))
