"""A search's budget at work: one actor holds the ledger, trials ask it before each image, the driver before
each trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import ray
from ray.exceptions import RayError

from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.endpoints.ray.nodes import beside_this
from pixaris.exceptions import BudgetSpentError, CancelledRequestError, ChargedError, PixarisError
from pixaris.experiment.submitters import Submitter
from pixaris.files import read_json, write_json
from pixaris.generation.base import ItemArgs
from pixaris.results.budget import Amounts, Answer, Budget
from pixaris.search.ledger import Ledger
from pixaris.types import GeneratedImage

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0
_GONE = "the process that counts the search's budget is gone, so nothing more is started"


class LedgerActor:
    """The ledger as an async actor; one event loop serialises its calls.

    Args:
        budget: The limits.
        elapsed: Seconds since the search was started.
        spent: What was spent before, by the same search.
    """

    def __init__(self, budget: Budget, elapsed: float, spent: Amounts) -> None:
        self._ledger = Ledger(budget, time.monotonic() - elapsed, spent)
        self._settled = asyncio.Event()
        self._refusal = ""

    async def admit(self, trial: int, process: str, count: int) -> tuple[list[int], str]:
        """As `Ledger.admit`; waits while it depends on what is under way."""
        while True:
            tickets, refusal = self._ledger.admit(trial, process, count, time.monotonic())
            self._refusal = self._refusal or refusal
            if tickets or refusal:
                return tickets, refusal
            self._settled.clear()
            await self._settled.wait()

    async def settle(
        self, ticket: int, seconds: float | None = None, cost: float | None = None, *, withdrawn: bool = False
    ) -> None:
        """As `Ledger.settle`."""
        self._ledger.settle(ticket, time.monotonic(), seconds=seconds, cost=cost, withdrawn=withdrawn)
        self._settled.set()

    async def close_trial(self, trial: int) -> None:
        """As `Ledger.close_trial`."""
        self._ledger.close_trial(trial)
        self._settled.set()

    async def affords(self, items: int, committed: int) -> tuple[Answer, str]:
        """As `Ledger.affords`."""
        return self._ledger.affords(items, committed, time.monotonic())

    async def audit(self, made: int, charged: float) -> tuple[Amounts, str]:
        """As `Ledger.audit`; gives what is spent, and why an image was refused, or ""."""
        now = time.monotonic()
        self._ledger.audit(made, charged, now)
        self._settled.set()
        return self._ledger.spent(now), self._refusal


class Account:
    """The driver's hold of a search's budget.

    What is spent is kept in the search's folder, so that a search that goes on later goes on counting.

    Args:
        budget: The limits.
        file: Where what is spent is kept.
        items: Images that a whole trial needs.
        elapsed: Seconds since the search was started.
        made: Images that it made before; those that a killed process had no time to count are counted now.

    Attributes:
        actor: The ledger's handle, for the trials.
        reason: Why no more is started, or "".
        spent: What is spent, as it was known last.
    """

    def __init__(
        self, budget: Budget, file: Path, *, items: int, elapsed: float = 0.0, made: int = 0
    ) -> None:
        self._items = items
        self._file = file
        self.reason = ""
        kept = Amounts(**(read_json(self._file) or {}))
        # A killed process may have made images that it had no time to count.
        self.spent = replace(kept, images=max(kept.images, made))
        actor_class = ray.remote(num_cpus=0)(LedgerActor)
        placing = actor_class.options(scheduling_strategy=beside_this())
        self.actor = placing.remote(budget, elapsed, self.spent)

    def answer(self, committed: int) -> Answer:
        """Whether another trial may start.

        Args:
            committed: Images that the trials under way may still need.
        """
        if self.reason:
            return "no"
        answer: Answer
        try:
            answer, self.reason = ray.get(self.actor.affords.remote(self._items, committed))
        except RayError:
            answer, self.reason = "no", _GONE
        return answer

    def trial_died(self, trial: int) -> None:
        """A trial's process has died, or the trial failed for another reason."""
        self.actor.close_trial.remote(trial)

    def look(self, made: int, charged: float) -> None:
        """Learn what is spent by now, and keep it.

        Args:
            made: Images that the pool says it made.
            charged: What it says its accounts were charged.
        """
        try:
            self.spent, refusal = ray.get(self.actor.audit.remote(made, charged), timeout=_ANSWER_SECONDS)
        except RayError as error:  # a time-out is one too
            log.debug("the ledger does not answer: %s", error)
            return
        self.reason = self.reason or refusal
        with contextlib.suppress(OSError):  # a full disk: only a search that goes on later misses it
            write_json(self._file, asdict(self.spent))

    def close(self) -> None:
        """End the actor."""
        ray.kill(self.actor)


@dataclass
class _Entry:
    trial: int
    args: ItemArgs
    priority: int
    outer: Future[GeneratedImage]
    inner: Future[GeneratedImage] | None = None


