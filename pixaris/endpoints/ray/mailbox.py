"""Where outcomes wait for their client. Lives in the pool actor's control loop."""

from __future__ import annotations

import asyncio
import uuid

from pixaris.endpoints.ray.messages import Outcome


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
        self._outcomes: list[Outcome] = []
        self._contents: list[str] = []
        self._acknowledged = 0
        self._changed = asyncio.Event()
        self._closed = False
        self._listeners = 0
        self._heard = now
        self._awaited = awaited

    def put(self, outcome: Outcome, content: str = "") -> None:
        """Add an outcome.

        Args:
            outcome: What became of a request.
            content: Equal for requests whose images are equal.
        """
        self._outcomes.append(outcome)
        self._contents.append(content)
        self._changed.set()

    def image_of(self, content: str) -> Outcome | None:
        """The outcome with an image of this content, if there is one that the client may not have yet."""
        found = zip(self._outcomes, self._contents, strict=True)
        return next((one for one, known in found if known == content and one.ref is not None), None)

    def holds(self, request_id: str) -> bool:
        """Whether there is an outcome of this request that the client may not have yet."""
        return any(outcome.request_id == request_id for outcome in self._outcomes)

    def hear(self, now: float) -> None:
        """The client has called."""
        self._heard = now
        self._awaited = False

    def silence(self, now: float) -> float:
        """Seconds since the client called or waited here."""
        if self._listeners or self._awaited:
            return 0.0
        return now - self._heard

    def acknowledge(self, seen: int) -> list[Outcome]:
        """Release what the client has.

        Args:
            seen: How many outcomes of this mailbox it has had since the beginning.

        Returns:
            Those that it had not acknowledged before.
        """
        count = max(0, seen - self._acknowledged)
        gone, self._outcomes = self._outcomes[:count], self._outcomes[count:]
        self._contents = self._contents[count:]
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
