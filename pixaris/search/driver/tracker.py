"""What the driver of a search knows and writes down: trials as they end, progress, the outcome."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from pixaris.endpoints.base import EndpointPool, PoolStatus
from pixaris.exceptions import AccountError, PixarisError, SearchFailedError, StorageError
from pixaris.files import append_json_line, storing, write_json
from pixaris.results.budget import Amounts, Answer
from pixaris.results.endpoints_file import WRITE_SECONDS, write_endpoints
from pixaris.results.evidence.events import keep_event
from pixaris.results.paths import trial_name
from pixaris.results.progress import Planned, ProgressListener, SearchProgress
from pixaris.results.records import SearchResult, SearchStatus, Totals
from pixaris.results.report import Stop, TrialReport
from pixaris.results.trial import EvalItems, TrialResult, TrialStatus, ended_trials, over_trial
from pixaris.search.algorithms.racing import guardrails
from pixaris.search.algorithms.searchers import ProposedTrial
from pixaris.search.driver.ahead.first_images import FirstImages
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.planned import planned_images
from pixaris.search.driver.spending import Account
from pixaris.search.driver.travel import HAVING_MODULES

_LAST_REPORTS_SECONDS = 10.0
_BEGUN_SECONDS = 300.0
"""How long a search that is asked to stop waits for its trials to report what they have; a slow metric may
keep one from it.
"""


class SearchTracker:
    """Knows how a search stands, and writes it down.

    Tune's callbacks come from the main thread, the pool's events from a thread of its own.

    Args:
        plan: The search.
        listener: Called with how it goes.
        first: Images that are made before there is a pool, or None.

    Attributes:
        stopped: Whether the search was asked to stop.
        reason: Why, or "".
        fatal: The error that ended it, or None.
        account: Counts the search's budget, if it has one.
        at_rest: Tells whether a trial of a number has told all it knows, although it is not over.
    """

    def __init__(
        self, plan: SearchPlan, listener: ProgressListener, first: FirstImages | None = None
    ) -> None:
        self._plan = plan
        self._first = first
        self._listener = listener
        self._eval_items = EvalItems(plan.objectives[0].metric, plan.items, plan.paths)
        self._lock = threading.RLock()
        self._trials: dict[int, TrialResult] = {}
        self._over: dict[int, TrialResult] = {}
        self._started = time.monotonic()
        self._first_image: tuple[float, int] | None = None
        self._pool = PoolStatus(())
        self._written = -WRITE_SECONDS
        self._told: set[str] = set()
        self._phase = "starting Ray"
        self.stopped = False
        self._stop_by = math.inf
        self.reason = ""
        self.fatal: PixarisError | None = None
        self.account: Account | None = None
        self.at_rest: Callable[[int], bool] = lambda number: False

    def begin(self) -> None:
        """Write down that the search runs.

        The trials that ended in an earlier process of it are taken over, also those that it had no time to
        write down.
        """
        history, paths = self._plan.before.history, self._plan.paths
        written = ended_trials(paths) if history.events else {}
        for number in history.over:
            # A trial that was interrupted when it was written down may have ended in the journal since.
            known = written.get(number)
            if known is None or known.status == "interrupted":
                known = over_trial(history, number, self._eval_items)
                self._write(known)
            self._trials[number] = self._over[number] = known
        self._save("running")
        self._listener.update(self._progress())

    # What happens

    def phase(self, phase: str) -> None:
        """Say what goes on."""
        self._phase = phase
        with self._lock:
            self._listener.update(self._progress())

    def interrupt(self, reason: str, seconds: float = _LAST_REPORTS_SECONDS) -> None:
        """Ask the search to stop. Safe to call from a signal handler.

        Args:
            reason: Why.
            seconds: How long its trials may take to tell what they have.
        """
        if not self.stopped:
            self._stop_by = time.monotonic() + seconds
        self.stopped, self._phase = True, "stopping"
        self.reason = self.reason or reason

    @property
    def settled(self) -> bool:
        """Whether a search that was asked to stop can be ended: its trials have told what they have, or had
        the time to.
        """
        if not self.stopped:
            return False
        with self._lock:
            running = [trial for trial in self._trials.values() if trial.status == "running"]
            waited_for = any(not self.at_rest(trial.number) for trial in running)
        return not waited_for or time.monotonic() > self._stop_by

    @property
    def seconds(self) -> float:
        """Wall time since the search was started."""
        return time.monotonic() - self._started

    def affords(self, proposed: int, needed: int | None = None) -> Answer:
        """Whether the budget pays for another trial.

        Args:
            proposed: Trials proposed so far; some of them may not have started yet.
            needed: Images that are needed anyway for what has begun, where that is known; by default all that
                the trials under way may still need.
        """
        if self.account is None:
            return "go"
        if needed is not None:
            return self.account.answer(needed)
        with self._lock:
            items, seeds = self._plan.items, self._plan.setup.seeds
            running = [items - trial.items for trial in self._trials.values() if trial.status == "running"]
            committed = seeds * (sum(running) + items * max(0, proposed - len(self._trials)))
        return self.account.answer(committed)

    def close(self, status: SearchStatus, reason: str) -> SearchResult:
        """Write down how it ended.

        Where that is not possible, the result says so, and the folder what it said last: such a search is
        taken for one that was killed.
        """
        error: StorageError | None = None
        with self._lock:
            try:
                for number, trial in self._trials.items():
                    if trial.status == "running":
                        self._trials[number] = self._end(trial, "interrupted")
                self._save(status, reason)
            except StorageError as unkept:
                error = unkept
            return replace(self.result(status, reason), error=error)

    def result(self, status: SearchStatus, reason: str = "") -> SearchResult:
        """The search as it stands."""
        plan = self._plan
        return SearchResult(
            name=plan.setup.search,
            folder=plan.paths.folder,
            status=status,
            objectives=plan.objectives,
            failures=plan.settings.objective.compared(plan.settings.metrics),
            trials=tuple(self._trials[number] for number in sorted(self._trials)),
            guardrails=guardrails(plan.settings),
            items=tuple(item.name for item in plan.setup.eval_set.items),
            totals=Totals(
                seconds=plan.before.seconds + self.seconds,
                images=self._images(),
                cached=self._cached(),
                cost=self._cost(),
                unaccounted=sum(trial.unaccounted for trial in self._trials.values()),
            ),
            reason=reason,
            budget=plan.settings.limits.budget,
            spent=self.account.spent if self.account is not None else Amounts(),
        )

    def _save(self, status: SearchStatus, reason: str = "") -> None:
        with storing(self._plan.paths.folder):
            head = self.result(status, reason).head()
            write_json(self._plan.paths.head, head, make_folder=False)

    def _write(self, trial: TrialResult) -> None:
        """Write down a trial that has ended; where that is not possible, the search ends.

        Tune calls this, and takes what is raised here for a fault of the trial.
        """
        try:
            with storing(self._plan.paths.folder):
                append_json_line(self._plan.paths.trials, trial.as_dict(), make_folder=False)
        except StorageError as error:
            self.fail(error)

    # Tune's side

    def trial_started(self, config: ProposedTrial) -> None:
        """A trial begins (or begins again after its process died)."""
        with self._lock:
            known = self._trials.get(config["number"])
            # One whose process died begins with nothing, unless it goes on from what it has reported.
            goes_on = known is not None and known.status == "running" and config.get("reported")
            report = known.report if known is not None and goes_on else TrialReport()
            self._trials[config["number"]] = self._from(config, report, "running")

    def trial_reported(self, config: ProposedTrial, report: TrialReport) -> None:
        """A trial has more items."""
        with self._lock:
            self._trials[config["number"]] = self._from(config, report, "running")
            self.emit(*report.remarks)

    def emit(self, *sentences: str) -> None:
        """Tell the user what is to be known of the search, each sentence once."""
        with self._lock:
            for sentence in sentences:
                if sentence not in self._told:
                    self._told.add(sentence)
                    self._listener.event(sentence)

    def trial_ended(
        self,
        config: ProposedTrial,
        report: TrialReport | None,
        *,
        stop: Stop | None = None,
        error: str = "",
    ) -> None:
        """A trial is over: it went through, was stopped, or failed.

        Args:
            config: The trial's.
            report: What it told last, or None where it told nothing.
            stop: Why the scheduler stopped it, or None.
            error: Why its process is gone, or "".
        """
        with self._lock:
            if config["number"] not in self._trials:
                self.trial_started(config)  # its process never came up
            trial = self._trials[config["number"]]
            if report is not None:
                trial = self._from(config, report, "running")
                self.emit(*report.remarks)
            trial = replace(trial, stop=stop)
            self._trials[trial.number] = self._end(trial, self._status(trial, error), error)
            if error and self.account is not None:
                self.account.trial_died(trial.number)
            if trial.report.state == "broken":
                self.fail(SearchFailedError(f"{trial.name} broke off: {self._details(trial)}"))
            elif error and not any(trial.items for trial in self._trials.values()):
                hint = f"; {HAVING_MODULES}" if "ModuleNotFoundError" in error else ""
                self.fail(SearchFailedError(f"no trial's process comes up: {error}{hint}"))
            elif error:
                self.fail(SearchFailedError(f"the process of {trial.name} died again and again: {error}"))

    def trial_lost(self, config: ProposedTrial, error: str) -> None:
        """A trial's process died, and the trial is going to be run again."""
        with self._lock:
            number = config["number"]
            if self.account is not None:
                self.account.trial_died(number)
            self._listener.event(
                f"the process of {trial_name(number)} died ({error}); the trial is run again"
            )

    def _status(self, trial: TrialResult, error: str) -> TrialStatus:
        state = trial.report.state
        if error or state in ("broken", "failed"):
            return "failed"
        if state == "interrupted" or (self.stopped and state != "ended"):
            return "interrupted"
        if trial.objective is None:
            return "failed"
        return "finished" if state == "ended" else "stopped"

    def _details(self, trial: TrialResult) -> str:
        """What a trial broke off with, and where to read more, if there is more."""
        log_file = self._plan.paths.trial_log
        return f"{trial.error}; details are in {log_file}" if log_file.is_file() else trial.error

    def fail(self, error: PixarisError) -> None:
        """End the search with an error; it can be resumed."""
        self.fatal = self.fatal or error
        self.interrupt(str(error))

    def _end(self, trial: TrialResult, status: TrialStatus, error: str = "") -> TrialResult:
        report = replace(trial.report, error=error or trial.error)
        ended = replace(trial, status=status, report=report)
        self._trials[trial.number] = ended
        if self._is_known(ended):
            return ended  # it went through Tune once more, for a scheduler that needs all trials
        self._write(ended)
        self._listener.trial_ended(ended, self._progress())
        return ended

    def _is_known(self, trial: TrialResult) -> bool:
        """Whether an earlier process has written down the same."""
        before = self._over.get(trial.number)
        if before is None:
            return False
        facts = (before.status, before.objective, before.items)
        return facts == (trial.status, trial.objective, trial.items)

    def _from(self, config: ProposedTrial, report: TrialReport, status: TrialStatus) -> TrialResult:
        return TrialResult.of_report(config["number"], config["values"], status, report, self._eval_items)

    # The pool's side

    def look_at(self, pool: EndpointPool) -> PoolStatus:
        """Take in how the pool stands, and give it: what it has made, what happened to endpoints, what ends
        everything.
        """
        with self._lock:
            seen = self._pool.first_event + len(self._pool.events)
        status = pool.status(seen)
        if self.account is not None:
            self.account.look(status.done, status.cost or 0.0)
        with self._lock:
            self._pool = status if self._first is None else self._first.added_to(status)
            self._write_endpoints()
            # From the first image on, and without it: until it comes, models are loaded.
            if self._first_image is None and (done := self._images()):
                self._first_image = (time.monotonic(), done)
            for sentence in status.events:
                keep_event(self._plan.paths, self._plan.before.seconds + self.seconds, sentence)
                self._listener.event(sentence)
            if isinstance(status.fatal, PixarisError) and self.fatal is None:
                self.fatal = status.fatal
                # an account goes on with what it has begun, and charged
                begun = isinstance(status.fatal, AccountError)
                self.interrupt(str(status.fatal), _BEGUN_SECONDS if begun else _LAST_REPORTS_SECONDS)
            self._listener.update(self._progress())
        return status

    def _write_endpoints(self) -> None:
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self._written = time.monotonic()
            # a full disk: whoever looks from outside misses it; what must be kept meets it by itself
            with contextlib.suppress(OSError, StorageError):
                self._save("running")
                write_endpoints(self._plan.paths.folder, self._pool.endpoints, time.time())

    # How far it is

    def _images(self) -> int:
        cached = self._cached()
        done = sum(trial.items - trial.failures for trial in self._trials.values())
        reported = self._plan.setup.seeds * done
        # a pool that was started again, or that nobody needs, knows less than the trials; and they than it
        # while they run
        first = 0 if self._first is None else self._first.made
        made = self._plan.before.images + first + self._pool.done
        return max(made, reported - cached) + cached

    def _cached(self) -> int:
        return sum(trial.cached for trial in self._trials.values())

    def _cost(self) -> float | None:
        """The accounts' word, which knows of images given up; but a pool that was started again knows less
        than the trials.
        """
        of_trials = [trial.cost for trial in self._trials.values() if trial.cost is not None]
        if self._pool.cost is None and not of_trials:
            return None
        return max(self._pool.cost or 0.0, sum(of_trials))

    def _progress(self) -> SearchProgress:
        """The snapshot a listener is shown."""
        planned = planned_images(self._plan, self._trials.values(), made=self._images())
        return SearchProgress(
            phase=self._phase,
            result=self.result("running"),
            planned=Planned(self._plan.size.trials, planned),
            seconds=self.seconds,
            rate=self._rate(),
            endpoints=self._pool.endpoints,
        )

    def _rate(self) -> float | None:
        """Images per second since the first one; None until that can be told."""
        if self._first_image is None:
            return None
        since, already = self._first_image
        elapsed, done = time.monotonic() - since, self._images() - already
        return done / elapsed if elapsed > 1.0 and done > 0 else None
