"""Images whose clients have them by now, kept a little longer."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pixaris.endpoints.ray.mailbox import Kept
from pixaris.endpoints.ray.messages import ImageRef, Outcome

SECONDS = 10.0
MOST = 64
"""Images, so that they take up a part of the workers' shelves only."""


class Recent:
    """What was made a moment ago.

    A client asks the pool for what it has not found in a store. Where another one keeps that image after
    that look and before the question arrives, neither the store nor a mailbox would have given it, and it
    would be made a second time.
    """

    def __init__(self) -> None:
        self._images: deque[tuple[float, str, Kept]] = deque()

    def add(self, gone: Iterable[Kept], client: str, now: float) -> list[ImageRef]:
        """Keep what has left a mailbox for a while.

        Args:
            gone: What was in the mailbox.
            client: Whose it was.
            now: Seconds, monotonic.

        Returns:
            The images among them that nobody else will ask for.
        """
        unwanted = []
        for one in gone:
            if one.outcome.ref is None:
                continue
            if one.content:
                self._images.append((now, client, one))
            else:
                unwanted.append(one.outcome.ref)
        return unwanted

    def image_of(self, content: str, client: str) -> Outcome | None:
        """The outcome with an image of this content that was another client's."""
        for _, owner, one in self._images:
            if one.content == content and owner != client:
                return one.outcome
        return None

    def take_old(self, now: float) -> list[ImageRef]:
        """Images that need not be kept any longer; each is given once."""
        old = []
        while self._images and (len(self._images) > MOST or now - self._images[0][0] > SECONDS):
            ref = self._images.popleft()[2].outcome.ref
            if ref is not None:
                old.append(ref)
        return old
