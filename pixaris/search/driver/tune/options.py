"""How Tune is told to run a search: what is the same whichever searcher and scheduler there are."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator, Sequence

from ray import tune
from ray.tune.experiment import Trial

from pixaris.results.paths import trial_name
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.tracker import SearchTracker
from pixaris.search.driver.tune.callbacks import TrackerCallback, TrackerStopper
from pixaris.search.driver.tune.journaled import JournaledScheduler
from pixaris.search.driver.tune.replay import Replay


def tune_config(plan: SearchPlan, trials: Replay, scheduler: JournaledScheduler) -> tune.TuneConfig:
    """Who proposes, who stops, and how many trials there are."""
    return tune.TuneConfig(
        search_alg=trials,
        scheduler=scheduler,
        num_samples=plan.size.trials or -1,
        reuse_actors=True,  # a process of its own would cost every trial a second or two
        trial_dirname_creator=lambda trial: trial_name(trial.config.get("number", 0)),
    )


class NoReporter(tune.ProgressReporter):
    """Shows nothing: how a search goes is shown by its listener. In a notebook Tune's own reporter clears
    what was printed before, also where it is told to be quiet.
    """

    def should_report(self, trials: Sequence[Trial], done: bool = False) -> bool:
        return False

    def report(self, trials: Sequence[Trial], done: bool, *sys_info: str) -> None:
        return


def run_config(plan: SearchPlan, tracker: SearchTracker, callback: TrackerCallback) -> tune.RunConfig:
    """Where Tune keeps what it keeps, whom it tells, and what it does when a process dies."""
    return tune.RunConfig(
        name=f"tune-{uuid.uuid4().hex[:8]}",  # one for each process of a search that is resumed
        storage_path=str(plan.paths.tune.resolve()),
        stop=TrackerStopper(tracker),
        callbacks=[callback],
        verbose=0,
        progress_reporter=NoReporter(),
        # Tune would ask for a checkpoint at every trial's end; a trial that cannot give one ends in error,
        # and nobody reads it: the journal and the run's folder have it all.
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        failure_config=tune.FailureConfig(max_failures=2),
    )


@contextlib.contextmanager
def processes_at_once(count: int) -> Iterator[None]:
    """Let Tune start so many processes side by side; else it waits for each before it starts the next."""
    name, before = "TUNE_MAX_PENDING_TRIALS_PG", os.environ.get("TUNE_MAX_PENDING_TRIALS_PG")
    os.environ[name] = before or str(count)
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
