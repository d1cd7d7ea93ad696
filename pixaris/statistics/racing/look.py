"""One look of a race: which sets have lost, by the scores there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pixaris.statistics.racing.bounds import (
    Array,
    Bound,
    moderated_variance,
    pooled_bound,
    sequence_bound,
)
from pixaris.statistics.racing.table import leader_of

FEWEST_NONZERO = 3
"""Differences other than 0 that a variance must rest on before a set may fall by it."""

DEFAULT_P = 0.01


@dataclass(frozen=True)
class Guard:
    """A score that must not suffer.

    Attributes:
        row: Of the table of scores: which score it is.
        worse_by: How much worse than the baseline's it may be.
    """

    row: int
    worse_by: float


@dataclass(frozen=True)
class Rules:
    """When a set falls.

    Attributes:
        items: Items of the eval set.
        p: One-sided level of each look of the race that is calibrated to regret.
        guarantee: None for that one; else the strict one: the probability that the set which would win over
            all items falls is at most this.
        sets: How many sets share the guarantee, fixed at the start.
        min_effect: A set falls, too, once it is sure not to be better than the leader by as much.
        objectives: How many of the scores are optimised: the table's first rows.
        guards: Scores that must not suffer against the baseline.
    """

    items: int
    p: float = DEFAULT_P
    guarantee: float | None = None
    sets: int = 1
    min_effect: float = 0.0
    objectives: int = 1
    guards: tuple[Guard, ...] = ()

    def bound(self, variances: Array, counts: Array) -> Bound:
        """What mean differences are held against."""
        if self.guarantee is None:
            return pooled_bound(variances, counts, self.items, self.p)
        level = np.full(len(counts), self.guarantee / self.sets)
        return sequence_bound(variances, counts, self.items, level)


@dataclass(frozen=True)
class Loss:
    """Why a set falls.

    Attributes:
        row: The set's.
        against: The row of the set that it lost to.
        score: Which of the scores decided it.
        items: Over how many common items.
        difference: Its mean paired difference to that set; negative is worse.
        half_width: Half of the 95 % interval of that difference over all items.
    """

    row: int
    against: int
    score: int
    items: int
    difference: float
    half_width: float


@dataclass(frozen=True)
class _Margin:
    """Sets against one other set, in one score [sets].

    Attributes:
        loss: Mean paired difference: how much worse each is.
        counts: Common items.
        bound: What the loss is held against.
        founded: Whether its variance rests on enough.
    """

    loss: Array
    counts: Array
    bound: Bound
    founded: npt.NDArray[np.bool_]

    def beyond(self, allowed: float) -> npt.NDArray[np.bool_]:
        """Which are worse by more than is allowed, for sure."""
        worse: npt.NDArray[np.bool_] = self.loss - allowed > self.bound.limit
        return worse & self.founded

    def of(self, place: int, row: int, against: int, score: int) -> Loss:
        """What a set fell by."""
        return Loss(
            row,
            against,
            score,
            int(self.counts[place]),
            -float(self.loss[place]),
            float(self.bound.half_width[place]),
        )


class Look:
    """Sets held against the leader, by pooled variances.

    Args:
        scores: [scores, sets, items], larger is better; NaN where there is none.
        rules: When a set falls.
    """

    def __init__(self, scores: Array, rules: Rules) -> None:
        self._scores = scores
        self._rules = rules

    def losses(self, rows: Sequence[int], among: Sequence[int], baseline: int | None = None) -> list[Loss]:
        """The sets that have lost.

        Args:
            rows: Sets that may fall.
            among: Sets that may lead, each with a score.
            baseline: The row that guards compare with.
        """
        found: dict[int, Loss] = {}
        if baseline is not None:
            for guard in self._rules.guards:
                self._guarded(rows, baseline, guard, found)
        leading = [row for row in among if row not in found]
        if self._rules.objectives == 1 and leading:
            leader = leading[leader_of(self._scores[0, leading])]
            self._against([row for row in rows if row not in found], leader, found)
        elif leading:
            self._dominated(rows, leading, found)
        return [found[row] for row in sorted(found)]

    def _against(self, rows: Sequence[int], leader: int, found: dict[int, Loss]) -> None:
        others = [row for row in rows if row != leader]
        margin = self._margin(others, leader, 0)
        for place in np.flatnonzero(margin.beyond(-self._rules.min_effect)):
            found[others[place]] = margin.of(int(place), others[place], leader, 0)

    def _guarded(self, rows: Sequence[int], baseline: int, guard: Guard, found: dict[int, Loss]) -> None:
        others = [row for row in rows if row != baseline]
        margin = self._margin(others, baseline, guard.row)
        for place in np.flatnonzero(margin.beyond(guard.worse_by)):
            found.setdefault(others[place], margin.of(int(place), others[place], baseline, guard.row))

    def _dominated(self, rows: Sequence[int], among: Sequence[int], found: dict[int, Loss]) -> None:
        """With several objectives a set falls only to one that is better in all of them, for sure."""
        for leader in self._front(among):
            others = [row for row in rows if row != leader and row not in found]
            margins = [self._margin(others, leader, score) for score in range(self._rules.objectives)]
            worse = np.all([margin.beyond(0.0) for margin in margins], axis=0)
            for place in np.flatnonzero(worse):
                found[others[place]] = margins[0].of(int(place), others[place], leader, 0)

    def _front(self, among: Sequence[int]) -> list[int]:
        """Those whose means no other's dominate."""
        count = self._rules.objectives
        means = np.nanmean(self._scores[:count, list(among)], axis=2).T
        front = []
        for place, row in enumerate(among):
            above = (means >= means[place]).all(axis=1) & (means > means[place]).any(axis=1)
            if not above.any():
                front.append(row)
        return front

    def _margin(self, rows: Sequence[int], against: int, score: int) -> _Margin:
        """Sets against one other, each over the items that both have."""
        table = self._scores[score]
        differences = table[against] - table
        known = ~np.isnan(differences)
        counts = known.sum(axis=1).astype(np.float64)
        filled = np.where(known, differences, 0.0)
        means = filled.sum(axis=1) / np.maximum(counts, 1.0)
        deviations = np.where(known, differences - means[:, None], 0.0)
        own = (deviations**2).sum(axis=1) / np.maximum(counts - 1.0, 1.0)
        nonzero = (filled != 0.0).sum(axis=1)
        telling = counts >= 2
        # Its differences to itself are all 0, and would draw the median down.
        telling[against] = False
        if telling.any():
            pooled = float(np.median(own[telling]))
        else:
            pooled = 0.0
        behind = int(nonzero[telling].sum())
        mine = list(rows)
        variances = np.maximum(moderated_variance(own[mine], counts[mine], pooled), self._floor(pooled))
        shared = pooled > 0.0 and behind >= FEWEST_NONZERO
        # Three differences that are not 0, its own or all sets' together: ties alone, however many, show no
        # spread to judge by.
        founded = (nonzero[mine] >= FEWEST_NONZERO) | shared
        founded &= counts[mine] > 0
        return _Margin(means[mine], counts[mine], self._rules.bound(variances, counts[mine]), founded)

    def _floor(self, pooled: float) -> float:
        return pooled
