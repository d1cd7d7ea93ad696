"""What the driver of a search knows and writes down: trials as they end, progress, the outcome."""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.stopper import NoopStopper

from pixaris.endpoints.base import PoolStatus
from pixaris.endpoints.ray import RayPool
from pixaris.exceptions import AccountError, PixarisError, SearchFailedError
from pixaris.files import append_json_line, write_json
from pixaris.results.budget import Amounts, Answer
from pixaris.results.endpoints_file import WRITE_SECONDS, write_endpoints
from pixaris.results.keys import OBJECTIVE
from pixaris.results.progress import ProgressListener, SearchProgress
from pixaris.results.records import (
    SearchResult,
    SearchStatus,
    TrialResult,
    TrialStatus,
    ended_trials,
    over_trial,
    trial_name,
)
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.spending import Account

_POLL_SECONDS = 0.5
_LAST_REPORTS_SECONDS = 10.0
_BEGUN_SECONDS = 300.0
"""How long a search that is asked to stop waits for its trials to report what they have; a slow metric may
keep one from it.
"""


class Bookkeeper:
    """Keeps a search's books. Tune's callbacks come from the main thread, the pool's news from a thread of
    its own.

    Args:
        plan: The search.
        listener: Is told how it goes.

    Attributes:
        stopped: Whether the search was asked to stop.
        reason: Why, or "".
        fatal: The error that ended it, or None.
        account: Counts the search's budget, if it has one.
    """

    def __init__(self, plan: SearchPlan, listener: ProgressListener) -> None:
        self._plan = plan
        self._listener = listener
        self._lock = threading.RLock()
        self._trials: dict[int, TrialResult] = {}
        self._over: dict[int, TrialResult] = {}
        self._started = time.monotonic()
        self._first_image: tuple[float, int] | None = None
        self._pool = PoolStatus(())
        self._written = -WRITE_SECONDS
        self._remarks: set[str] = set()
        self._phase = "starting Ray"
        self.stopped = False
        self._stop_by = math.inf
        self.reason = ""
        self.fatal: PixarisError | None = None
        self.account: Account | None = None
        self._remember()
        self._save("running")
        self._listener.update(self.progress())

    def _remember(self) -> None:
        """Take over the trials that ended in an earlier process of the search, also those that it had no time
        to write down.
        """
        plan = self._plan
        written, values = ended_trials(plan.folder) if plan.history.events else {}, plan.history.values
        for number, event in plan.history.ended.items():
            known = written.get(number)
            if known is None or known.status == "interrupted":
                known = over_trial(event, values[number], plan.folder)
                append_json_line(plan.folder / "trials.jsonl", known.as_dict())
            self._trials[number] = self._over[number] = known

    # What happens

    def phase(self, phase: str) -> None:
        """Say what goes on."""
        with self._lock:
            self._phase = phase
            self._listener.update(self.progress())

    def interrupt(self, reason: str, seconds: float = _LAST_REPORTS_SECONDS) -> None:
        """Ask the search to stop. Safe to call from a signal handler.

        Args:
            reason: Why.
            seconds: How long its trials may take to tell what they have.
        """
        if not self.stopped:
            self._stop_by = time.monotonic() + seconds
        self.stopped = True
        self.reason = self.reason or reason
        self._phase = "stopping"

    @property
    def settled(self) -> bool:
        """Whether a search that was asked to stop can be ended: its trials have told what they have, or had
        the time to.
        """
        if not self.stopped:
            return False
        with self._lock:
            running = any(trial.status == "running" for trial in self._trials.values())
        return not running or time.monotonic() > self._stop_by

    @property
    def seconds(self) -> float:
        """Wall time since the search was started."""
        return time.monotonic() - self._started

    def affords(self, proposed: int) -> Answer:
        """Whether the budget pays for another trial.

        Args:
            proposed: Trials proposed so far; some of them may not have started yet.
        """
        if self.account is None:
            return "go"
        with self._lock:
            items, seeds = self._plan.items, self._plan.setup.seeds
            running = [items - trial.items for trial in self._trials.values() if trial.status == "running"]
            committed = seeds * (sum(running) + items * max(0, proposed - len(self._trials)))
        return self.account.answer(committed)

    def close(self, status: SearchStatus, reason: str) -> SearchResult:
        """Write the final books."""
        with self._lock:
            for number, trial in self._trials.items():
                if trial.status == "running":
                    self._trials[number] = self._end(trial, "interrupted")
            self._save(status, reason)
            return self.result(status, reason)

    def result(self, status: SearchStatus, reason: str = "") -> SearchResult:
        """The search as it stands."""
        plan = self._plan
        return SearchResult(
            name=plan.setup.search,
            folder=plan.folder,
            status=status,
            metric=plan.objective,
            direction=plan.direction,
            trials=tuple(self._trials[number] for number in sorted(self._trials)),
            items=tuple(item.name for item in plan.setup.eval_set.items),
            seconds=self._plan.seconds_before + time.monotonic() - self._started,
            images=self._images(),
            cached=self._cached(),
            reason=reason,
            others=plan.objectives[1:],
            cost=self._cost(),
            unaccounted=sum(trial.unaccounted for trial in self._trials.values()),
            budget=plan.budget,
            spent=self.account.spent if self.account is not None else Amounts(),
        )

    def _save(self, status: SearchStatus, reason: str = "") -> None:
        write_json(self._plan.folder / "search.json", self.result(status, reason).head())

    # Tune's side

    def trial_started(self, config: Mapping[str, Any]) -> None:
        """A trial begins (or begins again after its process died)."""
        with self._lock:
            number = config["number"]
            folder = str(self._plan.folder / trial_name(number))
            self._trials[number] = TrialResult(
                number, trial_name(number), "running", dict(config["values"]), folder=folder
            )

    def trial_reported(self, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """A trial has more items."""
        with self._lock:
            self._trials[config["number"]] = self._from(config, result, "running")
            self._remark(result)

    def _remark(self, result: Mapping[str, Any]) -> None:
        """Say what is to be known of how images are made, once."""
        for sentence in result.get("remarks", ()):
            if sentence not in self._remarks:
                self._remarks.add(sentence)
                self._listener.event(sentence)

    def trial_ended(self, config: Mapping[str, Any], result: Mapping[str, Any], error: str = "") -> None:
        """A trial is over: it went through, was stopped, or failed."""
        with self._lock:
            self._remark(result)
            if config["number"] not in self._trials:
                self.trial_started(config)  # its process never came up
            trial = (
                self._from(config, result, "running")
                if OBJECTIVE in result
                else self._trials[config["number"]]
            )
            if error or result.get("broken"):
                status: TrialStatus = "failed"
            elif result.get("interrupted") or (self.stopped and not result.get("ended")):
                status = "interrupted"
            elif trial.objective is None:
                status = "failed"
            else:
                status = "finished" if result.get("ended") else "stopped"
            self._trials[trial.number] = self._end(trial, status, error)
            if error and self.account is not None:
                self.account.trial_died(trial.number)
            if result.get("broken"):
                log_file = self._plan.folder / "logs" / "trials.log"
                self._give_up(f"{trial.name} broke off: {trial.error}; details are in {log_file}")
            elif error and not any(trial.items for trial in self._trials.values()):
                self._give_up(f"no trial's process comes up: {error}")

    def _give_up(self, reason: str) -> None:
        self.fatal = self.fatal or SearchFailedError(reason)
        self.interrupt(reason)

    def _end(self, trial: TrialResult, status: TrialStatus, error: str = "") -> TrialResult:
        ended = TrialResult(**{**_fields(trial), "status": status, "error": error or trial.error})
        self._trials[trial.number] = ended
        before = self._over.get(trial.number)
        if before is not None and (before.status, before.objective, before.items) == (
            ended.status,
            ended.objective,
            ended.items,
        ):
            return ended  # it went through Tune once more, for a scheduler that needs all trials
        append_json_line(self._plan.folder / "trials.jsonl", ended.as_dict())
        self._listener.trial_ended(ended, self.progress())
        return ended

    def _from(self, config: Mapping[str, Any], result: Mapping[str, Any], status: TrialStatus) -> TrialResult:
        return TrialResult.from_report(config["number"], config["values"], result, status, self._plan.folder)

    def callback(self) -> tune.Callback:
        """Tune's callback that keeps these books."""
        return _Callback(self)

    def stopper(self) -> tune.Stopper:
        """Tune's stopper that ends the search when it is asked to stop and its trials have told what they
        have.
        """
        return _Stopper(self)

    # The pool's side

    @contextlib.contextmanager
    def watching(self, pool: RayPool) -> Iterator[None]:
        """Follow the pool while endpoints start and Tune runs: progress, events, the error that ends
        everything.
        """
        ended = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(pool, ended), name="pixaris-progress", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._poll(pool)

    def _watch(self, pool: RayPool, ended: threading.Event) -> None:
        while not ended.wait(_POLL_SECONDS):
            self._poll(pool)

    def _poll(self, pool: RayPool) -> None:
        seen = self._pool.first_event + len(self._pool.events)
        status = pool.status(seen)
        if self.account is not None:
            self.account.look(status.done, status.cost or 0.0)
        with self._lock:
            self._pool = status
            self._write_endpoints()
            if self._first_image is None and (done := self._images()):
                self._first_image = (time.monotonic(), done)
            for sentence in status.events:
                self._listener.event(sentence)
            if isinstance(status.fatal, PixarisError) and self.fatal is None:
                self.fatal = status.fatal
                begun = isinstance(
                    status.fatal, AccountError
                )  # the account goes on with what it has begun, and charged
                self.interrupt(str(status.fatal), _BEGUN_SECONDS if begun else _LAST_REPORTS_SECONDS)
            self._listener.update(self.progress())

    def _write_endpoints(self) -> None:
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self._written = time.monotonic()
            with contextlib.suppress(OSError):  # a full disk: only whoever looks from outside misses it
                self._save("running")
                write_endpoints(self._plan.folder, self._pool.endpoints, time.time())

    # How far it is

    def _images(self) -> int:
        cached = self._cached()
        reported = self._plan.setup.seeds * sum(
            trial.items - trial.failures for trial in self._trials.values()
        )
        # a pool that was started again, or that nobody needs, knows less than the trials; and they than it
        # while they run
        return max(self._plan.images_before + self._pool.done, reported - cached) + cached

    def _cached(self) -> int:
        return sum(trial.cached for trial in self._trials.values())

    def _cost(self) -> float | None:
        """The accounts' word, which knows of images given up; but a pool that was started again knows less
        than the trials.
        """
        told = [
            cost
            for cost in (self._pool.cost, *(trial.cost for trial in self._trials.values()))
            if cost is not None
        ]
        return (
            max(self._pool.cost or 0.0, sum(trial.cost or 0.0 for trial in self._trials.values()))
            if told
            else None
        )

    def progress(self) -> SearchProgress:
        """The snapshot a listener is shown."""
        plan = self._plan
        trials = list(self._trials.values())
        result = self.result("running")
        saved = sum(
            plan.items - trial.items
            for trial in trials
            if trial.status in ("stopped", "failed", "interrupted")
        )
        failed = sum(trial.failures for trial in trials)
        rate = None
        if self._first_image is not None:
            since, already = self._first_image
            elapsed = time.monotonic() - since
            done = self._images() - already
            rate = done / elapsed if elapsed > 1.0 and done > 0 else None
        planned = (
            plan.setup.seeds * (plan.trials * plan.items - saved - failed)
            if plan.trials is not None
            else None
        )
        if plan.budget.images is not None:
            planned = plan.budget.images if planned is None else min(planned, plan.budget.images)
        return SearchProgress(
            phase=self._phase,
            images=self._images(),
            images_planned=planned,
            trials=plan.trials,
            running=sum(trial.status == "running" for trial in trials),
            finished=sum(trial.status == "finished" for trial in trials),
            stopped=sum(trial.status == "stopped" for trial in trials),
            failed=sum(trial.status == "failed" for trial in trials),
            seconds=time.monotonic() - self._started,
            rate=rate,
            metric=plan.objective,
            best=result.best,
            baseline=result.baseline if result.baseline and result.baseline.objective is not None else None,
            endpoints=self._pool.endpoints,
            cost=result.cost,
            cached=result.cached,
            budget=plan.budget.compare(result.spent),
        )


def _fields(trial: TrialResult) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in trial.__dataclass_fields__}


class _Callback(tune.Callback):
    def __init__(self, books: Bookkeeper) -> None:
        self._books = books

    def __reduce__(self) -> tuple[Any, ...]:
        return tune.Callback, ()  # Tune pickles its settings; books belong to this process

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: object) -> None:  # noqa: ANN401
        self._books.trial_started(trial.config)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,  # noqa: ANN401
        result: dict[str, Any],
        **info: object,
    ) -> None:
        self._books.trial_reported(trial.config, result)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: object) -> None:  # noqa: ANN401
        self._books.trial_ended(trial.config, trial.last_result or {})

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: object) -> None:  # noqa: ANN401
        self._books.trial_ended(trial.config, trial.last_result or {}, _last_error(trial.error_file))


def _last_error(path: str | None) -> str:
    """The last exception in the file that Tune writes of a trial's errors."""
    try:
        lines = Path(path or "").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    errors = [line.strip() for line in lines if re.match(r"\s*[\w.]*(Error|Exception|Exit)\b.*: ", line)]
    return errors[-1] if errors else "its process died"


class _Stopper(tune.Stopper):
    def __init__(self, books: Bookkeeper) -> None:
        self._books = books

    def __reduce__(self) -> tuple[Any, ...]:
        return NoopStopper, ()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._books.settled
