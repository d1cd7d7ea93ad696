"""Scores that must not suffer, whatever the objective gains."""

from __future__ import annotations

from dataclasses import dataclass

from pixaris.results.trial import TrialResult
from pixaris.statistics.paired import differences
from pixaris.types import Direction


@dataclass(frozen=True)
class Guardrail:
    """A score that a winner's may not be worse than the baseline's in, beyond a margin.

    Attributes:
        metric: Name of the score.
        direction: Whether a higher one is better.
        worse_by: The margin, in the score's own unit.
    """

    metric: str
    direction: Direction
    worse_by: float

    def fault(self, trial: TrialResult, baseline: TrialResult) -> str:
        """How a trial breaks it, by the mean over the items that both have; "" if it does not, or if they
        have none in common.
        """
        found = differences(trial.scores_of(self.metric), baseline.scores_of(self.metric))
        if not len(found):
            return ""
        loss = float(sum(found)) / len(found)
        if self.direction == "max":
            loss = -loss
        if loss <= self.worse_by:
            return ""
        return f"its {self.metric} is worse than the baseline's by {loss:.4g}; {self.worse_by:g} is allowed"
