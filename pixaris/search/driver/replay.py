"""Keeps a search's journal, and tells new searchers and schedulers what it holds, as if they had been there.

`JournaledScheduler` and `Replay` stand between Tune and what decides. They write down what is proposed, told
and decided; and they start where an earlier process was killed: the searcher and the scheduler are made anew
and told the journal's events in their order, trials that are over never reach Tune again, and those that were
under way are its first.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import SearchGenerator

from pixaris.results.journal import Event, History, Journal
from pixaris.results.keys import TIME
from pixaris.results.report import Stop, TrialReport
from pixaris.search.algorithms.schedulers import pauses
from pixaris.search.algorithms.searchers import BaselineFirst
from pixaris.search.driver.reporting import remembered_result, report_of

_Result = dict[str, Any]


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


class JournaledScheduler(TrialScheduler):
    """A scheduler whose decisions are written down, and which never stops the baseline: all others are
    compared with it.

    A scheduler that decides about several trials together, by pausing them, does not hear of the baseline.

    Args:
        inner: Decides.
        journal: Where it is written.
        seed: Makes its draws repeatable, where it draws (ASHA, a trial's bracket).
        name: What it is called where it is said who stopped a trial.

    Attributes:
        stops: Number of a trial that was stopped, to why. A scheduler that can tell more than its name has a
            method ``why_stopped(number)``, which gives a `Stop`.
    """

    def __init__(self, inner: TrialScheduler, journal: Journal, seed: int, name: str) -> None:
        super().__init__()
        self._inner = inner
        self._journal = journal
        self._seed = seed
        self._known: set[str] = set()
        self._stopped: set[str] = set()
        self._pauses = pauses(inner)
        self._name = name
        self.stops: dict[int, Stop] = {}

    def _apart(self, trial: Trial) -> bool:
        return self._pauses and bool(trial.config["number"] == 0)

    @property
    def metric(self) -> Any:  # noqa: ANN401  (the inner scheduler's own)
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
        if not self._apart(trial):
            decision = str(self._inner.on_trial_result(tune_controller, trial, result))
        stop = decision == TrialScheduler.STOP
        if stop and trial.config["number"] == 0:
            stop, decision = False, str(TrialScheduler.CONTINUE)
        report = report_of(result) or TrialReport()
        why = self._why(trial, report) if stop else None
        if why is not None:
            self.stops[trial.config["number"]] = why
            self._stopped.add(trial.trial_id)
        self._journal.reported(trial.config["number"], report, why)
        return decision

    def _why(self, trial: Trial, report: TrialReport) -> Stop:
        """Why the scheduler has just stopped a trial: its own word, where it has one."""
        told = getattr(self._inner, "why_stopped", None)
        stop = told(trial.config["number"]) if told is not None else None
        return stop if isinstance(stop, Stop) else Stop(self._name, report.items)

    def on_trial_complete(self, tune_controller: Controller, trial: Trial, result: _Result) -> None:
        if not self._apart(trial):
            self._inner.on_trial_complete(tune_controller, trial, result)
        report = report_of(result) or TrialReport()
        # else the search was stopped, and the trial goes on when it is resumed
        if report.state == "ended" or trial.trial_id in self._stopped:
            self._journal.ended(trial.config["number"], report)

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
        elif event.kind == "reported":
            self._inner.on_trial_result(nobody, trial, remembered_result(event.report))
        else:
            self._inner.on_trial_complete(nobody, trial, remembered_result(event.report))


class Replay(SearchGenerator):
    """Hands Tune its trials: first those that an earlier process left unfinished, then what is proposed next.

    Args:
        proposals: Proposes parameter sets.
        scheduler: Told of every trial.
        journal: Where new proposals are written.
        history: What happened in earlier processes.
        at_once: Trials under way at the same time; None: as many as Tune takes.
        rerun: Whether all trials go through Tune again, with the results they have: for schedulers that pause
            trials, whose decisions need the trials themselves.
        handed_out: Called with every trial that is handed out: its number and its values.
    """

    def __init__(
        self,
        proposals: BaselineFirst,
        scheduler: JournaledScheduler,
        journal: Journal,
        history: History,
        *,
        at_once: int | None,
        rerun: bool,
        handed_out: Callable[[int, Mapping[str, Any]], object] | None = None,
    ) -> None:
        super().__init__(proposals)
        self._proposals = proposals
        self._scheduler = scheduler
        self._journal = journal
        self._history = history
        self._at_once = at_once
        self._rerun = rerun
        self._on_handed_out = handed_out
        self._waiting: deque[Trial] = deque()
        self._live: set[str] = set()
        self._heard: dict[
            str, float
        ] = {}  # trial to the items of the last report that the searcher heard in an earlier process

    def add_configurations(self, experiments: Any) -> None:  # noqa: ANN401  (as Tune has it)
        """Take what is to run, and remember what was."""
        super().add_configurations(experiments)
        self._remember()

    def is_finished(self) -> bool:
        return not self._waiting and bool(super().is_finished())

    def create_trial_if_possible(self, experiment_spec: Mapping[str, Any]) -> Trial | None:
        """The next trial, or None while there is none."""
        if self._waiting:
            return self._handed_out(self._waiting.popleft())
        if self._at_once is not None and len(self._live) >= self._at_once:
            return None
        trial = super().create_trial_if_possible(experiment_spec)
        if trial is not None:
            self._journal.proposed(trial.config["number"], trial.config["values"])
            self._live.add(trial.trial_id)
            self._handed_out(trial)
        return trial

    def _handed_out(self, trial: Trial) -> Trial:
        if self._on_handed_out is not None:
            self._on_handed_out(trial.config["number"], trial.config["values"])
        return trial

    def on_trial_result(self, trial_id: str, result: _Result) -> None:
        """Tell the searcher, unless it has heard this before."""
        if result.get(TIME, 0) > self._heard.get(trial_id, 0):
            super().on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: _Result | None = None, error: bool = False) -> None:
        """Tell the searcher, unless it has heard this before."""
        self._live.discard(trial_id)
        if self._heard.get(trial_id, 0) < math.inf:
            super().on_trial_complete(trial_id, result, error)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "_waiting": deque(),
            "_history": History(),
            "_on_handed_out": None,
        }  # Tune keeps copies, which nobody reads

    def _remember(self) -> None:
        trials: dict[int, Trial] = {}
        for event in self._history.replayed():
            if event.kind == "proposed":
                self._proposals.repeat(event.number, event.values)
                trials[event.number] = super().create_trial_if_possible(self._experiment.spec)
            trial = trials[event.number]
            if not self._rerun:
                self._scheduler.remember(event, trial)
            if event.kind == "reported" and event.stop is None:
                self._hear(trial, event.report)
            elif event.kind == "ended":
                self._hear_the_end(trial, event.report)
        for number, report in self._history.over.items():
            if self._heard.get(trials[number].trial_id) == math.inf:
                continue
            if not self._rerun:  # killed between the scheduler's decision and its execution
                self._scheduler.remember(Event("ended", number, report=report), trials[number])
            self._hear_the_end(trials[number], report)
        for number, trial in trials.items():
            if self._rerun or number not in self._history.over:
                done = self._history.latest[number].items if number in self._history.latest else 0
                trial.config["reported"] = 0 if self._rerun else done
                self._waiting.append(trial)
                self._live.add(trial.trial_id)

    def _hear(self, trial: Trial, report: TrialReport) -> None:
        """Tell the searcher what a trial told then."""
        self.on_trial_result(trial.trial_id, remembered_result(report))
        self._heard[trial.trial_id] = max(report.items, self._heard.get(trial.trial_id, 0))

    def _hear_the_end(self, trial: Trial, report: TrialReport) -> None:
        self._proposals.on_trial_complete(trial.trial_id, remembered_result(report))
        self._heard[trial.trial_id] = math.inf
