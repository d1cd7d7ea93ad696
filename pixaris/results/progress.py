"""How far a search is: a snapshot that a terminal (or a test) can show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from pixaris.endpoints.base import EndpointStatus
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult, TrialStatus


@dataclass(frozen=True)
class Planned:
    """What a search has before it, done already or not.

    Attributes:
        trials: Trials that are to run; None if not known.
        images: Images all trials would need, less what stopped trials saved; None if not known.
    """

    trials: int | None = None
    images: int | None = None


@dataclass(frozen=True)
class SearchProgress:
    """A search at one moment.

    Attributes:
        phase: What goes on: "starting Ray", "searching, 2 trials at once …", "stopping".
        result: The search as it stands.
        planned: What it has before it.
        seconds: Since this process began it.
        rate: Images per second since the first one, or None.
        endpoints: Every endpoint.
    """

    phase: str
    result: SearchResult
    planned: Planned = Planned()
    seconds: float = 0.0
    rate: float | None = None
    endpoints: tuple[EndpointStatus, ...] = ()

    @property
    def counts(self) -> Counter[TrialStatus]:
        """How many trials have each status."""
        return Counter(trial.status for trial in self.result.trials)

    @property
    def trials(self) -> int | None:
        """Trials that are to run; None if not known."""
        return self.planned.trials

    @property
    def running(self) -> int:
        """Trials running now."""
        return self.counts["running"]

    @property
    def finished(self) -> int:
        """Trials that went through the whole eval set."""
        return self.counts["finished"]

    @property
    def stopped(self) -> int:
        """Trials ended early by the scheduler."""
        return self.counts["stopped"]

    @property
    def failed(self) -> int:
        """Trials without a score."""
        return self.counts["failed"]

    @property
    def images_planned(self) -> int | None:
        """Images all trials would need, less what stopped trials saved; None if not known."""
        return self.planned.images

    @property
    def images(self) -> int:
        """Images done."""
        return self.result.images

    @property
    def cached(self) -> int:
        """Those of them that were taken from the cache."""
        return self.result.cached

    @property
    def cost(self) -> float | None:
        """Credits charged so far, or None where nothing was."""
        return self.result.cost

    @property
    def metric(self) -> str:
        """Name of the objective."""
        return self.result.metric

    @property
    def best(self) -> TrialResult | None:
        """The best trial so far."""
        return self.result.best

    @property
    def baseline(self) -> TrialResult | None:
        """The baseline trial, once it has a score."""
        baseline = self.result.baseline
        if baseline is not None and baseline.objective is not None:
            return baseline
        return None

    @property
    def budget(self) -> str:
        """What is spent of the budget, in words; "" without one."""
        return self.result.budget.compare(self.result.spent)

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, or None while it cannot be told."""
        if not self.rate or self.planned.images is None:
            return None
        return max(0, self.planned.images - self.result.images) / self.rate


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
