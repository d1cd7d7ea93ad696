"""Requests whose process died, and the endpoints that have them: they are taken over rather than run twice,
or else cancelled. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable


class Orphans:
    """What a pool knows of them. Almost always empty.

    A worker that died leaves the requests it had (`left`). A pool that succeeds one whose process died does
    not know what that one had where: each endpoint's queue is looked through once (`found`), and a request is
    known when it is submitted again (`submitted`).

    Args:
        now: Seconds, monotonic.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._expected = False
        self._searched: set[str] = set()
        self._suspected: set[str] = set()
        self._found: dict[str, str] = {}
        self._urls: dict[str, str] = {}

    def expect(self) -> None:
        """A predecessor died: every endpoint may have some."""
        self._expected = True

    def suspect(self, url: str) -> None:
        """An endpoint did not let an orphan be taken over; it may have it still."""
        self._suspected.add(url)

    def is_unknown(self, url: str) -> bool:
        """Whether an endpoint is still to be looked through."""
        return url in self._suspected or (self._expected and url not in self._searched)

    def found(self, url: str, request_ids: Iterable[str]) -> None:
        """An endpoint was looked through."""
        # Once is enough: after it, whatever is in the endpoint's queue was put there by this pool.
        self._searched.add(url)
        self._suspected.discard(url)
        self._found.update(dict.fromkeys(request_ids, url))

    def submitted(self, key: str, request_id: str) -> None:
        """A request is in the pool; if an orphan of it was found, it is known by its key from now on."""
        if request_id in self._found:
            self._urls[key] = self._found.pop(request_id)

    def left(self, key: str, url: str) -> None:
        """A worker died while it had a request on an endpoint."""
        self._urls[key] = url

    def known(self) -> list[tuple[str, str]]:
        """Requests of the pool that an endpoint may have already, and the endpoint's URL."""
        return list(self._urls.items())

    def release(self, key: str) -> str:
        """Keep a request's orphan no longer; the URL where it is, or "" if there is none."""
        if self._urls:
            return self._urls.pop(key, "")
        return ""

    def unclaimed(self, before: float) -> list[tuple[str, str]]:
        """Keep orphans no longer whose request is not in the pool; their request ids and URLs.

        Args:
            before: A successor that was started after this time gives its clients time to submit again.
        """
        # Those who wait for a request submit it again as soon as they hear of the new pool; cancelling before
        # that would throw begun images away.
        if not self._found or (self._expected and self._since > before):
            return []
        unclaimed, self._found = list(self._found.items()), {}
        return unclaimed
