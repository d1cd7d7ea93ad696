"""One prompt on one server: submitted, waited for, withdrawn."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress

from pixaris.comfyui.address import Timeouts
from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.messages import NodeNames, PromptRecord, QueueState, Refusal, Tag
from pixaris.comfyui.transport import failure_kind
from pixaris.comfyui.websocket import Listener, Watch
from pixaris.exceptions import (
    CancelledRequestError,
    EndpointError,
    PromptLostError,
    RateLimitedError,
    UnreachableError,
)

_FIRST_POLL, _LAST_POLL = 0.25, 1.0  # without a websocket; doubled from poll to poll
_SHARED = 0.25  # how old an answer about the queue may be that another prompt's look has got
_LATE_ROW = 0.05  # the history row of a prompt that has just ended may come a moment later


class Prompt:
    """One submission and what becomes of it. `submit` (or `adopt`) and `wait` are called by one thread,
    `withdraw` by any.

    Args:
        api: The server.
        listener: Its websocket.
        timeouts: How long to wait for what.
        payload: The graph as JSON text.
        tag: Whose it is.
        names: For errors.

    Attributes:
        id: Under which the server has it.
        worker_died: Whether it was given up because the server's worker thread is dead.
    """

    def __init__(
        self, api: ComfyApi, listener: Listener, timeouts: Timeouts, payload: str, tag: Tag, names: NodeNames
    ) -> None:
        self.id = str(uuid.uuid4())
        self._api = api
        self._listener = listener
        self._timeouts = timeouts
        self._payload = payload
        self._tag = tag
        self._names = names
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self.worker_died = False
        self._on_server = False
        self._withdrawn = ""
        self._copies = 0
        self._posted = False
        self._adopted = False
        self._looked = 0.0
        self._polls = 0
        self._quiet_looks = 0  # since the websocket brought something
        self._answered = 0.0  # what the server said of its queue before this tells nothing new
        self._absent_since: float | None = None
        self._stuck_since: float | None = None
        self._pause: float | None = None
        self._broke_off = False

    @property
    def left_behind(self) -> bool:
        """Whether the server may still have it, and nobody waits for it."""
        return self._on_server

    def submit(self) -> Refusal | None:
        """Queue it.

        Returns:
            None, or why the server refused it.

        Raises:
            EndpointError: The server does not have it.
            CancelledRequestError: It was withdrawn meanwhile.
        """
        watch = self._watch = self._listener.watch(self.id)
        self._go_on()
        with self._lock:
            self._on_server = True  # from here on it may be, whatever happens to the reply
        reply = self._post(watch)
        if isinstance(reply, Refusal):
            self._on_server = False
            return reply
        self._looked = self._answered = time.monotonic()
        if reply != self.id:
            self._listener.rename(watch, reply)
            self.id = reply
            self._looked = 0.0  # messages under this id may have passed
        self._take_charge()
        return None

    def adopt(self, prompt_id: str) -> None:
        """Follow a prompt that the server has already, instead of submitting one.

        Raises:
            CancelledRequestError: It was withdrawn meanwhile.
        """
        self.id = prompt_id
        self._watch = self._listener.watch(prompt_id)
        self._adopted = True
        with self._lock:
            self._on_server = True
        self._take_charge()

    def _take_charge(self) -> None:
        """The server has it: from here on `withdraw` names its id; what was withdrawn before is taken back
        here.
        """
        with self._lock:
            self._posted = True
            withdrawn = bool(self._withdrawn)
        if withdrawn:
            self._take_back()
        self._go_on()

    def wait(self) -> PromptRecord:
        """Wait until it has ended, well or not.

        Raises:
            PromptLostError: The server has forgotten it, or its worker thread is dead.
            UnreachableError: The server answers no more, or the prompt ran for longer than
                `Timeouts.generation`.
            CancelledRequestError: It was withdrawn.
        """
        watch = self._watch
        assert watch is not None, "submit comes first"
        epoch = self._listener.epoch
        while True:
            self._go_on()
            record = self._read_ended(watch) if watch.ended else None
            if epoch != self._listener.epoch:
                epoch = self._listener.epoch
                self._looked, self._polls = 0.0, 0  # messages may have been missed
            if record is None and time.monotonic() >= self._next_look():
                record = self._look(watch)
            if record is not None:
                self._finish()
                return record
            now = time.monotonic()
            self._check_deadline(watch, now)
            watch.wake.wait(min(self._next_look(), self._deadline(watch)) - now)
            watch.wake.clear()

    def withdraw(self, reason: str) -> list[str]:
        """Let `wait` raise CancelledRequestError.

        Args:
            reason: What it says.

        Returns:
            The ids the caller must take off the server: none while the server's reply is awaited, as `submit`
                then does it.
        """
        with self._lock:
            self._withdrawn = reason
            ids = [self.id] if self._on_server and self._posted else []
            if ids:
                self._on_server = False  # the caller's business from now on
        if self._watch is not None:
            self._watch.wake.set()
        return ids

    def forget(self) -> None:
        """Stop listening for it."""
        if self._watch is not None:
            self._listener.forget(self._watch)

    def _go_on(self) -> None:
        if self._withdrawn:
            raise CancelledRequestError(self._withdrawn)

    def _post(self, watch: Watch) -> str | Refusal:
        self._copies = 1
        try:
            return self._submit_once(watch)
        except UnreachableError as error:
            if failure_kind(error) not in ("broken off", "timed out"):
                self._on_server = False
                raise
            # It may have arrived all the same: look before it is sent a second time.
            if self.id in self._api.queue() or self._api.history(self.id) is not None:
                return self.id
            self._go_on()
            self._copies = 2
            return self._submit_once(watch)
        except RateLimitedError:
            self._on_server = False
            raise

    def _submit_once(self, watch: Watch) -> str | Refusal:
        return self._api.submit(self._payload, self._listener.claim(watch), self.id, self._tag, self._names)

    def _read_ended(self, watch: Watch) -> PromptRecord | None:
        """The history row of a prompt that the websocket says has ended."""
        watch.ended = False
        try:
            record = self._api.history(self.id)
        except UnreachableError as error:
            if failure_kind(error) != "broken off":
                raise
            record = None
        if record is None:
            self._looked, self._pause = time.monotonic(), _LATE_ROW
        return record

    def _look(self, watch: Watch) -> PromptRecord | None:
        """Look for it over HTTP: in the queue first, then in the history, as it moves that way."""
        started = time.monotonic()
        try:
            queue = self._api.queue_since(max(self._answered, started - _SHARED))
            record = None if self.id in queue else self._api.history(self.id)
        except RateLimitedError as error:
            self._looked, self._pause = time.monotonic(), min(max(error.retry_after or 1.0, 0.1), 30.0)
            return None
        except UnreachableError as error:
            # One broken connection is no broken server; a refused one, or silence, is.
            if failure_kind(error) != "broken off" or self._broke_off:
                raise
            self._broke_off, self._looked, self._pause = True, time.monotonic(), 0.5
            return None
        self._quiet_looks = 1 if self._listener.last_heard > self._looked else self._quiet_looks + 1
        self._broke_off, self._looked, self._pause = False, time.monotonic(), None
        self._answered = self._looked
        self._polls += 1
        if record is not None:
            self._listener.suspect(watch)
            return record
        self._judge(queue, watch, started)
        return None

    def _judge(self, queue: QueueState, watch: Watch, now: float) -> None:
        url = self._api.url
        if self.id not in queue:
            self._stuck_since = None
            if self._absent_since is None:
                self._absent_since = now
            elif now - self._absent_since >= self._timeouts.lost_after:
                self._on_server = False
                raise PromptLostError(
                    "the server has lost the prompt: it is neither queued nor in the history", endpoint=url
                )
            self._pause = self._timeouts.lost_after
            return
        self._absent_since = None
        if self.id in queue.running and watch.started is None:
            watch.started = now
            self._listener.suspect(watch)
        if not queue.stands_still:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since >= self._timeouts.dead_worker:
            self.worker_died = True
            self._take_back()
            waited = f"{len(queue.pending)} waiting and none running for {now - self._stuck_since:.0f} s"
            raise PromptLostError(
                f"the server's worker thread is dead ({waited}): restart the server", endpoint=url
            )

    def _next_look(self) -> float:
        if self._pause is not None:
            return self._looked + self._pause
        limits = self._timeouts
        if (
            self._adopted or not self._listener.connected
        ):  # messages of an adopted prompt go to the socket of who submitted it
            return self._looked + min(_FIRST_POLL * 2.0 ** min(self._polls, 8), _LAST_POLL, limits.quiet)
        heard = self._listener.last_heard
        looks = self._quiet_looks if heard <= self._looked else 0
        quiet_at = max(self._looked, heard) + limits.quiet * 2.0 ** min(looks, 8)
        return min(quiet_at, self._looked + max(limits.lively, limits.quiet))

    def _deadline(self, watch: Watch) -> float:
        return float("inf") if watch.started is None else watch.started + self._timeouts.generation

    def _check_deadline(self, watch: Watch, now: float) -> None:
        if now >= self._deadline(watch):
            self._take_back()
            limit = self._timeouts.generation
            raise UnreachableError(
                f"the prompt ran for longer than {limit:g} s and was withdrawn", endpoint=self._api.url
            )

    def _take_back(self) -> None:
        with suppress(EndpointError):
            self._api.withdraw([self.id])
            self._on_server = False

    def _finish(self) -> None:
        if self._copies > 1:  # the first submission may have arrived late
            with suppress(EndpointError):
                self._api.delete_pending(self.id)
        self._on_server = False
