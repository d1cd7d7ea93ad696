"""The race as a scheduler of Ray Tune: many sets side by side, few processes.

Every living set runs its next item, then all are looked at. A set that waits for its turn holds no process:
it is paused without a checkpoint, which costs one hand-over of a process (some 25 ms, measured at 40 sets)
and no more than starting a trial does. A process is only taken from a trial at the moment when another one
needs it; until then the trial keeps it, at rest. Several sets in one process would be no cheaper to hand
over and would be no trials any more; running each set some items ahead makes images in vain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from pixaris.results.report import OBJECTIVE, REPORT, TrialReport
from pixaris.search.algorithms.race_book import Book

SNAPSHOT = "snapshot"
"""The key under which a trial tells what another process needs to go on with it, and is given it."""

REPORTED = "reported"
"""The key under which a trial is told how many items it has reported already."""

_STARTED = (Trial.RUNNING, Trial.PENDING)
_WAITING = (Trial.PAUSED, Trial.PENDING)


class RaceScheduler(TrialScheduler):
    """Stops the sets that have no chance left, after every item.

    Decisions are the book's; this hands out the processes. A trial that is over (it fell, or went through) is
    told of by `RaceBook.take_over`; Tune itself ends it when its process is needed.

    Args:
        book: Who takes part, is due, and is over.
        processes: Processes that the sets share.

    Attributes:
        book: As given.
        stopped: Whether no trial is to begin another item.
    """

    def __init__(self, book: Book, processes: int) -> None:
        super().__init__()
        self.book = book
        self.stopped: Callable[[], bool] = bool
        self._processes = processes
        self._trials: dict[int, Trial] = {}
        self._at_rest: set[int] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "stopped": bool, "book": None}  # Tune keeps copies, which nobody reads

    @property
    def metric(self) -> str:
        return OBJECTIVE

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: object) -> bool:
        return True

    def trial(self, number: int) -> Trial:
        """The trial of a number, as Tune has it."""
        return self._trials[number]

    def at_rest(self, number: int) -> bool:
        """Whether a trial waits for its turn, so that it has told all it knows."""
        trial = self._trials.get(number)
        return number in self._at_rest or (trial is not None and trial.status == Trial.PAUSED)

    # What Tune tells

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        number = trial.config["number"]
        self._trials[number] = trial
        self._at_rest.discard(number)
        self._go_on(trial)  # its process may have died
        self.book.enter(number)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self._at_rest.discard(trial.config["number"])

    def on_trial_result(self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]) -> str:
        number = trial.config["number"]
        # The process has it now; it would travel along with every further change of the trial.
        trial.config.pop(SNAPSHOT, None)
        self.book.hear(number, result[REPORT], result.get(SNAPSHOT))
        goes_on = number not in self.book.over and not self.stopped()
        if goes_on and self._next(tune_controller, number) is trial:
            return str(TrialScheduler.CONTINUE)
        self._at_rest.add(number)
        # Neither goes on nor gives its process up, until it is known who needs it.
        return str(TrialScheduler.NOOP)

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        number, report = trial.config["number"], result.get(REPORT)
        self._at_rest.discard(number)
        if isinstance(report, TrialReport) and report.is_over:
            self.book.hear(number, report)
        elif number not in self.book.over and not self.stopped():
            # the budget pays for no other image, of whichever set
            self.book.withdraw(number)
            self.book.start_without_more(last=True)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self._at_rest.discard(trial.config["number"])

    # Who has a process

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        self._end_waiting(tune_controller)
        if self.stopped():
            trial = None
        else:
            trial = self._next(tune_controller)
        if trial is None:
            if self.book.ended:
                self._end_resting(tune_controller)
            return None
        if self._resting():
            self._free_a_process(tune_controller, trial.config["number"])
        elif trial.status == Trial.PENDING:
            return None  # Tune is about to give it one
        elif sum(one.status in _STARTED for one in tune_controller.get_live_trials()) >= self._processes:
            return None
        self._go_on(trial)
        return trial

    def _go_on(self, trial: Trial) -> None:
        """Give a trial what another process left of it."""
        number = trial.config["number"]
        if self.book.items(number):
            # By the configuration, because that is all that Tune hands to the process that takes the trial
            # over.
            trial.config[REPORTED] = self.book.items(number)
            trial.config[SNAPSHOT] = self.book.snapshot(number)

    def _next(self, tune_controller: TuneController, here: int | None = None) -> Trial | None:
        """The trial whose turn it is: of those that are due the most urgent one.

        Args:
            tune_controller: Tune's, which may not have got all trials of an earlier process yet.
            here: A trial that has a process, which it need not change if it is its turn too.
        """
        due = []
        for trial in tune_controller.get_live_trials():
            number = trial.config["number"]
            if self.book.is_due(number) and self._is_free(number, trial, here):
                due.append(number)
        if not due:
            return None
        return self._trials[min(due, key=lambda number: (self.book.urgency(number), number != here, number))]

    def _is_free(self, number: int, trial: Trial, here: int | None) -> bool:
        """Whether a trial is not about to run its next item anyway."""
        if number == here or trial.status == Trial.PAUSED:
            return True
        if trial.status == Trial.PENDING:
            return trial.temporary_state.ray_actor is None
        return number in self._at_rest

    def _resting(self) -> list[int]:
        """Trials that keep a process and have no turn; those that are over first."""
        running = [number for number in self._at_rest if self._trials[number].status == Trial.RUNNING]
        return sorted(running, key=lambda number: (number not in self.book.over, number))

    def _free_a_process(self, tune_controller: TuneController, number: int) -> None:
        """Let a trial at rest give up its process, for the trial of a number."""
        resting = self._resting()
        # Its own, if it has one: no hand-over at all.
        if number in resting:
            giver = number
        else:
            giver = resting[0]
        self._at_rest.discard(giver)
        if giver in self.book.over:
            tune_controller.stop_trial(self._trials[giver])
        else:
            # Without a checkpoint: what it has is in its configuration, and its images in the search's
            # store.
            tune_controller.pause_trial(self._trials[giver], should_checkpoint=False)

    def _end_waiting(self, tune_controller: TuneController) -> None:
        """Let Tune end the trials that are over and have no process."""
        waiting = [trial for trial in tune_controller.get_live_trials() if trial.status in _WAITING]
        for trial in waiting:
            if trial.config["number"] in self.book.over:
                tune_controller.stop_trial(trial)

    def _end_resting(self, tune_controller: TuneController) -> None:
        for number in self._resting():
            self._at_rest.discard(number)
            tune_controller.stop_trial(self._trials[number])

    def debug_string(self) -> str:
        return f"a race of {len(self.book.living)} sets"
