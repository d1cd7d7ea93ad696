"""What stands between Tune and its schedulers: the journal, and the baseline's right to all items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from pixaris.results.journal import History, Journal
from pixaris.results.paths import SearchPaths
from pixaris.results.report import Stop, TrialReport
from pixaris.search.algorithms import schedulers
from pixaris.search.driver.tune.journaled import JournaledScheduler
from pixaris.search.driver.tune.reporting import as_result

ITEMS = 9


class Tune:
    """What schedulers ask of Tune's controller."""

    def __init__(self, trials: list[Trial]) -> None:
        self.trials = trials
        self.stopped: list[Trial] = []

    def get_trials(self) -> list[Trial]:
        return self.trials

    def get_live_trials(self) -> set[Trial]:
        return set(self.trials)

    def stop_trial(self, trial: Trial, **_: Any) -> None:
        self.stopped.append(trial)


def trial_of(number: int, status: str = Trial.PENDING) -> Trial:
    trial = Trial("any", config={"number": number, "values": {}}, stub=True)
    trial.status = status
    return trial


def told(name: str, options: dict[str, Any], folder: Path, scores: list[float]) -> list[list[str]]:
    """What a scheduler decides about trials with these scores after each step; the worst of all is the
    baseline.
    """
    inner = schedulers.build(name, options, items=ITEMS, step=1, direction="max")
    trials = [trial_of(number, Trial.RUNNING) for number in range(len(scores))]
    tune = Tune(trials)
    decided: list[list[str]] = [[] for _ in scores]
    journal = Journal(SearchPaths(folder))
    scheduler = JournaledScheduler(inner, journal, 5, name)
    for trial in trials:
        journal.proposed(trial.config["number"], {})
        scheduler.on_trial_add(tune, trial)
    for items in range(1, ITEMS + 1):
        for trial, score, seen in zip(trials, scores, decided, strict=True):
            if "STOP" not in seen:
                seen.append(scheduler.on_trial_result(tune, trial, as_result(TrialReport((score,), items))))
    return decided


@pytest.mark.parametrize(
    ("name", "options"), [("asha", {"grace_period": 1}), ("median", {"min_samples_required": 2})]
)
def test_the_baseline_is_never_stopped_and_the_others_are(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    baseline, *others = told(name, options, tmp_path, [0.1, 0.9, 0.8, 0.2, 0.1])
    worst = others[-1]
    assert baseline == ["CONTINUE"] * ITEMS, "all others are compared with it, image by image"
    assert worst[-1] == "STOP"
    assert len(worst) < ITEMS
    history = History.read(SearchPaths(tmp_path))
    assert not [event for event in history.events if event.number == 0 and event.stop]
    assert history.stops[4] == Stop(name, len(worst))


def test_a_set_that_somebody_rejects_is_stopped_and_the_baseline_is_not(tmp_path: Path) -> None:
    inner = schedulers.build("fifo", {}, items=ITEMS, step=1, direction="max")
    trials = [trial_of(number, Trial.RUNNING) for number in range(3)]
    tune = Tune(trials)
    paths = SearchPaths(tmp_path)
    journal = Journal(paths)
    scheduler = JournaledScheduler(inner, journal, 5, "fifo")
    scheduler.rejected = {0: "ann", 1: "ann"}.get
    for trial in trials:
        journal.proposed(trial.config["number"], {})
        scheduler.on_trial_add(tune, trial)
    report = as_result(TrialReport((0.5,), 1, item_scores={"ssim": {0: 0.5}}))
    decided = [scheduler.on_trial_result(tune, trial, dict(report)) for trial in trials]
    assert decided == ["CONTINUE", "STOP", "CONTINUE"]
    wanted = Stop("user", 1, note="rejected by ann")
    assert scheduler.stops == {1: wanted}
    assert History.read(paths).stops == {1: wanted}


def test_what_is_paused_with_others_does_not_hold_the_baseline(tmp_path: Path) -> None:
    inner = schedulers.build("hyperband", {}, items=ITEMS, step=1, direction="max")
    trials = [trial_of(number) for number in range(3)]
    tune = Tune(trials)
    scheduler = JournaledScheduler(inner, Journal(SearchPaths(tmp_path)), 5, "hyperband")
    for trial in trials:
        scheduler.on_trial_add(tune, trial)
    assert scheduler.choose_trial_to_run(tune) is trials[0]
    trials[0].status = Trial.RUNNING
    report = as_result(TrialReport((0.0,), ITEMS, state="ended"))
    assert scheduler.on_trial_result(tune, trials[0], report) == TrialScheduler.CONTINUE
    scheduler.on_trial_complete(tune, trials[0], report)
    scheduler.on_trial_remove(tune, trials[0])
    trials[0].status = Trial.TERMINATED
    assert scheduler.choose_trial_to_run(tune) in trials[1:]
