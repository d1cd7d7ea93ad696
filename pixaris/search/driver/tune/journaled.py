"""A scheduler whose decisions are written down, and can be told again to a new one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from pixaris.results.journal import Event, Journal
from pixaris.results.report import Stop, TrialReport
from pixaris.search.algorithms.race import RaceScheduler
from pixaris.search.algorithms.race_book import Over
from pixaris.search.algorithms.schedulers import pauses
from pixaris.search.driver.tune.reporting import remembered_result, report_of

_Result = dict[str, object]


class Controller(Protocol):
    """What schedulers ask of Tune's controller while they only listen."""

    def get_trials(self) -> list[Trial]:
        """All trials."""

    def get_live_trials(self) -> set[Trial]:
        """Those that are not over."""


class _Nobody:
    """The controller of trials that are not run but remembered."""

    def get_trials(self) -> list[Trial]:
        return []

    def get_live_trials(self) -> set[Trial]:
        return set()


def _nobody_rejects(number: int) -> str | None:
    """Who wants a trial to be stopped, where nobody can say so."""
    return None


def _nobody_listens(over: Over, fresh: bool) -> None:
    """What a trial that is over is told to, as long as nobody wants to know."""


class JournaledScheduler(TrialScheduler):
    """A scheduler whose decisions are written down, and which never stops the baseline: all others are
    compared with it.

    A scheduler that decides about several trials together, by pausing them, does not hear of the baseline.

    Args:
        inner: Decides.
        journal: Where it is written.
        seed: Makes its draws repeatable, where it draws (ASHA, a trial's bracket).
        name: What it is called where it is said who stopped a trial.
        written_over: Numbers of trials that the journal has as over.

    Attributes:
        race: The inner scheduler, where it is a race: it ends trials whether or not they have just reported.
        over: Numbers of the trials that a race is through with.
        rejected: Tells who wants a trial of a number to be stopped, or None.
        told_over: Called with every trial that a race is through with, and whether the journal did not have
            it as over before.
        stops: Number of a trial that was stopped, to why. A scheduler that can tell more than its name has a
            method ``why_stopped(number)``, which gives a `Stop`.
    """

    def __init__(
        self,
        inner: TrialScheduler,
        journal: Journal,
        seed: int,
        name: str,
        written_over: Collection[int] = (),
    ) -> None:
        super().__init__()
        self._inner = inner
        self._journal = journal
        self._seed = seed
        self._known: set[str] = set()
        self._stopped: set[str] = set()
        self._pauses = pauses(inner)
        self._name = name
        self.stops: dict[int, Stop] = {}
        self.race = inner if isinstance(inner, RaceScheduler) else None
        self.over: set[int] = set()
        self._written_over = written_over
        self.told_over: Callable[[Over, bool], object] = _nobody_listens
        self.rejected: Callable[[int], str | None] = _nobody_rejects

    def __getstate__(self) -> dict[str, object]:
        nobody = {"told_over": _nobody_listens, "rejected": _nobody_rejects}
        return {**self.__dict__, **nobody}  # Tune keeps copies, which nobody reads

    def _apart(self, trial: Trial) -> bool:
        return self._pauses and bool(trial.config["number"] == 0)

    @property
    def metric(self) -> object:
        return self._inner.metric

    @property
    def supports_buffered_results(self) -> bool:
        return bool(self._inner.supports_buffered_results)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: object) -> bool:
        return bool(self._inner.set_search_properties(metric, mode, **spec))

    def on_trial_add(self, tune_controller: Controller, trial: Trial) -> None:
        if trial.trial_id in self._known:
            self._known.discard(trial.trial_id)  # it was added when it was remembered
            return
        if self._apart(trial):
            return
        # Tune's schedulers draw from NumPy's own generator, which is everybody's.
        before = np.random.get_state()
        np.random.seed((self._seed + trial.config["number"]) % 2**32)
        try:
            self._inner.on_trial_add(tune_controller, trial)
        finally:
            np.random.set_state(before)

    def on_trial_error(self, tune_controller: Controller, trial: Trial) -> None:
        if not self._apart(trial):
            self._inner.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Controller, trial: Trial, result: _Result) -> str:
        decision = str(TrialScheduler.CONTINUE)
        wish = self._wish(trial, result)
        if not self._apart(trial):
            decision = str(self._inner.on_trial_result(tune_controller, trial, result))
        stop = decision == TrialScheduler.STOP
        if wish is not None and self.race is None:
            stop, decision = True, str(TrialScheduler.STOP)
        # The inner scheduler goes on without it; it runs to its end all the same, as the others are
        # compared with it.
        if stop and trial.config["number"] == 0:
            stop, decision = False, str(TrialScheduler.CONTINUE)
        report = report_of(result) or TrialReport()
        why = (wish or self._why(trial, report)) if stop else None
        if why is not None:
            self.stops[trial.config["number"]] = why
            self._stopped.add(trial.trial_id)
        # Before Tune acts on the decision: a process that is killed in between stops the trial when it goes
        # on.
        self._journal.reported(trial.config["number"], report, why)
        self.tell_over()
        return decision

    def _wish(self, trial: Trial, result: _Result) -> Stop | None:
        """Why a trial is stopped that somebody has rejected; a race is told of it. None if nobody has."""
        number, report = trial.config["number"], report_of(result) or TrialReport()
        by = self.rejected(number)
        if by is None or number == 0 or report.is_over:
            return None
        stop = Stop("user", report.items, note=f"rejected by {by}")
        if self.race is not None:
            self.race.book.hear(number, report)
            self.race.book.withdraw(number, stop)
        return stop

    def tell_over(self) -> None:
        """Write down and tell which trials a race is through with."""
        for over in self.race.book.take_over() if self.race is not None else ():
            number = over.number
            self.over.add(number)
            if over.stop is not None:
                self.stops[number] = over.stop
            fresh = number not in self._written_over
            if fresh and over.stop is not None:
                self._journal.reported(number, over.report, over.stop)
            elif fresh:
                self._journal.ended(number, over.report)
            self.told_over(over, fresh)

    def _why(self, trial: Trial, report: TrialReport) -> Stop:
        """Why the scheduler has just stopped a trial: its own word, where it has one."""
        told = getattr(self._inner, "why_stopped", None)
        stop = told(trial.config["number"]) if told is not None else None
        if isinstance(stop, Stop):
            return stop
        return Stop(self._name, report.items)

    def on_trial_complete(self, tune_controller: Controller, trial: Trial, result: _Result) -> None:
        if not self._apart(trial):
            self._inner.on_trial_complete(tune_controller, trial, result)
        if trial.config["number"] in self.over:
            return  # that was written down when the race was through with it
        report = report_of(result) or TrialReport()
        # else the search was stopped, and the trial goes on when it is resumed
        if report.is_over or trial.trial_id in self._stopped:
            self._journal.ended(trial.config["number"], report)
        self.tell_over()

    def on_trial_remove(self, tune_controller: Controller, trial: Trial) -> None:
        if not self._apart(trial):
            self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Controller) -> Trial | None:
        for trial in tune_controller.get_live_trials() if self._pauses else ():
            if self._apart(trial) and trial.status == Trial.PENDING:
                return trial
        return self._inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        return str(self._inner.debug_string())

    def save(self, checkpoint_path: str) -> None:
        self._inner.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        self._inner.restore(checkpoint_path)

    # Of an earlier process

    def remember(self, event: Event, trial: Trial) -> None:
        """Tell the scheduler what happened to a trial then; what it decides now does not count."""
        nobody = _Nobody()
        if event.kind == "proposed":
            self.on_trial_add(nobody, trial)
            self._known.add(trial.trial_id)
        elif self._apart(trial):
            pass
        elif self.race is not None:
            self.race.book.hear(event.number, event.report)
            if event.kind == "ended":
                self.race.book.withdraw(event.number)
            self.tell_over()
        elif event.kind == "reported":
            self._inner.on_trial_result(nobody, trial, remembered_result(event.report))
        else:
            self._inner.on_trial_complete(nobody, trial, remembered_result(event.report))
