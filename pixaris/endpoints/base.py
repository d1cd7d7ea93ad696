"""The seams of the pool: what an endpoint is, and what runs many requests on many."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

from pixaris.endpoints.apis.base import Access, EndpointApi, EndpointClient
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.unanswered import Unanswered
from pixaris.exceptions import CancelledRequestError
from pixaris.types import GeneratedImage, GenerationRequest

__all__ = [
    "Access",
    "Cancel",
    "Command",
    "Emit",
    "Endpoint",
    "EndpointApi",
    "EndpointClient",
    "EndpointPool",
    "EndpointState",
    "EndpointStatus",
    "Join",
    "Leave",
    "PoolStatus",
    "Promote",
    "Submit",
]

R = TypeVar("R")

EndpointState: TypeAlias = Literal["starting", "healthy", "quarantined", "drained", "gone"]
Use: TypeAlias = Literal["drain", "disable", "enable"]
"""What somebody wants of an endpoint: end what it has and get no more; give that away, too; work."""


@dataclass(frozen=True)
class Endpoint(Access):
    """A server that generates.

    Attributes:
        url: As `Access.url`.
        headers: As `Access.headers`.
        timeouts: As `Access.timeouts`.
        api: What kind of endpoint it is.
        depth: Slots: requests it is given at once. 2 keeps a ComfyUI busy: the next prompt waits in its queue
            while one runs.
    """

    api: EndpointApi = field(default_factory=ComfyUIApi)
    depth: int = 2

    @property
    def kind(self) -> str:
        """Which requests it serves."""
        return self.api.kind

    def connect(self, session: str = "") -> EndpointClient:
        """Make its client. Nothing is opened until it is used.

        Args:
            session: As for `EndpointApi.connect`.

        Raises:
            ConfigurationError: Its URL cannot be one.
        """
        return self.api.connect(self, session)


@dataclass(frozen=True)
class EndpointStatus:
    """One endpoint as the pool sees it.

    Attributes:
        url: The endpoint.
        state: "quarantined" after a failure, until a probe succeeds; "drained" as long as somebody does not
            want it to be used.
        in_flight: Requests it has now.
        done: Images it has made.
        failures: Attempts that failed on it.
        last_failure: Why the last one did.
        speed: Seconds per image, as a moving average; None before its first one.
        models: Affinity keys of the models it holds, the latest first.
        cost: What its account was charged, for images that nobody waits for any more too; None while nothing
            was.
    """

    url: str
    state: EndpointState
    in_flight: int = 0
    done: int = 0
    failures: int = 0
    last_failure: str = ""
    speed: float | None = None
    models: tuple[str, ...] = ()
    cost: float | None = None


@dataclass(frozen=True)
class PoolStatus:
    """The pool at one moment.

    Attributes:
        endpoints: Every endpoint it knows.
        waiting: Requests that no endpoint has yet.
        done: Requests answered with an image.
        failed: Requests answered with an error.
        fatal: Why nothing can go on (an account error, no healthy endpoint for too long), or None.
        events: Sentences for the user, numbered from `first_event` on: "… is quarantined: …", "… is back".
        first_event: Number of the first event in `events`.
    """

    endpoints: tuple[EndpointStatus, ...]
    waiting: int = 0
    done: int = 0
    failed: int = 0
    fatal: Exception | None = None
    events: tuple[str, ...] = ()
    first_event: int = 0

    @property
    def cost(self) -> float | None:
        """What all accounts were charged together; None where nothing was."""
        costs = [one.cost for one in self.endpoints if one.cost is not None]
        if costs:
            return sum(costs)
        return None


@dataclass(frozen=True)
class Join:
    """Add an endpoint; it gets work once it answers a probe. One that is known already stays as it is."""

    endpoint: Endpoint


@dataclass(frozen=True)
class Leave:
    """Remove an endpoint: what it has goes to others, its client is closed. An unknown one is no error."""

    url: str


@dataclass(frozen=True)
class Switch:
    """Use an endpoint no more, or again. An unknown one is no error."""

    url: str
    use: Use


@dataclass(frozen=True)
class Emit:
    """Add an event for the user."""

    sentence: str


@dataclass(frozen=True)
class Submit(Generic[R]):
    """Queue requests, in the order they should start. One that is queued already is not queued again."""

    requests: tuple[R, ...]
    priority: int = 0


@dataclass(frozen=True)
class Promote:
    """Change the priority of requests that wait."""

    request_ids: tuple[str, ...]
    priority: int = 0


@dataclass(frozen=True)
class Cancel:
    """Cancel requests; nobody is answered."""

    request_ids: tuple[str, ...]


Command: TypeAlias = Join | Leave | Switch | Emit | Submit[R] | Promote | Cancel
"""What a pool is asked to do."""


class EndpointPool(ABC):
    """Runs requests on endpoints: leases per image, fail-over, quarantine. Thread-safe.

    Endpoints join and leave at any time; one process at a time says which (the driver's `EndpointRegistry`),
    any may submit.

    An implementer carries out commands (`perform`), says how things stand (`status`), and answers what is
    `_unanswered`.
    """

    def __init__(self) -> None:
        self._unanswered = Unanswered()
        self._closed = False
        self._order = threading.Lock()
        """Held while a command is performed."""

    @abstractmethod
    def perform(self, command: Command[GenerationRequest]) -> None:
        """Carry out a command, without waiting for what comes of it.

        Called in the order of the calls here, one at a time and under a lock: it answers nobody itself, as
        whoever waits may go on in the thread that answers.

        Raises:
            ConfigurationError: The URL of an endpoint that joins cannot be one; a pool elsewhere emits that
                as an event instead.
        """

    @abstractmethod
    def status(self, since_event: int = 0) -> PoolStatus:
        """The pool as it is now, with the events from number `since_event` on."""

    def join(self, endpoint: Endpoint) -> None:
        """Add an endpoint, without waiting; it gets work once it answers a probe. One that is known already
        stays as it is.

        Raises:
            ConfigurationError: As `perform`.
        """
        self._perform(Join(endpoint))

    def leave(self, url: str) -> None:
        """Remove an endpoint, without waiting: what it had goes to others, its client is closed. An unknown
        one is no error.
        """
        self._perform(Leave(url))

    def switch(self, url: str, use: Use) -> None:
        """Use an endpoint no more, or again, without waiting.

        Args:
            url: The endpoint; an unknown one is no error.
            use: "drain" lets it end what it has, "disable" gives that to others (where the service charges
                for what it has begun, it is ended), "enable" lets it work again.
        """
        self._perform(Switch(url, use))

    def emit(self, sentence: str) -> None:
        """Add an event for the user. Of two at once, either may come first where the pool is another process:
        Ray keeps no order of an asynchronous actor's calls.
        """
        self._perform(Emit(sentence))

    def submit(
        self, requests: Sequence[GenerationRequest], *, priority: int = 0
    ) -> list[Future[GeneratedImage]]:
        """Queue requests; each future gives the image or raises what `EndpointClient.run` raised last.

        A request that is unanswered yet (by its id) is not queued again: its future is the one it has. A
        future cannot be cancelled by itself; `cancel` does that.

        Args:
            requests: In the order they should start.
            priority: Smaller runs first; work done ahead of a decision has a larger number.

        Raises:
            CancelledRequestError: The pool is closed.
        """
        with self._order:
            if self._closed:
                raise CancelledRequestError("the pool is closed")
            # Noted before it is performed: the answer may come at once, in another thread.
            fresh, futures = self._unanswered.enter(requests, priority)
            if fresh:
                self.perform(Submit(tuple(fresh), priority))
        return futures

    def promote(self, request_ids: Iterable[str], priority: int = 0) -> None:
        """Change the priority of requests that wait: what was done ahead is now waited for."""
        with self._order:
            waiting = self._unanswered.promote(request_ids, priority)
            if waiting:
                self.perform(Promote(waiting, priority))

    def cancel(self, request_ids: Iterable[str]) -> None:
        """Cancel requests nobody waits for any more; their futures raise CancelledRequestError."""
        with self._order:
            # Taken first, so that an answer that comes meanwhile finds nobody.
            futures = self._unanswered.take(request_ids)
            if futures:
                self.perform(Cancel(tuple(futures)))
        # Outside of the lock: whoever waits goes on in this thread, and may call the pool again.
        for future in futures.values():
            future.set_exception(CancelledRequestError("the request was cancelled"))

    def close(self) -> None:
        """Cancel what is left, on the servers too, and release every connection."""
        with self._order:
            if self._closed:
                return
            # Under the lock and before all else: no command comes after it.
            self._closed = True
        self._unanswered.close()
        self._unanswered.answer_all(CancelledRequestError("the pool was closed"))
        self._release()

    def _release(self) -> None:  # noqa: B027  (optional to implement)
        """Cancel what still runs and give back what the pool holds. Called once, after the last command."""

    def _perform(self, command: Command[GenerationRequest]) -> None:
        with self._order:
            if not self._closed:
                self.perform(command)
