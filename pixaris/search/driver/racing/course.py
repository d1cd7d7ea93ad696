"""A search's trials on their course: what is told to whom when they are handed out, report and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pixaris.search.algorithms.race import RaceScheduler
from pixaris.search.algorithms.race_book import Over
from pixaris.search.algorithms.searchers import BaselineFirst
from pixaris.search.driver.ahead.prefetch import Prefetcher
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.racing.ahead import RaceAhead
from pixaris.search.driver.racing.closing import RunCloser
from pixaris.search.driver.racing.trial import RacedTrial
from pixaris.search.driver.tracker import SearchTracker
from pixaris.search.driver.trial import ExperimentTrial, TrialConfig
from pixaris.search.driver.tune.journaled import JournaledScheduler
from pixaris.search.driver.tune.replay import Replay
from pixaris.types import ParamValue


class Course:
    """Connects a race with all who must hear of it; of other schedulers it only knows the trials' class.

    When a race is through with a trial, searcher, tracker, files and endpoints are told at once. Tune ends
    the trial when its process is needed.

    Args:
        plan: The search.
        config: What trials are made from.
        scheduler: Decides.
        trials: Hands out trials.
        tracker: Knows how the search stands.
        proposals: Knows which sets come.
    """

    def __init__(
        self,
        plan: SearchPlan,
        config: TrialConfig,
        scheduler: JournaledScheduler,
        trials: Replay,
        tracker: SearchTracker,
        proposals: BaselineFirst,
    ) -> None:
        self._race = scheduler.race
        self._trials = trials
        self._tracker = tracker
        self._closer: RunCloser | None = None
        self._ahead: RaceAhead | None = None
        self.trainable: type[ExperimentTrial] = ExperimentTrial
        if self._race is not None:
            self._connect(self._race, scheduler, config)
            if plan.pace.races_ahead:
                self._ahead = RaceAhead(config, self._race.book, proposals)

    def _connect(self, race: RaceScheduler, scheduler: JournaledScheduler, config: TrialConfig) -> None:
        self.trainable = RacedTrial
        self._closer = RunCloser(config, self._tracker.fail)
        race.stopped = lambda: self._tracker.stopped
        self._tracker.at_rest = race.at_rest
        scheduler.told_over = self._over

    def handed_out(self, prefetcher: Prefetcher) -> Callable[[int, Mapping[str, ParamValue]], None]:
        """What to do with a trial that is handed to Tune: have images queued for it and for those to come."""

        def begin(number: int, values: Mapping[str, ParamValue]) -> None:
            if self._ahead is not None:
                self._ahead.began(number, values)
            prefetcher.prefetch(number, values)

        return begin

    def reported(self, number: int, items: int) -> None:
        """A trial has so many items, and what follows from it is decided."""
        if self._ahead is not None:
            self._ahead.reported(number, items)

    def _over(self, over: Over, fresh: bool) -> None:
        """A race is through with a trial; `fresh`: an earlier process was not."""
        assert self._race is not None
        trial = self._race.trial(over.number)
        self._trials.told_over(trial, over)
        # The earlier process has told tracker and files of it; only the searcher is made anew.
        if not fresh:
            return
        self._tracker.trial_ended(trial.config, over.report, stop=over.stop)
        if over.stop is not None and self._closer is not None:
            self._closer.close_run(over, trial.config["values"], "stopped")
        if self._ahead is not None:
            self._ahead.over(over.number)

    def close(self) -> None:
        """Store how the runs ended that no process is there to end."""
        if self._race is None or self._closer is None:
            return
        # Tune ends paused trials without a word to their processes, which run other sets by now.
        for over in self._race.book.unfinished():
            values = self._race.trial(over.number).config["values"]
            self._closer.close_run(over, values, "interrupted")
        self._closer.close()
