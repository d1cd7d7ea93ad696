"""The searches that share a pool: what each is told, what came of its requests, and what ended it. Pure.

A pool of one search's own has one, which is called "".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pixaris.endpoints.base import EndpointStatus, PoolStatus
from pixaris.exceptions import PixarisError


def only_search(owner: str) -> str:
    """The search of any owner, in a pool that is one search's own."""
    return ""


@dataclass
class Standing:
    """How a search stands.

    Attributes:
        images: Its requests that were answered with an image.
        errors: Its requests that were answered with an error.
        made: Endpoint to the images that it made for the search.
        lost: Images that were counted and never reached it.
        fatal: Why it cannot go on, or None.
        stopped: What its requests are answered with since it was stopped, or None.
        events: Sentences for its user.
    """

    images: int = 0
    errors: int = 0
    made: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    fatal: PixarisError | None = None
    stopped: PixarisError | None = None
    events: list[str] = field(default_factory=list)

    @property
    def refusal(self) -> PixarisError | None:
        """What its new requests are answered with, or None."""
        return self.fatal or self.stopped

    def count(self, url: str, error: PixarisError | None) -> None:
        """A request of it was answered.

        Args:
            url: The endpoint that had it last.
            error: Why there is no image, or None.
        """
        if error is None:
            self.images += 1
            self.made[url] += 1
        else:
            self.errors += 1

    def status(self, endpoints: Sequence[EndpointStatus], waiting: int, since_event: int) -> PoolStatus:
        """The pool as it stands for the search; all events, if there never were `since_event` (the number is
        another pool's).

        Args:
            endpoints: As they stand.
            waiting: Requests that no endpoint has yet.
            since_event: How many events the caller knows.
        """
        # Events are only ever added, so that "since" is a position; a pool that was started again has fewer
        # than its caller knows.
        if since_event <= len(self.events):
            first = since_event
        else:
            first = 0
        return PoolStatus(
            endpoints=tuple(endpoints),
            waiting=waiting,
            done=max(0, self.images - self.lost),
            failed=self.errors,
            fatal=self.fatal,
            events=tuple(self.events[first:]),
            first_event=first,
        )

    def seen(self, endpoint: EndpointStatus) -> EndpointStatus:
        """An endpoint with the images alone that it made for the search."""
        return replace(endpoint, done=self.made[endpoint.url])


class Searches:
    """Search to how it stands, from its first call until it leaves. Not thread-safe.

    Args:
        happened: What happens to endpoints is added here, as sentences; all searches are told, and it is
            emptied.
    """

    def __init__(self, happened: list[str]) -> None:
        self._happened = happened
        self._standings = {"": Standing()}

    def enter(self, search: str) -> Standing:
        """How a search stands; one that is not known begins with nothing."""
        self._spread()
        return self._standings.setdefault(search, Standing())

    def look(self, search: str) -> Standing:
        """How a search stands; of one that is not known any more, nothing is kept."""
        return self._standings.get(search) or Standing()

    def leave(self, search: str) -> None:
        """Keep nothing of a search. An unknown one is no error."""
        self._standings.pop(search, None)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that share the pool, the earliest first."""
        return tuple(filter(None, self._standings))

    def emit(self, sentence: str, search: str) -> None:
        """Add an event.

        Args:
            sentence: For the user.
            search: Whose user is told; "" tells all.
        """
        if search:
            self.enter(search).events.append(sentence)
        else:
            self._happened.append(sentence)

    def end(self, searches: set[str], fatal: PixarisError) -> None:
        """These cannot go on; what was noted first stands."""
        for search in searches:
            standing = self.look(search)
            standing.fatal = standing.fatal or fatal

    def _spread(self) -> None:
        for standing in self._standings.values():
            standing.events += self._happened
        self._happened.clear()
