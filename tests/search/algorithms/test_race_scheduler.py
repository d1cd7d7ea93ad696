"""Who has a process in a race: many trials, few processes, by a controller that behaves as Tune's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from pixaris.results.report import OBJECTIVE, REPORT, Stop, TrialReport
from pixaris.search.algorithms.race import REPORTED, SNAPSHOT, RaceScheduler
from pixaris.search.algorithms.race_book import Field, RaceBook, RacedScores
from pixaris.statistics.racing.look import Rules
from pixaris.statistics.racing.race import Race

ITEMS = 6
REJECTED = Stop("user", 1, note="rejected by ann")


class Controller:
    """Runs trials as Tune does: one event at a time; a process that a trial gives up goes to the next one."""

    def __init__(self, scheduler: RaceScheduler, table: np.ndarray, processes: int) -> None:  # type: ignore[type-arg]
        self.scheduler = scheduler
        self.table = table
        self.processes = processes
        self.trials: list[Trial] = []
        self.running: list[Trial] = []
        self.spare = 0
        self.started = 0
        self.most = 0
        self.last: dict[int, dict[str, Any]] = {}
        self.went_on: list[tuple[int, Any]] = []

    def get_live_trials(self) -> set[Trial]:
        return {trial for trial in self.trials if trial.status != Trial.TERMINATED}

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        assert not should_checkpoint
        assert trial.status == Trial.RUNNING
        trial.status = Trial.PAUSED
        self.spare += 1

    def stop_trial(self, trial: Trial) -> None:
        had = trial.status == Trial.RUNNING
        trial.status = Trial.TERMINATED
        if had:
            self.scheduler.on_trial_complete(self, trial, self.last[trial.config["number"]])
            self.spare += 1
        else:
            self.scheduler.on_trial_remove(self, trial)

    def add(self, number: int) -> None:
        trial = Trial("any", config={"number": number, "values": {}}, stub=True)
        self.trials.append(trial)
        self.scheduler.on_trial_add(self, trial)

    def step(self) -> None:
        """As Tune's: the chosen one first, then those that wait for their first process."""
        chosen = self.scheduler.choose_trial_to_run(self)
        for trial in [chosen, *self.trials]:
            if trial is None or trial.status not in (Trial.PENDING, Trial.PAUSED):
                continue
            if trial is chosen or trial.status == Trial.PENDING:
                self._start(trial)
        if self.running:
            self._result(self.running.pop(0))

    def _start(self, trial: Trial) -> None:
        busy = sum(one.status == Trial.RUNNING for one in self.trials)
        if self.spare:
            self.spare -= 1
        elif busy < self.processes:
            self.started += 1
        else:
            assert trial.status == Trial.PENDING, "it was chosen although no process is free"
            return
        self.went_on.append((trial.config["number"], trial.config.get(REPORTED, 0)))
        trial.status = Trial.RUNNING
        self.running.append(trial)
        self.most = max(self.most, busy + 1)

    def _result(self, trial: Trial) -> None:
        number = trial.config["number"]
        done = self.scheduler.book.items(number) + 1
        scores = {index: float(self.table[number, index]) for index in range(done)}
        state = "ended" if done == ITEMS else "running"
        report = TrialReport((0.0,), done, item_scores={"x": scores}, state=state)  # type: ignore[arg-type]
        told = {OBJECTIVE: 0.0, REPORT: report, SNAPSHOT: b"%d after %d" % (number, done)}
        self.last[number] = told
        decision = self.scheduler.on_trial_result(self, trial, told)
        if decision == TrialScheduler.CONTINUE:
            self.running.append(trial)
        else:
            assert decision == TrialScheduler.NOOP


def table_of(sets: int) -> np.ndarray:  # type: ignore[type-arg]
    draws = np.random.default_rng(3)
    return draws.normal(0, 0.3, (sets, 1)) + draws.normal(0, 0.3, ITEMS) + draws.normal(0, 0.2, (sets, ITEMS))


