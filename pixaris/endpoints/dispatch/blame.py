"""Whose fault a failure is: the endpoint's, or the parameter set's. Pure.

**No fault of one parameter set may keep every endpoint from the others.** While others wait, a failure is not
taken for the endpoint's where it may be the set's: where requests of the same owner have failed on another
endpoint since its last image, and where no other endpoint of the kind is healthy. Such an endpoint is
*doubted*: it gets nothing new until its probe, which is due at once, and only a probe that fails, or another
owner's failure, quarantines it. Endpoints that rest for one owner's failures are probed as soon as another
owner asks.
"""

from __future__ import annotations

from collections.abc import Iterable

from pixaris.endpoints.dispatch.server import Server


class Blame:
    """Remembers on which endpoints each owner's requests have failed. Not thread-safe."""

    def __init__(self) -> None:
        self._failed_on: dict[str, set[str]] = {}

    def cleared(self, owner: str) -> None:
        """An owner's request became an image: its requests are not what makes endpoints fail."""
        self._failed_on.pop(owner, None)

    def falls_on_owner(self, server: Server, owner: str, *, is_last: bool) -> bool:
        """Take a failure in; whether it may be the fault of what was asked for.

        Args:
            server: Where it was.
            owner: Whose request it was.
            is_last: Whether no other endpoint could be used.
        """
        # Both are noted before it is judged, so that the second endpoint that fails for one owner is doubted
        # already.
        failed_on = self._failed_on.setdefault(owner, set())
        failed_on.add(server.endpoint.url)
        server.blamed_by.add(owner)
        # One owner on several endpoints speaks against the owner; several owners on one endpoint against
        # that.
        return server.blamed_by == {owner} and (is_last or len(failed_on) > 1)


def unfit(server: Server, usable: Iterable[Server]) -> set[str]:
    """Where to send a request last that ran out of memory on an endpoint: where there is less memory; and
    where there is as much, if there is more elsewhere.

    Args:
        server: The endpoint.
        usable: All of its kind that can be used.
    """
    # Nobody can compare: any other one may do.
    if server.memory is None:
        return {server.endpoint.url}
    known = {one.endpoint.url: one.memory for one in usable if one.memory is not None}
    has_more = any(memory > server.memory for memory in known.values())
    if has_more:
        needed = server.memory + 1
    else:
        needed = server.memory
    less = {url for url, memory in known.items() if memory < needed}
    # Where all are equally large the request still goes elsewhere first: something else may have filled this
    # one.
    return less or {server.endpoint.url}
