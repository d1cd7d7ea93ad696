"""Where outcomes wait for their client. Lives in the pool actor's control loop."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass

from pixaris.endpoints.ray.messages import Outcome


@dataclass(frozen=True)
class Kept:
    """An outcome that is kept for a client.

    Attributes:
        outcome: What became of a request.
        content: Equal for requests whose images are equal; "" where nobody else is given this one.
    """

    outcome: Outcome
    content: str = ""


class Mailbox:
    """One client's outcomes until it has acknowledged them.

    Args:
        now: Seconds, monotonic.
        awaited: Whether the client is still to come: until it calls, its silence means nothing.

    Attributes:
        token: Unique.
    """

    def __init__(self, now: float, *, awaited: bool = False) -> None:
        self.token = uuid.uuid4().hex
        self._kept: list[Kept] = []
        self._acknowledged = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._listeners = 0
        self._heard = now
        self._awaited = awaited

    def put(self, kept: Kept) -> None:
        """Add an outcome."""
        self._kept.append(kept)
        self._changed.set()

    def image_of(self, content: str) -> Outcome | None:
        """The outcome with an image of this content, if there is one that the client may not have yet."""
        return next((one.outcome for one in self._kept if one.content == content and one.outcome.ref), None)

    def holds(self, request_id: str) -> bool:
        """Whether there is an outcome of this request that the client may not have yet."""
        return any(one.outcome.request_id == request_id for one in self._kept)

    def hear(self, now: float) -> None:
        """The client has called."""
        self._heard = now
        self._awaited = False

    def silence(self, now: float) -> float:
        """Seconds since the client called or waited here."""
        if self._listeners or self._awaited:
            return 0.0
        return now - self._heard

    def acknowledge(self, seen: int) -> list[Kept]:
        """Release what the client has.

        Args:
            seen: How many outcomes of this mailbox it has had since the beginning.

        Returns:
            Those that it had not acknowledged before.
        """
        count = max(0, seen - self._acknowledged)
        gone, self._kept = self._kept[:count], self._kept[count:]
        self._acknowledged += len(gone)
        return gone

    async def take(self, seconds: float) -> tuple[Outcome, ...]:
        """Wait for outcomes that the client has not acknowledged, at most some seconds."""
        self._listeners += 1
        try:
            while not (self._kept or self._closed):
                self._changed.clear()
                await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return ()
        finally:
            self._listeners -= 1
        return tuple(one.outcome for one in self._kept)

    def close(self) -> list[Kept]:
        """Let nobody wait here any more; gives what nobody will fetch."""
        self._closed = True
        self._changed.set()
        return self._kept
