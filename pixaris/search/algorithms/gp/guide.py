"""Which image of which set comes next, when there are few images. Pure.

Sets are rows, items are columns of a table of scores that is filled cell by cell. A Gaussian process over the
sets, with additive effects of the items, says how good each set is expected to be over all items, those
without any image too; the next image goes to the set whose expected improvement is largest. The last third of
the images goes to sets that were begun, so that the best of them become whole.

Simulated (benchmarks/few_images.py): 150 images find a set within half a percent of the best where TPE does
not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pixaris.search.algorithms.gp.cube import Array, Cube, Point
from pixaris.statistics.gaussian_process import (
    Cells,
    GaussianProcess,
    Hyperparameters,
    Kernel,
    expected_improvement,
    half_rank,
)
from pixaris.statistics.racing.look import Look, Loss, Rules
from pixaris.statistics.racing.table import adjusted_means

_FEWEST, _FIRST, _FIRST_ITEMS = 3, 10, 3
"""Sets that are begun before the process is asked, at least and at most, and the images that each gets at
most, a quarter of the items: from one alone nobody learns how much a set's worth differs from item to item.
"""

_GROWTH = 1.2
"""The process is fitted anew when the sets have grown by so much."""

_FINISHING, _FINISHED = 1.0 / 3.0, 4
"""The last third of the images, or as many as so many whole sets take, go to sets that were begun."""

# New sets that are weighed each time: some from everywhere, some near each of the best ones.
_RANDOM, _NEAR, _LEADERS = 250, 40, 3
# The fit takes the third power of the images; beyond these the better ones are kept, since it is among good
# sets that the process must tell.
_MOST_FITTED = 300


@dataclass
class _Row:
    """A set.

    Attributes:
        point: Where it lies in the cube.
        begun: Items that were asked for.
        scores: One for each item, NaN where there is none yet.
        landed: Items that are there.
        out: Whether it lost, or cannot be run.
    """

    point: Point
    scores: Array
    begun: int = 0
    landed: int = 0
    out: bool = False


@dataclass(frozen=True)
class Turn:
    """The next image.

    Attributes:
        row: Of the set; a new one where it was not there before.
        item: Which of its items, from 0.
    """

    row: int
    item: int


@dataclass
class Guide:
    """Says which image comes next.

    Whoever asks for images tells `record` what came of them, in the order in which they were asked for: two
    searches with the same seed and as many images in flight then go alike.

    Attributes:
        cube: The space.
        rules: When a set falls.
        images: Items that may be run in all.
        sets: Sets that may be tried in all, or None.
        seed: Makes it repeatable.
    """

    cube: Cube
    rules: Rules
    images: int
    sets: int | None
    seed: int
    _rows: list[_Row] = field(default_factory=list)
    _parameters: Hyperparameters | None = None
    _fitted: int = 0
    _submitted: int = 0

    def __post_init__(self) -> None:
        # Late: it takes long to import, and only guided searches need it.
        from scipy.stats import qmc

        self._draws = np.random.default_rng(self.seed)
        sobol = qmc.Sobol(len(self.cube.dimensions), seed=self.seed)
        # A power of two, as Sobol's sequence wants it; more than the first sets, because levels make some of
        # them equal.
        self._first = self.cube.of_uniform(sobol.random(32))
        self._kernel = Kernel(self.cube.categorical, self.rules.items)
        self.losses: dict[int, Loss] = {}

    @property
    def points(self) -> list[Point]:
        """The sets, by row."""
        return [row.point for row in self._rows]

    def begin(self, points: Sequence[Point]) -> None:
        """Take in sets that are run first: the baseline, whole, then points that were given."""
        for point in points:
            self._add(point)

    def _add(self, point: Point) -> int:
        self._rows.append(_Row(point, np.full(self.rules.items, np.nan)))
        return len(self._rows) - 1

    # What comes next

    def next(self) -> Turn | None:
        """The next image; None where no more is worth it, or the images are spent."""
        if self._submitted >= self.images:
            return None
        row = self._choose()
        if row is None:
            return None
        turn = Turn(row, self._rows[row].begun)
        self._rows[row].begun += 1
        self._submitted += 1
        return turn

    def _choose(self) -> int | None:
        left = self.images - self._submitted
        items = self.rules.items
        # Everything is compared with the baseline, so it is whole first.
        if self._rows[0].begun < items:
            return 0
        for number, row in enumerate(self._rows):
            if row.begun == 0 and not row.out:
                return number  # a point that was given
        # A new set that cannot become whole can never win.
        may_begin = left >= items and (self.sets is None or len(self._rows) < self.sets)
        started = self._to_start()
        if started is not None:
            return started
        if may_begin and len(self._rows) <= self._first_sets:
            fresh = [point for point in self._first if point not in self.points]
            if fresh:
                return self._add(fresh[0])
        begun = [
            number
            for number, row in enumerate(self._rows)
            if row.begun < items and not row.out and items - row.begun <= left
        ]
        return self._by_model(begun, may_begin=may_begin)

    @property
    def _first_sets(self) -> int:
        """Sets that are begun before the process is asked; for no more than a quarter of the images."""
        return max(_FEWEST, min(_FIRST, self.images // (4 * self._first_items)))

    @property
    def _first_items(self) -> int:
        """Images that each of them gets."""
        return min(_FIRST_ITEMS, math.ceil(self.rules.items / 4))

    def _to_start(self) -> int | None:
        """One of the first sets that has too few images yet."""
        for number, row in enumerate(self._rows[1 : self._first_sets + 1], 1):
            if row.begun < self._first_items and not row.out:
                return number
        return None

    def _by_model(self, begun: list[int], *, may_begin: bool) -> int | None:
        process, best = self._process()
        if may_begin:
            fresh = self._candidates()
        else:
            fresh = []
        # Sets that were begun come first: `place` tells the two kinds apart below.
        points = [self._rows[number].point for number in begun] + fresh
        if not points:
            return None
        mean, sd = process.posterior(np.array(points), self._pending())
        if self._is_late and begun:
            row = self._to_finish(begun, mean[: len(begun)], sd[: len(begun)], process)
            if row is not None:
                return row
        place = int(expected_improvement(mean, sd, best).argmax())
        if place < len(begun):
            return begun[place]
        return self._add(fresh[place - len(begun)])

    @property
    def _is_late(self) -> bool:
        """Whether what is left is for sets that were begun."""
        kept = min(_FINISHING * self.images, _FINISHED * self.rules.items)
        return self._submitted >= self.images - kept

    def _to_finish(self, begun: list[int], mean: Array, sd: Array, process: GaussianProcess) -> int | None:
        """The most promising set that was begun and may yet be better than the best whole one."""
        whole = [number for number, row in enumerate(self._rows) if row.landed >= self.rules.items]
        leader = -math.inf
        if whole:
            leader = float(process.posterior(np.array([self._rows[n].point for n in whole]))[0].max())
        # Two standard deviations: one that lies further behind will hardly turn out the best.
        hopeful = mean + 2.0 * sd > leader
        if not hopeful.any():
            return None
        # Mostly by the mean: late in a search an image is to finish good sets, no longer to explore.
        return begun[int(np.where(hopeful, mean + 0.5 * sd, -np.inf).argmax())]

    def _candidates(self) -> list[Point]:
        """New sets to choose from."""
        ranked = sorted(self._seen(), key=lambda number: -self._expected[number])
        best = [self._rows[number].point for number in ranked[:_LEADERS]]
        found = self.cube.of_uniform(self._draws.random((_RANDOM, len(self.cube.dimensions))))
        for point in best:
            found += self.cube.neighbours(point)
            found += self.cube.around(point, _NEAR // _LEADERS, self._draws)
        known = set(self.points)
        return [point for point in dict.fromkeys(found) if point not in known]

    # What is known

    def record(self, row: int, item: int, score: float | None) -> list[int]:
        """Take in what came of an image.

        Returns:
            The rows of sets that fell by it.
        """
        one = self._rows[row]
        if score is None:
            # An item that failed takes its place without a score.
            one.scores[item] = math.nan
        else:
            one.scores[item] = score
        # Results come in item order, so a count is enough.
        one.landed += 1
        return self._fallen()

    def give_up(self, row: int) -> None:
        """A set takes part no longer."""
        self._rows[row].out = True

    def whole(self) -> list[int]:
        """Rows of the sets that are whole."""
        return [number for number, row in enumerate(self._rows) if row.landed >= self.rules.items]

    def best(self) -> int | None:
        """The best whole set that has a score; None where there is none."""
        whole = [number for number in self.whole() if not np.isnan(self._rows[number].scores).all()]
        if not whole:
            return None
        # The earlier one of equals, so that the baseline keeps its place unless it is beaten.
        return max(whole, key=lambda number: (float(np.nanmean(self._rows[number].scores)), -number))

    def means(self) -> Array:
        """Every set's mean, corrected for which items it has [sets]; NaN without a score."""
        if not self._rows:
            return np.zeros(0)
        return adjusted_means(np.stack([row.scores for row in self._rows]))

    def difference(self, row: int, other: int) -> float:
        """Mean paired difference of two sets over the items that both have; NaN without any."""
        differences = self._rows[row].scores - self._rows[other].scores
        known = differences[~np.isnan(differences)]
        if known.size:
            return float(known.mean())
        return math.nan

    def _seen(self) -> list[int]:
        return [number for number, row in enumerate(self._rows) if not np.isnan(row.scores).all()]

    def _fallen(self) -> list[int]:
        leader = self.best()
        if leader is None:
            return []
        may_fall = [
            number
            for number, row in enumerate(self._rows)
            # The baseline never falls.
            if number and not row.out and 0 < row.landed < self.rules.items
        ]
        table = np.stack([row.scores for row in self._rows])
        found = Look(table[None], self.rules).losses(may_fall, [leader])
        for loss in found:
            self._rows[loss.row].out = True
            self.losses[loss.row] = loss
        return [loss.row for loss in found]

    def _process(self) -> tuple[GaussianProcess, float]:
        """The process as of now, and the best set's mean by it."""
        seen = self._seen()
        table = np.stack([self._rows[number].scores for number in seen])
        # How hard an item is has nothing to do with the parameters; left in, it would look like noise.
        cells = table - item_effects(table)
        rows, items = np.nonzero(~np.isnan(table))
        points = np.array([self._rows[number].point for number in seen])
        there = Cells(points[rows], items)
        # Half-way to ranks: an image that failed badly must not bend the model where the good sets lie.
        values = half_rank(cells[rows, items])
        if self._parameters is None or len(values) >= _GROWTH * self._fitted:
            # From where the last fit ended: a few more images hardly move it.
            start = self._parameters or Hyperparameters.default(points.shape[1])
            keep = np.argsort(-values, kind="stable")[:_MOST_FITTED]
            fitted = GaussianProcess.fit(
                self._kernel, Cells(there.points[keep], items[keep]), values[keep], start
            )
            self._parameters, self._fitted = fitted.parameters, len(values)
        process = GaussianProcess(self._kernel, self._parameters, there, values)
        alive = np.array([not self._rows[number].out for number in seen])
        mean, _ = process.posterior(points)
        self._expected = dict(zip(seen, mean, strict=True))
        return process, float(mean[alive].max())

    def _pending(self) -> Cells | None:
        """Images on their way."""
        on_their_way = [(row.point, item) for row in self._rows for item in range(row.landed, row.begun)]
        if not on_their_way:
            return None
        points, items = zip(*on_their_way, strict=True)
        return Cells(np.array(points), np.array(items))


def item_effects(table: Array) -> Array:
    """How much easier each item is than the others, for the better half of the sets with two items or more:
    it is good sets that are to be told apart.

    Args:
        table: [sets, items]; NaN where there is none; every set has a score.

    Returns:
        [items], with a mean of 0.
    """
    counts = (~np.isnan(table)).sum(axis=1)
    means = adjusted_means(table)
    several = np.flatnonzero(counts >= 2)
    better = several[np.argsort(-means[several], kind="stable")][: max(2, math.ceil(len(several) / 2))]
    effects = _effects(table, means, np.arange(len(table)))
    if len(better):
        own = _effects(table, means, better)
        effects = np.where(np.isnan(own), effects, own)
    effects = np.nan_to_num(effects)
    return effects - float(effects.mean())


def _effects(table: Array, means: Array, rows: npt.NDArray[np.int_]) -> Array:
    """Mean deviation of every item over some sets [items]; NaN where none of them has it."""
    deviations = table[rows] - means[rows, None]
    known = ~np.isnan(deviations)
    counts = known.sum(axis=0)
    sums = np.where(known, deviations, 0.0).sum(axis=0)
    effects: Array = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return effects
