"""What a search optimises."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pixaris.results.trial import TrialResult
from pixaris.types import Direction


@dataclass(frozen=True)
class Objective:
    """A score that a search optimises, and its direction."""

    metric: str
    direction: Direction

    def loss(self, trial: TrialResult) -> float:
        """A trial's score with a sign that makes smaller better; infinite without a score."""
        score = trial.scores.get(self.metric)
        if score is None or not math.isfinite(score):
            return math.inf
        if self.direction == "max":
            return -score
        return score
