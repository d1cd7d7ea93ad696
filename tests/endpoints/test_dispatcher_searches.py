"""Searches that share a pool share its slots, whatever each of them queues; and nothing else."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy


class Sharing:
    """Searches on endpoints of one second an image: each keeps so many requests of so many owners queued."""

    def __init__(self, endpoints: int, depth: int = 2) -> None:
        self.dispatcher = Dispatcher(Policy())
        self.busy = {f"http://{index}": 0.0 for index in range(endpoints)}
        for url in self.busy:
            self.dispatcher.join(Endpoint(url, depth=depth), 0.0, healthy=True)
        self.served: Counter[str] = Counter()
        self.slots: Counter[str] = Counter()
        self.furthest_apart = 0
        self._numbers: Iterator[int] = iter(range(10**9))
        self._ends: list[tuple[float, int, Lease]] = []
        self._searches: dict[str, tuple[int, str]] = {}
        self._owners: dict[str, str] = {}

    def search(self, name: str, queued: int, owners: int, now: float = 0.0, model: str = "") -> None:
        self._searches[name] = owners, model
        for _ in range(queued):
            self._ask(name, now)

    def _ask(self, name: str, now: float) -> None:
        owners, model = self._searches[name]
        number = next(self._numbers)
        owner = f"{name}{number % owners}"
        self._owners[f"{number}"] = name
        self.dispatcher.submit(f"{number}", "comfyui", 0, now, owner=owner, search=name, affinity=model)

    def _assign(self, now: float) -> None:
        for lease in self.dispatcher.assign(now):
            self.busy[lease.url] = max(now, self.busy[lease.url]) + 1.0
            heapq.heappush(self._ends, (self.busy[lease.url], lease.serial, lease))
            self.slots[self._owners[lease.request_id]] += 1

    def run(self, seconds: float, since: float = 0.0) -> None:
        """Go on until then; who has its image asks for another one."""
        self._assign(since)
        while self._ends and self._ends[0][0] <= since + seconds:
            now, _, lease = heapq.heappop(self._ends)
            name = self._owners[lease.request_id]
            self.served[name] += 1
            self.slots[name] -= 1
            self.dispatcher.succeeded(lease, now)
            self._ask(name, now)
            self._assign(now)
            counts = [self.slots[one] for one in self._searches]
            self.furthest_apart = max(self.furthest_apart, max(counts) - min(counts))


def test_a_search_with_many_trials_gets_no_more_slots_than_one_with_few() -> None:
    sharing = Sharing(4)
    sharing.search("large", queued=400, owners=16)
    sharing.search("small", queued=8, owners=1)
    sharing.run(100)
    assert sharing.served["large"] + sharing.served["small"] == 400
    assert abs(sharing.served["large"] - sharing.served["small"]) <= 8
    assert sharing.furthest_apart <= 2


def test_who_comes_while_others_have_waited_long_gets_the_next_slots() -> None:
    sharing = Sharing(4)
    sharing.search("old", queued=400, owners=4)
    sharing.run(60)  # what it has queued waits for longer than anybody's patience by now
    before = sharing.served["old"]
    sharing.search("new", queued=40, owners=4, now=60.0)
    sharing.run(20, since=60.0)
    assert sharing.served["new"] >= 0.8 * (sharing.served["old"] - before)


def test_what_one_search_leaves_another_one_gets() -> None:
    sharing = Sharing(4)
    sharing.search("busy", queued=100, owners=4)
    sharing.search("slow", queued=1, owners=1)
    sharing.run(50)
    assert sharing.served.total() == 200
    assert sharing.served["slow"] >= 20, "each image takes one second, or two behind another one"


@pytest.mark.parametrize("endpoints", [1, 2, 4])
def test_searches_with_models_of_their_own_take_turns_that_are_worth_their_load(endpoints: int) -> None:
    sharing = Sharing(endpoints)
    for name in ("one", "other"):
        sharing.search(name, queued=40, owners=2, model=f"model of {name}")
    sharing.run(400)
    share = sharing.served["one"] / sharing.served.total()
    assert 0.3 <= share <= 0.7


@settings(max_examples=12, deadline=None)
@given(
    endpoints=st.integers(1, 5),
    depth=st.integers(1, 3),
    queued=st.lists(st.tuples(st.integers(16, 60), st.integers(1, 9)), min_size=2, max_size=4),
)
def test_as_long_as_all_have_work_their_slots_differ_by_one_and_what_ends_by_one_more(
    endpoints: int, depth: int, queued: list[tuple[int, int]]
) -> None:
    sharing = Sharing(endpoints, depth)
    for number, (count, owners) in enumerate(queued):
        sharing.search(f"search {number}", count, owners)
    sharing.run(30)
    assert sharing.furthest_apart <= 2
    counts = [sharing.served[f"search {number}"] for number in range(len(queued))]
    assert max(counts) - min(counts) <= 2 * endpoints * depth
