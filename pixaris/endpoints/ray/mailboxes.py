"""All clients' mailboxes, and what has left them a moment ago. Lives in the pool actor's control loop."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pixaris.endpoints.ray.mailbox import Kept, Mailbox
from pixaris.endpoints.ray.messages import ImageRef, Outcome
from pixaris.endpoints.ray.recent import Recent


class Mailboxes:
    """One mailbox for each client that has called, or that somebody has called for. Not thread-safe."""

    def __init__(self) -> None:
        self._boxes: dict[str, Mailbox] = {}
        self._recent = Recent()
        self._unwanted: list[ImageRef] = []

    def of(self, client: str, *, early: bool = False) -> Mailbox:
        """A client's mailbox, made where there is none.

        Args:
            client: The name that it calls under.
            early: Whether somebody else calls for a client that is still to come.
        """
        mailbox = self._boxes.get(client)
        if mailbox is None:
            mailbox = self._boxes[client] = Mailbox(time.monotonic(), awaited=early)
        if not early:
            mailbox.hear(time.monotonic())
        return mailbox

    @property
    def clients(self) -> tuple[str, ...]:
        """Those that have one."""
        return tuple(self._boxes)

    def put(self, kept: Kept, client: str) -> None:
        """Keep an outcome for a client; where that one is gone, for others that may ask for the same."""
        mailbox = self._boxes.get(client)
        if mailbox is not None:
            mailbox.put(kept)
        else:
            self._leave([kept], client)

    def acknowledge(self, client: str, seen: int) -> None:
        """As `Mailbox.acknowledge`."""
        self._leave(self._boxes[client].acknowledge(seen), client)

    def image_of(self, content: str, client: str) -> Outcome | None:
        """The image that a client asks for, where it was made for another one who may not have kept it yet,
        or has kept it after this one had looked into the stores.

        Args:
            content: As `Kept.content`.
            client: Who asks: who asks twice wants two images.
        """
        for name, mailbox in self._boxes.items():
            if name != client and (found := mailbox.image_of(content)) is not None:
                return found
        return self._recent.image_of(content, client)

    def silent(self, seconds: float) -> list[str]:
        """Clients that have not called for longer than that."""
        now = time.monotonic()
        return [client for client, mailbox in self._boxes.items() if mailbox.silence(now) > seconds]

    def remove(self, client: str) -> None:
        """Keep nothing for a client; who waits at its mailbox waits no longer."""
        mailbox = self._boxes.pop(client, None)
        if mailbox is not None:
            self._leave(mailbox.close(), client)

    def take_unwanted(self) -> list[ImageRef]:
        """Images that nobody will fetch; each is given once."""
        unwanted = [*self._unwanted, *self._recent.take_old(time.monotonic())]
        self._unwanted = []
        return unwanted

    def _leave(self, gone: Iterable[Kept], client: str) -> None:
        self._unwanted += self._recent.add(gone, client, time.monotonic())