def raced(sets: int, processes: int, side_by_side: int = 256, rejected: int | None = None) -> Controller:
    race = Race(Rules(items=ITEMS))
    scores = RacedScores(("x",), (1.0,), tuple(range(ITEMS)))
    scheduler = RaceScheduler(RaceBook(race, scores, Field(side_by_side, sets)), processes)
    controller = Controller(scheduler, table_of(sets), processes)
    coming = 0
    for _ in range(sets * ITEMS * 4):
        if coming < sets and scheduler.book.room:
            controller.add(coming)
            coming += 1
        controller.step()
        if rejected is not None:
            scheduler.book.withdraw(rejected, REJECTED)
        if coming == sets and not controller.get_live_trials():
            return controller
    raise AssertionError("the race does not end")


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("side_by_side", [4, 256])
def test_many_sets_share_few_processes(processes: int, side_by_side: int) -> None:
    controller = raced(12, processes, side_by_side)
    assert controller.started == controller.most <= processes, "no process ends and is started again"
    book = controller.scheduler.book
    assert len(book.over) == 12
    assert all(trial.status == Trial.TERMINATED for trial in controller.trials)


@pytest.mark.parametrize("processes", [1, 3])
def test_a_set_that_somebody_rejects_falls_with_its_first_report_and_the_others_race_on(
    processes: int,
) -> None:
    controller = raced(8, processes, rejected=2)
    stops = {one.number: one.stop for one in controller.scheduler.book.take_over()}
    assert stops[2] == REJECTED
    assert len(stops) == 8
    assert None in stops.values(), "somebody wins"


def test_a_set_goes_on_with_what_it_has() -> None:
    controller = raced(8, 2)
    assert all(0 <= reported < ITEMS for _, reported in controller.went_on)
    resumed = [turn for turn in controller.went_on if turn[1]]
    assert resumed
    assert len(set(controller.went_on)) == len(controller.went_on), "no item is begun twice"


def test_decisions_are_the_same_with_any_number_of_processes() -> None:
    fallen = []
    for processes in (1, 3):
        told = raced(12, processes).scheduler.book.take_over()
        fallen.append({one.number: one.stop for one in told})
    assert fallen[0] == fallen[1]


def test_nothing_is_begun_once_the_search_is_stopped() -> None:
    race = Race(Rules(items=ITEMS))
    scores = RacedScores(("x",), (1.0,), tuple(range(ITEMS)))
    scheduler = RaceScheduler(RaceBook(race, scores, Field(4, 4)), 2)
    controller = Controller(scheduler, table_of(4), 2)
    for number in range(4):
        controller.add(number)
    controller.step()
    scheduler.stopped = lambda: True
    assert scheduler.choose_trial_to_run(controller) is None
    assert scheduler.at_rest(0)
    assert not scheduler.at_rest(3)


def refused(scheduler: RaceScheduler, controller: Controller, number: int) -> None:
    """Tune ends a trial whose next image the budget does not pay for."""
    trial = scheduler.trial(number)
    report = TrialReport((None,), scheduler.book.items(number), state="interrupted")
    scheduler.on_trial_complete(controller, trial, {REPORT: report})


def test_a_race_ends_where_the_budget_refuses_its_images() -> None:
    race = Race(Rules(items=ITEMS))
    scores = RacedScores(("x",), (1.0,), tuple(range(ITEMS)))
    scheduler = RaceScheduler(RaceBook(race, scores, Field(4, 9)), 2)
    controller = Controller(scheduler, table_of(4), 2)
    for number in range(3):
        controller.add(number)
    controller.step()
    for number in range(3):
        assert not scheduler.book.ended
        refused(scheduler, controller, number)
    assert scheduler.book.ended
    assert not scheduler.book.room


def test_a_search_that_was_stopped_keeps_its_sets_for_later() -> None:
    race = Race(Rules(items=ITEMS))
    scores = RacedScores(("x",), (1.0,), tuple(range(ITEMS)))
    scheduler = RaceScheduler(RaceBook(race, scores, Field(4, 9)), 2)
    controller = Controller(scheduler, table_of(4), 2)
    controller.add(0)
    scheduler.stopped = lambda: True
    refused(scheduler, controller, 0)
    assert scheduler.book.living == [0]
