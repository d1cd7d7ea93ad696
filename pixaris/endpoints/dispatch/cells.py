"""The usable endpoints of one kind, in cells: so that what one image costs does not grow with the pool.

Placement weighs an endpoint against all others that it is given. Up to `WHOLE` endpoints these are all there
are. A larger pool is cut into cells of `SIZE`, with fast and slow ones in each; requests stay in the one
queue that all cells take from, so owners share the whole pool, and a cell reckons with its share of what
waits. Only cells are looked at in which something can have changed.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pixaris.endpoints.dispatch.server import Server

WHOLE = 256
"""Endpoints of a kind that are one cell."""

SIZE = 16
"""Endpoints of a cell, where there are more: placement costs a microsecond or so for each."""

# What made those others the better choice may have changed: one of them got slow, or took other work.
LOOK_AGAIN = 1.0
"""Seconds until a cell is looked at again whose free endpoints have left what waits to others."""


@dataclass
class Cell:
    """Some endpoints.

    Attributes:
        servers: The endpoints.
        is_changed: Whether one of them has got a free slot since it was looked at.
        arrived: How many requests had come to wait when it was looked at.
        looked: When it was looked at.
        models: The affinity keys that they held then, each as often as one held it …
        held: … and how often that was.
    """

    servers: Sequence[Server]
    is_changed: bool = True
    arrived: int = -1
    looked: float = float("-inf")
    models: list[str] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)


class Cells:
    """The cells of one kind, for as long as the same endpoints can be used.

    Args:
        servers: The endpoints.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self.servers = servers
        count = 1
        if len(servers) > WHOLE:
            # Rounded up, so that no cell is larger than `SIZE`.
            count = -(-len(servers) // SIZE)
        dealt = servers
        if count > 1:
            # By chance, but alike each time: equal ones often stand beside each other, or every nth.
            dealt = sorted(servers, key=lambda server: zlib.crc32(server.endpoint.url.encode()))
        self._cells = [Cell(dealt[index::count]) for index in range(count)]
        self._of = {
            server.endpoint.url: index for index, cell in enumerate(self._cells) for server in cell.servers
        }
        # A dict for its order: a set's would differ from run to run.
        self._open = dict.fromkeys(range(count))
        self._held: Counter[str] = Counter()
        for cell in self._cells:
            self._count(cell)

    def freed(self, url: str) -> None:
        """An endpoint has got a free slot."""
        index = self._of.get(url)
        if index is not None:
            self._cells[index].is_changed = True
            self._open[index] = None

    @property
    def has_free(self) -> bool:
        """Whether an endpoint may have a free slot."""
        return bool(self._open)

    def due(self, arrived: int, now: float) -> Iterator[Cell]:
        """The cells to look at; each is noted as looked at when the next one is asked for.

        Args:
            arrived: How many requests have come to wait so far.
            now: Seconds.
        """
        alone = len(self._cells) == 1
        # A copy: whoever places requests in a cell calls `freed` meanwhile.
        for index in list(self._open):
            cell = self._cells[index]
            if not (alone or cell.is_changed or cell.arrived != arrived or cell.looked + LOOK_AGAIN <= now):
                continue
            yield cell
            self._count(cell)
            # After the yield, since the caller has placed requests by then.
            cell.is_changed, cell.arrived, cell.looked = False, arrived, now
            if not (alone or any(server.free for server in cell.servers)):
                del self._open[index]

    def share(self, cell: Cell) -> float:
        """A cell's part of all endpoints."""
        return len(cell.servers) / max(1, len(self.servers))

    def elsewhere(self, cell: Cell, affinity: str) -> int:
        """How many endpoints of other cells hold some models."""
        if len(self._cells) == 1:
            return 0
        return self._held[affinity] - cell.held[affinity]

    def _count(self, cell: Cell) -> None:
        """Count the models that a cell's endpoints hold."""
        models = [key for server in cell.servers for key in server.models]
        # Most rounds change no models, and counting them anew would cost more than the comparison.
        if models != cell.models:
            self._held.subtract(cell.held)
            cell.models, cell.held = models, Counter(models)
            self._held.update(cell.held)
