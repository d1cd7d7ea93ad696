"""Hands Tune its trials: those that an earlier process left unfinished, what is proposed, and what died.

The searcher and the scheduler of a search that goes on are made anew and told the journal's events in their
order, as if they had been there. Trials that are over never reach Tune again, and those that were under way
are its first.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Set
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.search import SearchGenerator

from pixaris.results.journal import Event, History, Journal
from pixaris.results.report import OBJECTIVE, TIME, TrialReport
from pixaris.search.algorithms.race import RaceScheduler
from pixaris.search.algorithms.race_book import Over
from pixaris.search.algorithms.searchers import BaselineFirst
from pixaris.search.driver.tune.journaled import JournaledScheduler
from pixaris.search.driver.tune.lost_trials import LostTrials
from pixaris.search.driver.tune.reporting import remembered_result
from pixaris.types import ParamValue

_Result = dict[str, Any]


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

    Attributes:
        on_handed_out: Called with every trial that is handed out: its number and its values.
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
    ) -> None:
        super().__init__(proposals)
        self._proposals = proposals
        self._scheduler = scheduler
        self._journal = journal
        self._history = history
        self._at_once = at_once
        self._rerun = rerun
        self.on_handed_out: Callable[[int, Mapping[str, ParamValue]], object] | None = None
        self._waiting: deque[Trial] = deque()
        self._live: set[str] = set()
        # trial to the items of the last report that the searcher heard in an earlier process
        self._heard: dict[str, float] = {}
        self._lost = LostTrials()
        self._race = scheduler.race

    def add_configurations(self, experiments: object) -> None:
        """Take what is to run, and remember what was."""
        super().add_configurations(experiments)
        self._remember()

    def is_finished(self) -> bool:
        if self._race is not None and self._race.stopped():
            return True  # else Tune would wait for trials that nobody starts any more
        if self._race is not None and self._live:
            return False  # else Tune would end the processes that trials give up
        ended = self._race is not None and self._race.book.ended
        return not self._waiting and (ended or bool(super().is_finished()))

    @property
    def run_again(self) -> Set[int]:
        """Numbers of trials whose process died, and that wait to be run again."""
        return self._lost.waiting

    def create_trial_if_possible(self, experiment_spec: Mapping[str, object]) -> Trial | None:
        """The next trial, or None while there is none."""
        if self._race is not None:
            return self._next_of_race(self._race, experiment_spec)
        if self._waiting:
            return self._handed_out(self._waiting.popleft())
        if self._at_once is not None and len(self._live) >= self._at_once:
            return None
        return self._proposed(experiment_spec)

    def _proposed(self, experiment_spec: Mapping[str, object]) -> Trial | None:
        trial = super().create_trial_if_possible(experiment_spec)
        if trial is not None:
            self._journal.proposed(trial.config["number"], trial.config["values"])
            self._live.add(trial.trial_id)
            self._handed_out(trial)
        return trial

    def _next_of_race(self, race: RaceScheduler, experiment_spec: Mapping[str, object]) -> Trial | None:
        """The next trial of a race: one that waits and whose item is due, or a set that has room in it."""
        for trial in self._waiting:
            if race.book.is_due(trial.config["number"]):
                self._waiting.remove(trial)
                return self._handed_out(trial)
        if not race.book.room or super().is_finished():
            return None
        trial = self._proposed(experiment_spec)
        if trial is None:
            race.book.start_without_more(last=bool(super().is_finished()))
            self._scheduler.tell_over()
        return trial

    def told_over(self, trial: Trial, over: Over) -> None:
        """A race is through with a trial: the searcher learns what it would have got over all items."""
        self._live.discard(trial.trial_id)
        if trial in self._waiting:
            self._waiting.remove(trial)
        result = remembered_result(over.report)
        if over.estimate is not None:
            # A set that fell early has a mean over a few items; corrected for which they were, it can be
            # compared with the others.
            result[OBJECTIVE] = over.estimate
        own = self._lost.first_id(trial.trial_id)
        # The searcher hears of it here, and not again when Tune ends the trial.
        self._heard[own] = math.inf
        self._proposals.on_trial_complete(own, result)

    def _handed_out(self, trial: Trial) -> Trial:
        self._lost.handed_out(trial)
        if self.on_handed_out is not None:
            self.on_handed_out(trial.config["number"], trial.config["values"])
        return trial

    def on_trial_result(self, trial_id: str, result: _Result) -> None:
        """Tell the searcher, unless it has heard this before."""
        self._lost.any_reported = True
        if self._race is not None:
            return  # a mean over the first items is no score; the searcher learns how a trial ends
        own = self._lost.first_id(trial_id)
        if result.get(TIME, 0) > self._heard.get(own, 0):
            super().on_trial_result(own, result)

    def on_trial_complete(self, trial_id: str, result: _Result | None = None, error: bool = False) -> None:
        """Tell the searcher, unless it has heard this before, or the trial is to be run again."""
        self._lost.any_reported |= not error  # a trial of one step is told here alone
        again = self._lost.another(trial_id) if error else None
        if again is not None:
            # Its old id is over for Tune; the searcher goes on knowing the trial by that id.
            self._waiting.append(again)
            self._live.discard(trial_id)
            self._live.add(again.trial_id)
            return
        self._live.discard(trial_id)
        own = self._lost.first_id(trial_id)
        if self._heard.get(own, 0) < math.inf:
            super().on_trial_complete(own, result, error)

    def __getstate__(self) -> dict[str, object]:
        # Tune keeps copies, which nobody reads
        bare = {"_waiting": deque(), "_history": History(), "on_handed_out": None, "_lost": LostTrials()}
        return {**self.__dict__, **bare}

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
            over = number in self._history.over or number in self._scheduler.over
            if self._rerun or not over:
                done = self._history.latest[number].items if number in self._history.latest else 0
                trial.config["reported"] = 0 if self._rerun else done
                self._waiting.append(trial)
                self._live.add(trial.trial_id)

    def _hear(self, trial: Trial, report: TrialReport) -> None:
        """Tell the searcher what a trial told then."""
        self.on_trial_result(trial.trial_id, remembered_result(report))
        self._heard[trial.trial_id] = max(report.items, self._heard.get(trial.trial_id, 0))

    def _hear_the_end(self, trial: Trial, report: TrialReport) -> None:
        # A race has told it already (`told_over`), and the searcher would take it for another set.
        if self._heard.get(trial.trial_id) == math.inf:
            return
        self._proposals.on_trial_complete(trial.trial_id, remembered_result(report))
        self._heard[trial.trial_id] = math.inf
