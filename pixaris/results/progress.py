"""How far a search is: a snapshot that a terminal (or a test) can show. Ray-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pixaris.endpoints.base import EndpointStatus
from pixaris.results.records import TrialResult


@dataclass(frozen=True)
class SearchProgress:
    """A search at one moment.

    Attributes:
        phase: What goes on: "starting Ray", "searching, 2 trials at once …", "stopping".
        images: Images done.
        cached: Those of them that were taken from the cache.
        images_planned: Images all trials would need, less what stopped trials saved; None if not known.
        trials: Trials that are to run; None if not known.
        running: Trials running now.
        finished: Trials that went through the whole eval set.
        stopped: Trials ended early by the scheduler.
        failed: Trials without a score.
        seconds: Since the search started.
        rate: Images per second since the first one, or None.
        metric: Name of the objective.
        best: The best trial so far.
        baseline: The baseline trial, once it has a score.
        endpoints: Every endpoint.
        cost: Credits charged so far, or None where nothing was.
        budget: What is spent of it, in words; "" without one.
    """

    phase: str = "starting"
    images: int = 0
    images_planned: int | None = None
    trials: int | None = None
    running: int = 0
    finished: int = 0
    stopped: int = 0
    failed: int = 0
    seconds: float = 0.0
    rate: float | None = None
    metric: str = ""
    best: TrialResult | None = None
    baseline: TrialResult | None = None
    endpoints: tuple[EndpointStatus, ...] = ()
    cost: float | None = None
    budget: str = ""
    cached: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, or None while it cannot be told."""
        if not self.rate or self.images_planned is None:
            return None
        return max(0, self.images_planned - self.images) / self.rate


class ProgressListener(Protocol):
    """Is told how a search goes. Called from one thread."""

    def update(self, progress: SearchProgress) -> None:
        """A new snapshot, about twice a second."""

    def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
        """A trial has ended."""

    def event(self, sentence: str) -> None:
        """Something happened to an endpoint."""


class Silent:
    """Listens to nothing."""

    def update(self, progress: SearchProgress) -> None:
        pass

    def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
        pass

    def event(self, sentence: str) -> None:
        pass


def ordered(trials: Sequence[TrialResult]) -> list[TrialResult]:
    """Trials by number."""
    return sorted(trials, key=lambda trial: trial.number)
