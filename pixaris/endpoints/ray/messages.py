"""What travels between a trial, the pool actor and its workers, and the mailbox in which outcomes wait for
their client.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace

import ray

from pixaris.exceptions import PixarisError
from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, GenerationRequest

NAMESPACE = "pixaris"


@dataclass(frozen=True)
class Envelope:
    """A request on its way: its images' bytes stay in the object store until a worker lacks them.

    Attributes:
        request: The request, its images without bytes.
        images: Image digest to the reference of its bytes.
        client: Who asked, and is told.
    """

    request: GenerationRequest
    images: Mapping[str, ray.ObjectRef]
    client: str

    @property
    def key(self) -> str:
        """The request among those of all clients: what one of them cancels is its own."""
        return f"{self.client}/{self.request.id}"


@dataclass(frozen=True)
class Place:
    """Where an image's bytes wait for their client.

    Attributes:
        worker: The worker's name.
        number: The image's on the worker's shelf.
    """

    worker: str
    number: int


@dataclass(frozen=True)
class Outcome:
    """What became of a request: an image (its bytes wait at a place) or an error."""

    request_id: str
    image: GeneratedImage | None = None
    place: Place | None = None
    error: PixarisError | None = None


@dataclass(frozen=True)
class Delivery:
    """Outcomes handed to a client.

    Attributes:
        token: The mailbox they are from; "" if the pool cannot say yet. Another token than before: the pool
            knows nothing of what the client asked for earlier.
        outcomes: Those that the client has not acknowledged.
    """

    token: str
    outcomes: tuple[Outcome, ...] = ()


def without_bytes(image: EncodedImage) -> EncodedImage:
    """An image's digest, to travel in its place."""
    return replace(image, data=b"")


class Mailbox:
    """One client's outcomes until it has acknowledged them. Lives in the pool actor's control loop.

    Args:
        now: Seconds, monotonic.
        awaited: Whether the client is still to come: until it calls, its silence means nothing.

    Attributes:
        token: Unique.
    """

    def __init__(self, now: float, *, awaited: bool = False) -> None:
        self.token = uuid.uuid4().hex
        self._outcomes: list[Outcome] = []
        self._acknowledged = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._listeners = 0
        self._heard = now
        self._awaited = awaited

    def put(self, outcome: Outcome) -> None:
        """Add an outcome."""
        self._outcomes.append(outcome)
        self._changed.set()

    def holds(self, request_id: str) -> bool:
        """Whether there is an outcome of this request that the client may not have yet."""
        return any(outcome.request_id == request_id for outcome in self._outcomes)

    def hear(self, now: float) -> None:
        """The client has called."""
        self._heard = now
        self._awaited = False

    def silence(self, now: float) -> float:
        """Seconds since the client called or waited here."""
        return 0.0 if self._listeners or self._awaited else now - self._heard

    def acknowledge(self, seen: int) -> list[Outcome]:
        """Let go of what the client has.

        Args:
            seen: How many outcomes of this mailbox it has had since the beginning.

        Returns:
            Those that it had not acknowledged before.
        """
        count = max(0, seen - self._acknowledged)
        gone, self._outcomes = self._outcomes[:count], self._outcomes[count:]
        self._acknowledged += len(gone)
        return gone

    async def take(self, seconds: float) -> tuple[Outcome, ...]:
        """Wait for outcomes that the client has not acknowledged, at most some seconds."""
        self._listeners += 1
        try:
            while not (self._outcomes or self._closed):
                self._changed.clear()
                await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return ()
        finally:
            self._listeners -= 1
        return tuple(self._outcomes)

    def close(self) -> list[Outcome]:
        """Let nobody wait here any more; gives what nobody will fetch."""
        self._closed = True
        self._changed.set()
        return self._outcomes
