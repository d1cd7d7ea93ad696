"""Pools that are larger than one round of placement looks at: fair, busy, and as cheap for each image."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.cells import SIZE, WHOLE, Cells
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease
from pixaris.endpoints.dispatch.server import Server
from pixaris.exceptions import UnreachableError

COUNT = 40 * SIZE
assert COUNT > WHOLE


class Played:
    """A large pool played in thought, and how often an endpoint was looked at.

    Args:
        seconds: An endpoint's seconds per image, by its number.
    """

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.dispatcher = Dispatcher()
        self.seconds = {f"http://{number}": seconds(number) for number in range(COUNT)}
        for url in self.seconds:
            self.dispatcher.join(Endpoint(url), 0.0, healthy=True)
        self.served: Counter[str] = Counter()
        self.now = 0.0
        self.end = 0.0
        self._busy = dict.fromkeys(self.seconds, 0.0)
        self._ends: list[tuple[float, int, Lease]] = []
        self._numbers = itertools.count()

    def ask(self, owner: str, model: str = "") -> None:
        number = next(self._numbers)
        self.dispatcher.submit(f"{owner}/{number}", "comfyui", 0, self.now, owner=owner, affinity=model)

    def assign(self) -> list[Lease]:
        leases = self.dispatcher.assign(self.now)
        for lease in leases:
            self._busy[lease.url] = max(self.now, self._busy[lease.url]) + self.seconds[lease.url]
            heapq.heappush(self._ends, (self._busy[lease.url], lease.serial, lease))
        return leases

    def step(self) -> str:
        """One image comes; gives whose it was. "" where none is under way."""
        if not self._ends:
            return ""
        self.now, _, lease = heapq.heappop(self._ends)
        self.end = max(self.end, self.now)
        owner = lease.request_id.partition("/")[0]
        self.served[owner] += 1
        assert self.dispatcher.succeeded(lease, self.now)
        return owner


def test_a_hundred_searches_are_served_alike_and_every_endpoint_is_busy() -> None:
    pool = Played(lambda number: 5.0 + number % 11)
    for number in range(5000):
        pool.ask(f"search {number % 100}")
    assert len(pool.assign()) == 2 * COUNT, "every slot is filled at once"
    for _ in range(20 * COUNT):
        pool.ask(pool.step())
        assert len(pool.assign()) == 1, "the slot that is free is filled at once"
    each = 20 * COUNT / 100
    assert min(pool.served.values()) >= 0.85 * each
    assert max(pool.served.values()) <= 1.15 * each


def test_an_owner_that_comes_late_is_served_from_then_on() -> None:
    pool = Played(lambda number: 1.0 + number / 1e4)
    for _ in range(8 * COUNT):
        pool.ask("large")
    pool.assign()
    for _ in range(64):
        pool.ask("small")
    for _ in range(200):
        pool.step()
        pool.assign()
    waiting = [key for key in pool.dispatcher.unanswered() if key.startswith("small/")]
    assert all(pool.dispatcher.lease(key) for key in waiting)


@pytest.mark.parametrize("images", [COUNT // 2, 3 * COUNT, 10 * COUNT])
def test_the_end_waits_for_no_slow_endpoint(images: int) -> None:
    pool = Played(lambda number: (1.0, 1.0, 1.0, 4.0)[number * 7 % 4])
    for number in range(4 * COUNT):  # so that the endpoints' seconds are known
        pool.ask(f"first {number % 4}")
    pool.assign()
    while pool.step():
        pool.assign()
    began = pool.end
    for number in range(images):
        pool.ask(f"search {number % 10}")
    pool.assign()
    while pool.step():
        pool.assign()
    assert sum(pool.served.values()) == 4 * COUNT + images
    rate = sum(1 / seconds for seconds in pool.seconds.values())
    assert pool.end - began <= 1.15 * images / rate + 1.0


def test_one_image_has_one_cell_looked_at() -> None:
    servers = [Server(Endpoint(f"http://{number}", depth=1), "healthy") for number in range(COUNT)]
    cells = Cells(servers)
    assert sum(len(cell.servers) for cell in cells.due(1, 0.0)) == COUNT, "all, the first time"
    for server in servers:
        server.leases["x"] = None  # type: ignore[assignment]
    assert len(list(cells.due(2, 0.0))) == COUNT // SIZE
    assert list(cells.due(3, 0.0)) == [], "none has a free slot"
    servers[5].leases.clear()
    cells.freed("http://5")
    (cell,) = cells.due(3, 0.1)
    assert servers[5] in cell.servers
    assert list(cells.due(3, 0.2)) == [], "nothing has changed"
    assert list(cells.due(4, 0.3)) == [cell], "something else waits"
    assert list(cells.due(4, 1.4)) == [cell], "time has passed"


def test_an_endpoint_that_fails_leaves_its_cell_and_comes_back() -> None:
    pool = Played(lambda number: 1.0)
    for _ in range(2 * COUNT + 10):
        pool.ask("search")
    lease = pool.assign()[0]
    assert not pool.dispatcher.failed(lease, UnreachableError("reset"), 0.5)
    (endpoint,) = pool.dispatcher.health.probes(2.0)
    assert endpoint.url == lease.url
    assert all(one.url != lease.url for one in pool.dispatcher.assign(2.0))
    pool.dispatcher.health.probed(lease.url, None, 2.0)
    assert any(one.url == lease.url for one in pool.dispatcher.assign(2.0))
