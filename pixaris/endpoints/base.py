"""The seams of the pool: what an endpoint is, what talks to one, what runs many requests on many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pixaris.types import EndpointKind, GeneratedImage, GenerationRequest

EndpointState: TypeAlias = Literal["starting", "healthy", "quarantined", "gone"]


@dataclass(frozen=True)
class Endpoint:
    """A server that generates.

    Attributes:
        url: Base URL, without credentials; also its name everywhere.
        kind: Which requests it serves.
        headers: HTTP headers for authentication; never shown.
        depth: Requests it is given at once. 2 keeps a ComfyUI busy: the next prompt waits in its queue while one runs.
    """

    url: str
    kind: EndpointKind = "comfyui"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    depth: int = 2


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
    """

    url: str
    state: EndpointState
    in_flight: int = 0
    done: int = 0
    failures: int = 0
    last_failure: str = ""


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


class EndpointClient(ABC):
    """Talks to one endpoint. Thread-safe: the pool calls `run` from as many threads as the endpoint's depth."""

    @abstractmethod
    def run(self, request: GenerationRequest) -> GeneratedImage:
        """Generate one image and wait for it.

        Raises:
            RequestError: The request fails the same way everywhere.
            EndpointError: This endpoint failed; another may not.
            AccountError: The account cannot be used.
        """

    @abstractmethod
    def probe(self) -> None:
        """Return if the endpoint can take requests, quickly.

        Raises:
            EndpointError: It cannot, with the reason.
        """

    def cancel(self, request_id: str) -> None:  # noqa: B027  (optional to implement)
        """Withdraw a request that `run` has in another thread, and nobody else's; `run` then raises CancelledRequestError."""

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Let go of connections. Called once."""


class EndpointPool(ABC):
    """Runs requests on endpoints: leases per image, fail-over, quarantine. Thread-safe."""

    @abstractmethod
    def submit(self, requests: Sequence[GenerationRequest], *, priority: int = 0) -> list[Future[GeneratedImage]]:
        """Queue requests; each future gives the image or raises what `EndpointClient.run` raised last.

        Args:
            requests: In the order they should start.
            priority: Smaller runs first; work done ahead of a decision has a larger number.
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