class BudgetedSubmitter(Submitter):
    """Starts items once the ledger lets it. What costs nothing, such as a cache, belongs above it.

    Args:
        submitter: Starts them.
        ledger: The actor's handle.
        price: What an item is expected to cost, None if it cannot be told. It counts where the answer does
            not say what was charged, or was lost.

    Attributes:
        trial: Whose items are started.
    """

    def __init__(
        self,
        submitter: Submitter,
        ledger: ActorHandle,
        price: Callable[[ItemArgs], float | None] | None = None,
    ) -> None:
        self._submitter = submitter
        self._ledger = ledger
        self._price = price
        self._process = uuid.uuid4().hex
        self._changed = threading.Condition()
        self._queue: list[_Entry] = []
        self._started: dict[Future[GeneratedImage], _Entry] = {}
        self._thread: threading.Thread | None = None
        self.trial = 0

    def submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        entries = [_Entry(self.trial, args, priority, Future()) for args in items]
        for entry in entries:
            # Nobody else may cancel it: its result can then always be set.
            entry.outer.set_running_or_notify_cancel()
        with self._changed:
            self._queue += entries
            if self._thread is None:
                self._thread = threading.Thread(target=self._admit, name="pixaris-budget", daemon=True)
                self._thread.start()
            self._changed.notify()
        return [entry.outer for entry in entries]

    def promote(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        self._submitter.promote(self._inner(futures, priority=0))

    def cancel(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        with self._changed:
            waiting = [entry for entry in self._queue if entry.outer in futures]
            self._queue = [entry for entry in self._queue if entry not in waiting]
        for entry in waiting:
            entry.outer.set_exception(CancelledRequestError("the request was cancelled"))
        self._submitter.cancel(self._inner(futures))

    def _inner(
        self, futures: Sequence[Future[GeneratedImage]], priority: int | None = None
    ) -> list[Future[GeneratedImage]]:
        """The started items' own futures; those not started yet get a priority."""
        with self._changed:
            for entry in self._queue:
                if priority is not None and entry.outer in futures:
                    entry.priority = priority
            started = [self._started[future] for future in futures if future in self._started]
            return [entry.inner for entry in started if entry.inner is not None]

    def _admit(self) -> None:
        """In a thread of its own: ask for what waits, start what may start."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._queue))
                trial = self._queue[0].trial
                count = sum(entry.trial == trial for entry in self._queue)
            try:
                # Without the lock: it may take as long as other trials take to give back what they do not
                # need.
                tickets, refusal = ray.get(self._ledger.admit.remote(trial, self._process, count))
            except RayError:
                tickets, refusal = [], _GONE
            if refusal:
                self._refuse(trial, refusal)
            if tickets:
                self._start(trial, tickets)

    def _refuse(self, trial: int, reason: str) -> None:
        with self._changed:
            refused = [entry for entry in self._queue if entry.trial == trial]
            self._queue = [entry for entry in self._queue if entry.trial != trial]
        for entry in refused:
            entry.outer.set_exception(BudgetSpentError(reason))

    def _start(self, trial: int, tickets: Sequence[int]) -> None:
        """Start as many items as there are tickets, in one call for each priority."""
        with self._changed:
            entries = [entry for entry in self._queue if entry.trial == trial][: len(tickets)]
            self._queue = [entry for entry in self._queue if entry not in entries]
            for priority in sorted({entry.priority for entry in entries}):
                batch = [entry for entry in entries if entry.priority == priority]
                futures = self._submit([entry.args for entry in batch], priority)
                for entry, inner in zip(batch, futures, strict=True):
                    entry.inner = inner
                    self._started[entry.outer] = entry
        # Without the lock: a future that is done already calls back at once, and whoever waits for the
        # image goes on in this thread.
        for ticket, entry in zip(tickets, entries, strict=False):
            assert entry.inner is not None
            entry.inner.add_done_callback(partial(self._settle, ticket, entry))
        for ticket in tickets[len(entries) :]:  # withdrawn meanwhile
            self._ledger.settle.remote(ticket)

    def _submit(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        try:
            return self._submitter.submit(items, priority)
        except Exception as error:  # noqa: BLE001  (this is a thread: who waits for the images is told, whatever it is)
            failed: list[Future[GeneratedImage]] = [Future() for _ in items]
            for future in failed:
                future.set_exception(error)
            return failed

    def _settle(self, ticket: int, entry: _Entry, inner: Future[GeneratedImage]) -> None:
        with self._changed:
            self._started.pop(entry.outer, None)
        try:
            image = inner.result()
        except CancelledError:  # before it began
            self._ledger.settle.remote(ticket)
            entry.outer.set_exception(CancelledRequestError("the request was cancelled"))
        except Exception as error:  # noqa: BLE001  (passed on as it is)
            if isinstance(error, PixarisError):
                cost = error.cost
            else:
                cost = None
            if cost is None and isinstance(error, ChargedError):
                cost = self._expected(entry)
            self._ledger.settle.remote(ticket, None, cost, withdrawn=isinstance(error, CancelledRequestError))
            entry.outer.set_exception(error)
        else:
            if image.cached:  # made, and counted, for another trial that asked for the same
                self._ledger.settle.remote(ticket)
                entry.outer.set_result(image)
                return
            if image.cost is None:
                cost = self._expected(entry)
            else:
                cost = image.cost
            self._ledger.settle.remote(ticket, image.seconds, cost)
            entry.outer.set_result(image)

    def _expected(self, entry: _Entry) -> float | None:
        if self._price is None:
            return None
        try:
            return self._price(entry.args)
        except Exception:
            # a generator of the user's: who waits for the image gets it all the same
            log.debug("item %r has no price", entry.args.item, exc_info=True)
            return None
