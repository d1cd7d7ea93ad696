"""What Ray Tune calls while a search runs: passes on to the tracker what happens to trials."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from pathlib import Path

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.stopper import NoopStopper

from pixaris.results.report import Stop, TrialReport
from pixaris.search.algorithms.race import SNAPSHOT
from pixaris.search.driver.tracker import SearchTracker
from pixaris.search.driver.tune.reporting import report_of


class TrackerCallback(tune.Callback):
    """Tells the tracker of every trial.

    Args:
        tracker: Knows how the search stands.
        stops: Number of a trial that the scheduler has stopped, to why.
        run_again: Numbers of trials whose process died, and that wait to be run again.
        over: Numbers of trials that the tracker knows to be over: a race ends them before Tune does.
        reported: Called with a trial's number and the items that it has.
    """

    def __init__(
        self,
        tracker: SearchTracker,
        stops: Mapping[int, Stop],
        run_again: Set[int],
        over: Set[int] = frozenset(),
        reported: Callable[[int, int], object] | None = None,
    ) -> None:
        self._tracker = tracker
        self._stops = stops
        self._run_again = run_again
        self._over = over
        self._reported = reported

    def __reduce__(self) -> tuple[object, ...]:
        return tune.Callback, ()  # Tune pickles its settings; a tracker belongs to this process

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        self._tracker.trial_started(trial.config)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, object], **info: object
    ) -> None:
        result.pop(SNAPSHOT, None)  # the race has it
        report = report_of(result) or TrialReport()
        if trial.config["number"] not in self._over:
            self._tracker.trial_reported(trial.config, report)
        if self._reported is not None:
            self._reported(trial.config["number"], report.items)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        """Its process died, and Tune is going to start another one for it."""
        report = report_of(trial.last_result)
        trial.config["reported"] = 0 if report is None else report.items  # what it told is not told again
        self._tracker.trial_lost(trial.config, _last_error(trial.error_file))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        if trial.config["number"] in self._over:
            return
        stop = self._stops.get(trial.config["number"])
        self._tracker.trial_ended(trial.config, report_of(trial.last_result), stop=stop)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: object) -> None:
        error = _last_error(trial.error_file)
        if trial.config["number"] in self._run_again:
            self._tracker.trial_lost(trial.config, error)
        else:
            self._tracker.trial_ended(trial.config, report_of(trial.last_result), error=error)


class TrackerStopper(tune.Stopper):
    """Ends Tune once the search was asked to stop and its trials have told what they have."""

    def __init__(self, tracker: SearchTracker) -> None:
        self._tracker = tracker

    def __reduce__(self) -> tuple[object, ...]:
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._tracker.settled


def _last_error(path: str | None) -> str:
    """The last exception in the file that Tune writes of a trial's errors."""
    try:
        lines = Path(path or "").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "it was killed"
    errors = [line.strip() for line in lines if re.match(r"\s*[\w.]*(Error|Exception|Exit)\b.*: ", line)]
    if errors:
        return errors[-1]
    return "it was killed"
