"""One Flux account: submit, poll, fetch. Every request is sent once; what it costs is told with its
outcome.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pixaris.exceptions import (
    CancelledRequestError,
    ChargedError,
    ConfigurationError,
    ImageError,
    ModeratedError,
    PixarisError,
    UnreachableError,
)
from pixaris.flux import protocol, trust
from pixaris.flux.journal import Journal
from pixaris.flux.protocol import Missing, Ready, State, Task, Waiting
from pixaris.flux.request import body_of, model_of
from pixaris.flux.transport import Transport
from pixaris.http import Failure
from pixaris.images import MAX_BYTES, EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

log = logging.getLogger(__name__)

KEY_HEADER = "x-key"
_IN_A_ROW = 3
"""Answers of one kind after which a task, or its image, is given up: unknown, redirected, refused,
damaged.
"""


@dataclass(frozen=True)
class Timeouts:
    """How long the API is waited for, in seconds.

    Attributes:
        connect: For a connection.
        read: For the answer to a short call.
        transfer: For a whole request or download.
        generation: For an image, from the moment its task is accepted.
        poll: Between two polls, at the least; twice that at the most.
    """

    connect: float = 10.0
    read: float = 30.0
    transfer: float = 120.0
    generation: float = 600.0
    poll: float = 0.5


class FluxClient:
    """Talks to one account. Thread-safe: as many threads as the account has slots call `run`.

    Args:
        base_url: The API: ``https://api.bfl.ai``, a region's host, or a server that stands in for it.
        key: The account's key; sent to that host and to ``https://*.bfl.ai``, and shown nowhere.
        timeouts: How long it is waited for.
        session: Unique for the pool it belongs to, so that a process that takes over can go on; "" for none.

    Raises:
        ConfigurationError: The URL cannot be one, or the key cannot be sent.
    """

    def __init__(
        self, base_url: str, key: str, *, timeouts: Timeouts | None = None, session: str = ""
    ) -> None:
        self.base = trust.base_url(base_url)
        if not key:
            raise ConfigurationError("the Flux API needs a key; set PIXARIS_FLUX_API_KEY")
        self.timeouts = timeouts or Timeouts()
        self._http = Transport(self.base, key, connect=self.timeouts.connect, read=self.timeouts.read)
        self._journal = Journal(session)
        self._lock = threading.Lock()
        self._running: dict[str, threading.Event] = {}
        self._random = random.Random()

    def run(self, request: GenerationRequest) -> GeneratedImage:
        """Generate one image and wait for it. The request is sent once, whatever happens.

        Raises:
            ModeratedError, PromptRejectedError, ExecutionError: The API will not make this image.
            RateLimitedError: The account has as many tasks as it may have; nothing was charged.
            UnreachableError: The request did not get there; nothing was charged.
            ChargedError: It did, or may have, and its image is lost.
            AccountError: The key is refused, or there are no credits.
            CancelledRequestError: `cancel` was called; the API goes on with the task, and charges it.
        """
        with self._under_way(request) as cancelled:
            return self._follow(request, self._submit(request, cancelled), cancelled)

    def resume(self, request: GenerationRequest) -> GeneratedImage:
        """As `run`, for a request that a process that died may have sent: its task is followed, and never
        sent again.

        Raises:
            ChargedError: Nobody knows whether it was sent.
            PixarisError: As `run`.
        """
        entry = self._journal.find(request.id)
        if isinstance(entry, Task):
            with self._under_way(request) as cancelled:
                return self._follow(request, entry, cancelled)
        if entry is None and self._journal.inherited:
            return self.run(request)
        self._journal.done(request.id)
        raise protocol.lost("the process that sent the request ended before the answer came", self.base)

    def probe(self) -> None:
        """Return if the API answers and takes the key.

        Raises:
            AccountError: It refuses the key.
            EndpointError: It does not answer.
        """
        reply = self._http.call("GET", f"{self.base}/v1/credits", seconds=self.timeouts.read)
        if reply.status != 404:  # a proxy need not offer it
            protocol.read_credits(reply, self.base)

    def credits(self) -> float:
        """The account's balance.

        Raises:
            AccountError: The key is refused.
            EndpointError: There is no proper answer.
        """
        return protocol.read_credits(
            self._http.call("GET", f"{self.base}/v1/credits", seconds=self.timeouts.read), self.base
        )

    def cancel(self, request_id: str) -> None:
        """Wait no longer for a request that `run` has in another thread. The API has no way to cancel
        it.
        """
        with self._lock:
            cancelled = self._running.get(request_id)
        if cancelled is not None:
            cancelled.set()

    def orphans(self) -> tuple[str, ...]:
        """Requests of this pool that a process that died has sent, or was about to send."""
        with self._lock:
            return tuple(
                request_id for request_id in self._journal.under_way() if request_id not in self._running
            )

    def cancel_orphans(self, request_ids: Iterable[str]) -> None:
        """Wait for such requests no longer; the API has no way to cancel them."""
        for request_id in request_ids:
            with self._lock:
                if request_id not in self._running:
                    self._journal.done(request_id)

    def close(self) -> None:
        """Wait for nothing any more, and close all connections."""
        with self._lock:
            for cancelled in self._running.values():
                cancelled.set()
        self._http.close()
        self._journal.close()

    # One request

    @contextmanager
    def _under_way(self, request: GenerationRequest) -> Iterator[threading.Event]:
        cancelled = threading.Event()
        with self._lock:
            self._running[request.id] = cancelled
        try:
            yield cancelled
        finally:
            with self._lock:
                del self._running[request.id]
                self._journal.done(request.id)

    def _submit(self, request: GenerationRequest, cancelled: threading.Event) -> Task:
        body = body_of(request)
        if cancelled.is_set():
            raise CancelledRequestError("the request was cancelled")
        self._journal.sending(request.id)
        url = f"{self.base}/v1/{model_of(request).name}"
        try:
            reply = self._http.send_once(url, body, seconds=self.timeouts.transfer)
        except Failure as failure:
            if failure.kind == "not sent":
                raise UnreachableError(failure.message, endpoint=self.base) from failure
            raise protocol.lost(failure.message, self.base) from failure
        task = protocol.read_submission(reply, self.base)
        self._journal.accepted(request.id, task)
        return task

    def _follow(self, request: GenerationRequest, task: Task, cancelled: threading.Event) -> GeneratedImage:
        try:
            return self._result(request, task, cancelled)
        except ModeratedError as error:
            error.cost = 0.0
            raise
        except PixarisError as error:
            error.cost = task.cost
            raise

    def _result(self, request: GenerationRequest, task: Task, cancelled: threading.Event) -> GeneratedImage:
        began = time.monotonic()
        row = 0  # answers in a row that lead nowhere
        why, wait = "", 0.0
        while time.monotonic() - began < self.timeouts.generation:
            if cancelled.wait(max(wait, self.timeouts.poll * self._random.uniform(1, 2))):
                raise CancelledRequestError("the request was cancelled")
            state, wait = self._state(task), 0.0
            if isinstance(state, Ready):
                try:
                    image = self._fetch(state.sample)
                except (Failure, ImageError) as error:
                    why, row = f"its image could not be fetched: {error}", row + 1
                else:
                    if state.seconds is not None:
                        seconds = state.seconds
                    else:
                        seconds = time.monotonic() - began
                    return GeneratedImage(request.id, request.item, image, self.base, seconds, cost=task.cost)
            elif isinstance(state, Missing):
                why, row = "the API does not know the task (any more)", row + 1
            else:
                if state.why and state.why != why:
                    log.info("task %s at %s: %s", task.id, self.base, state.why)
                why, wait = state.why or why, min(state.seconds or 0.0, 30.0)
                if state.lasting:
                    row += 1
                elif state.known:
                    row = 0
            if row >= _IN_A_ROW:
                raise self._given_up(task, why)
        raise self._given_up(
            task, f"no image within {self.timeouts.generation:g} s{f'; {why}' if why else ''}"
        )

    def _state(self, task: Task) -> State:
        with_key = trust.may_have_key(task.polling_url, self.base)
        try:
            reply = self._http.call("GET", task.polling_url, seconds=self.timeouts.read, with_key=with_key)
        except UnreachableError as error:
            return Waiting(error.message)
        return protocol.read_state(reply, self.base, with_key=with_key)

    def _fetch(self, url: str) -> EncodedImage:
        """Download an image: at once, because its URL dies, and without the key, because its host is
        anybody's.

        Raises:
            Failure: It did not come.
            ImageError: It came cut short, or is none.
        """
        reply = self._http.fetch(url, seconds=self.timeouts.transfer, limit=MAX_BYTES)
        if reply.status != 200:
            raise Failure("broken off", f"{trust.shown(url)} answers with HTTP {reply.status}")
        return EncodedImage.received(reply.body, "the image")

    def _given_up(self, task: Task, why: str) -> ChargedError:
        if task.cost is None:
            charged = "the task is charged"
        else:
            charged = f"the task is charged ({task.cost:g} credits)"
        return ChargedError(f"task {task.id}: {why}; {charged}, and is not sent again", endpoint=self.base)


def key_of(headers: Mapping[str, str]) -> str:
    """The key among an endpoint's headers; "" if there is none."""
    return next((value for name, value in headers.items() if name.lower() == KEY_HEADER), "")
