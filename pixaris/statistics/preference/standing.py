"""Who is first, after so many votes: ranges of ranks, wins, and how many votes are still needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from pixaris.statistics.preference.davidson import Comparison, Posterior, fit

SURE = 0.95
"""How probable it must be that a set is the best before nobody is asked any more."""

MANY = 999
"""As many votes as more are not counted."""

_Z = NormalDist().inv_cdf(0.975)
# The page is asked for again and again: the same votes must show the same probabilities.
_SEED = 7


@dataclass(frozen=True)
class Share:
    """A share of something, with its 95 % interval (Clopper and Pearson 1934).

    Attributes:
        count: How often.
        of: Of how many.
    """

    count: float
    of: int

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None of nothing."""
        if self.of:
            return self.count / self.of
        return None

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        # At no or all successes the beta distribution has no such quantile; the end is the bound itself.
        low, high = 0.0, 1.0
        if self.count > 0:
            low = float(betaincinv(self.count, self.of - self.count + 1, 0.025))
        if self.count < self.of:
            high = float(betaincinv(self.count + 1, self.of - self.count, 0.975))
        return low, high


@dataclass(frozen=True)
class Place:
    """How a set stands.

    Attributes:
        number: Of the set.
        theta: What it is worth, in logits over the mean of all.
        best: Probability to be the best.
        rank: From which rank to which it may be, at 95 %: ``(1, 3)``.
        votes: Votes that it was in.
    """

    number: int
    theta: float
    best: float
    rank: tuple[int, int]
    votes: int

    @property
    def is_first(self) -> bool:
        """Whether no other set is surely better: the first, or tied with it."""
        return self.rank[0] == 1


@dataclass(frozen=True)
class Standing:
    """How all sets stand.

    Attributes:
        places: Best first.
        wins: How often the set of a row was preferred to the one of a column, ties half [sets × sets].
        needed: About how many votes are still needed to name the best; 0 when it is known, `MANY` when they
            can hardly be told apart.
    """

    places: tuple[Place, ...]
    wins: npt.NDArray[np.float64]
    needed: int


def standing(sets: int, votes: Sequence[Comparison]) -> Standing:
    """How sets stand after votes.

    Args:
        sets: How many sets there are, at least one.
        votes: What people said.
    """
    posterior = fit(sets, votes)
    best = posterior.best(np.random.default_rng(_SEED))
    met = [0] * sets
    for vote in votes:
        met[vote.first] += 1
        met[vote.second] += 1
    # By number among equals, so that without any vote the baseline stands first.
    order = sorted(range(sets), key=lambda number: (-posterior.mean[number], number))
    places = [
        Place(
            number, float(posterior.mean[number]), float(best[number]), _rank(posterior, number), met[number]
        )
        for number in order
    ]
    return Standing(tuple(places), _wins(sets, votes), _needed(posterior, best, order, len(votes)))


def _rank(posterior: Posterior, number: int) -> tuple[int, int]:
    better = worse = 0
    for other in range(len(posterior.mean)):
        gap, spread = posterior.difference(other, number)
        # Only sets that are surely better push it down: the rest may stand on either side.
        if other != number and gap > _Z * spread:
            better += 1
        elif other != number and gap < -_Z * spread:
            worse += 1
    return 1 + better, len(posterior.mean) - worse


def _wins(sets: int, votes: Sequence[Comparison]) -> npt.NDArray[np.float64]:
    wins = np.zeros((sets, sets))
    for vote in votes:
        for one, other, answer in (
            (vote.first, vote.second, "first"),
            (vote.second, vote.first, "second"),
        ):
            if vote.answer == answer:
                wins[one, other] += 1
            elif vote.answer == "tie":
                wins[one, other] += 0.5
    return wins


def _needed(posterior: Posterior, best: npt.NDArray[np.float64], order: Sequence[int], votes: int) -> int:
    """Votes until the leader's nearest rival is behind by so many standard deviations that it is sure to be
    the best; a standard deviation shrinks with the root of the votes.
    """
    if len(order) < 2 or best[order[0]] >= SURE:
        return 0
    # So many votes connect all sets; with fewer, the formula would count on a spread that is mostly the
    # prior's.
    least = len(order) - 1
    ratios = []
    for rival in order[1:]:
        gap, spread = posterior.difference(order[0], rival)
        # A rival that stands level is caught by no number of votes.
        ratios.append(math.inf if gap <= 0 else _Z * spread / gap)
    # The spread shrinks with the root of the votes, so a ratio of 2 takes four times as many.
    times = max(ratios) ** 2
    more = max(votes, least) * (times - 1)
    if not math.isfinite(more) or more > MANY:
        return MANY
    return max(1, least - votes, math.ceil(more))
