"""What is to be expected of a winner's gain, and whether that can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pixaris.results.manifest import read_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.trial import TrialResult
from pixaris.results.verdict.base import Judged, VerdictKind
from pixaris.statistics.intervals import MeanInterval
from pixaris.statistics.shrinkage import ShrunkGain, shrunk_gain

_DRAWN = ("random", "grid", "BasicVariantGenerator")
"""Algorithms that propose sets without regard to scores. Where one learns, the best sets crowd together: they
are no draws from one distribution, and their luck is underrated (by 0.1 to 0.7 sd of the sets with TPE).
"""
_CLEAR = 0.99


@dataclass(frozen=True)
class ExpectedGain:
    """A winner's gain with the luck of having been picked taken off.

    Attributes:
        kind: What it allows to say: "better", "no evidence", "needs a re-check".
        told: The gain with its interval; None where a searcher chose the sets by their scores, and luck is
            not small beside their differences.
    """

    kind: VerdictKind
    told: MeanInterval | None

    @classmethod
    def of(
        cls, search: Judged, sets: Sequence[TrialResult], winner: TrialResult, baseline: TrialResult
    ) -> ExpectedGain | None:
        """By all scores of all sets, those of stopped ones too; None where there are too few.

        Args:
            search: The search.
            sets: All sets that have a score, the baseline not among them.
            winner: One of them.
            baseline: What it is compared with.
        """
        trials = [baseline, *sets]
        # The baseline is row 0.
        found = shrunk_gain(_table(trials), trials.index(winner), 0)
        if found is None:
            return None
        drawn = read_manifest(SearchPaths(search.folder)).get("algorithm", _DRAWN[0]) in _DRAWN
        sign = 1.0 if search.objectives[0].direction == "max" else -1.0
        # A searcher's sets crowd together, so what shrinkage takes off for luck is too little.
        gain = found if drawn else _cautious(found, sign, len(sets))
        told = gain if drawn or found.kept >= _CLEAR else None
        if _is_gain(gain, sign):
            return cls("better", told)
        return cls("needs a re-check" if _is_gain(found, sign) else "no evidence", told)


def _cautious(found: ShrunkGain, sign: float, sets: int) -> MeanInterval:
    """The gain, its interval longer where it is least by the luck that is left if all sets are equal."""
    assert found.low is not None
    assert found.high is not None
    # Only at the end that decides whether there is a gain.
    luck = found.luck(sets)
    low, high = (found.low - luck, found.high) if sign > 0.0 else (found.low, found.high + luck)
    return MeanInterval(found.mean, low, high, found.count)


def _is_gain(found: MeanInterval, sign: float) -> bool:
    return found.excludes(0.0) and sign * found.mean > 0.0


def _table(trials: Sequence[TrialResult]) -> np.typing.NDArray[np.float64]:
    """Scores [trials, items]; NaN where there is none."""
    count = max(len(trial.item_scores) for trial in trials)
    scores = np.full((len(trials), count), np.nan)
    for row, trial in enumerate(trials):
        for item, score in enumerate(trial.item_scores):
            scores[row, item] = np.nan if score is None else score
    return scores
