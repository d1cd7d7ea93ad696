"""The endpoints of a pool, kept so that nobody has to look at all of them for every image."""

from __future__ import annotations

from collections.abc import Collection

from pixaris.endpoints.dispatch.cells import Cells
from pixaris.endpoints.dispatch.server import Server


class Members:
    """The endpoints, by URL.

    Attributes:
        servers: URL to endpoint, in the order in which they joined.
    """

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self._cells: dict[str, Cells] = {}
        self._quarantined: dict[str, Server] = {}
        self._awaiting: dict[str, Server] = {}

    @property
    def quarantined(self) -> Collection[Server]:
        """Those that rest after a failure."""
        return self._quarantined.values()

    @property
    def awaiting(self) -> Collection[Server]:
        """Those of which a probe decides how they go on."""
        return self._awaiting.values()

    def add(self, server: Server) -> None:
        """Add an endpoint."""
        self.servers[server.endpoint.url] = server
        self.changed(server)

    def remove(self, url: str) -> Server | None:
        """Remove an endpoint; None if there is none."""
        server = self.servers.pop(url, None)
        if server is not None:
            self.changed(server)
        return server

    def cells(self, kind: str) -> Cells:
        """The endpoints of a kind that may be given requests."""
        found = self._cells.get(kind)
        if found is None:
            of_kind = [one for one in self.servers.values() if one.kind == kind and one.state == "healthy"]
            usable = [one for one in of_kind if not one.doubted and not one.held]
            found = self._cells[kind] = Cells(usable)
        return found

    def changed(self, server: Server) -> None:
        """Whether an endpoint may be given requests, or waits for a probe, is another matter than before."""
        # Made again when somebody asks: many endpoints change at once when a pool starts.
        self._cells.pop(server.kind, None)
        is_here = server.endpoint.url in self.servers
        _keep(self._quarantined, server, is_kept=is_here and server.state == "quarantined")
        _keep(self._awaiting, server, is_kept=is_here and server.awaits_probe)

    def has_healthy(self, kind: str) -> bool:
        """Whether an endpoint of a kind works."""
        return any(one.state == "healthy" and one.kind == kind for one in self.servers.values())


def _keep(servers: dict[str, Server], server: Server, *, is_kept: bool) -> None:
    if is_kept:
        servers[server.endpoint.url] = server
    else:
        servers.pop(server.endpoint.url, None)
