"""Endpoints that somebody does not want to be used for now. Pure."""

from __future__ import annotations

from pixaris.endpoints.base import Use
from pixaris.endpoints.dispatch.dispatcher import Dispatcher
from pixaris.endpoints.dispatch.request import Lease

_TOLD: dict[Use, str] = {
    "drain": "is drained: it ends what it has, and gets no more",
    "disable": "is disabled: what it had goes to others",
    "enable": "is enabled again",
}


def switch(dispatcher: Dispatcher, url: str, use: Use, now: float) -> list[Lease]:
    """Use an endpoint no more, or again.

    One that is switched off counts as what it is besides: requests wait for it, however long.

    Args:
        dispatcher: Has it.
        url: The endpoint; an unknown one is no error.
        use: What is wanted.
        now: Seconds.

    Returns:
        The leases that are taken from it, which no longer count; none of a service that charges for what it
        has begun.
    """
    health = dispatcher.health
    server = health.server(url)
    # To use one that is used already is no event.
    if server is None or (use == "enable" and not server.held):
        return []
    server.held = use != "enable"
    health.members.changed(server)
    health.emit(f"{url} {_TOLD[use]}")
    if all(one.state == "drained" for one in health.status()):
        health.emit(
            "no endpoint is used now: all are drained or disabled; pixaris endpoints FILE --enable URL"
        )
    # What has been paid for is fetched.
    if use != "disable" or server.endpoint.api.charges:
        return []
    return dispatcher.leave(url, now, stays=True)
