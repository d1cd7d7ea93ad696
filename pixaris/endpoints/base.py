"""The seams of the pool: what an endpoint is, what talks to one, what runs many requests on many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pixaris.comfyui.address import Timeouts
from pixaris.types import EndpointKind, GeneratedImage, GenerationRequest

EndpointState: TypeAlias = Literal["starting", "healthy", "quarantined", "gone"]


@dataclass(frozen=True)
class Endpoint:
    """A server that generates.

    Attributes:
        url: Base URL, without credentials; also its name everywhere.
        kind: Which requests it serves.
        headers: HTTP headers for authentication; never shown.
        depth: Requests it is given at once. 2 keeps a ComfyUI busy: the next prompt waits in its queue while
            one runs.
        timeouts: How long it is waited for.
    """

    url: str
    kind: EndpointKind = "comfyui"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    depth: int = 2
    timeouts: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True)
class EndpointStatus:
    """One endpoint as the pool sees it.

    Attributes:
        url: The endpoint.
        state: "quarantined" after a failure, until a probe succeeds.
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
        return sum(costs) if costs else None


class EndpointClient(ABC):
    """Talks to one endpoint. Thread-safe: the pool calls `run` from as many threads as the endpoint's
    depth.
    """

    @abstractmethod
    def run(self, request: GenerationRequest) -> GeneratedImage:
        """Generate one image and wait for it.

        Raises:
            RequestError: The request fails the same way everywhere.
            EndpointError: This endpoint failed; another may not.
            AccountError: The account cannot be used.
        """

    def resume(self, request: GenerationRequest) -> GeneratedImage:
        """As `run`, for a request that may be on the endpoint already: a client of the same pool that died
        may have sent it.

        What is found there is waited for rather than sent a second time.
        """
        return self.run(request)

    @abstractmethod
    def probe(self) -> None:
        """Return if the endpoint can take requests, quickly.

        Raises:
            EndpointError: It cannot, with the reason.
        """

    def cancel(self, request_id: str) -> None:  # noqa: B027  (optional to implement)
        """Withdraw a request that `run` has in another thread, and nobody else's; `run` then raises
        CancelledRequestError.
        """

    def orphans(self) -> tuple[str, ...]:
        """Requests of this pool that the endpoint has, or has just made, for a client that died.

        Raises:
            EndpointError: It does not answer.
        """
        return ()

    def cancel_orphans(self, request_ids: Iterable[str]) -> None:  # noqa: B027  (optional to implement)
        """Take such requests off the endpoint, unless `resume` has them meanwhile.

        Raises:
            EndpointError: It does not answer.
        """

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Let go of connections. Called once."""


class EndpointPool(ABC):
    """Runs requests on endpoints: leases per image, fail-over, quarantine. Thread-safe.

    Endpoints join and leave at any time; one process at a time says which (the driver's `Roster`), any may
    submit.
    """

    @abstractmethod
    def join(self, endpoint: Endpoint) -> None:
        """Add an endpoint, without waiting; it gets work once it answers a probe. One that is known already
        stays as it is.

        Raises:
            ConfigurationError: Its URL cannot be one; a pool elsewhere tells it as an event instead.
        """

    @abstractmethod
    def leave(self, url: str) -> None:
        """Remove an endpoint, without waiting: what it had goes to others, its client is closed. An unknown
        one is no error.
        """

    @abstractmethod
    def tell(self, sentence: str) -> None:
        """Add an event for the user."""

    @abstractmethod
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

    @abstractmethod
    def promote(self, request_ids: Iterable[str], priority: int = 0) -> None:
        """Change the priority of requests that wait: what was done ahead is now waited for."""

    @abstractmethod
    def cancel(self, request_ids: Iterable[str]) -> None:
        """Withdraw requests nobody waits for any more; their futures raise CancelledRequestError."""

    @abstractmethod
    def status(self, since_event: int = 0) -> PoolStatus:
        """The pool as it is now, with the events from number `since_event` on."""

    @abstractmethod
    def close(self) -> None:
        """Withdraw what is left, on the servers too, and let go of every connection."""
