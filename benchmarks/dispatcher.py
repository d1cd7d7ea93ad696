"""What the dispatcher itself costs: 256 endpoints of two places, 5 000 requests that wait, every image
answered one by one; and 10 000 endpoints that 100 searches share.

The clock is a number, the endpoints take no time: what is measured is the bookkeeping between an image and
the next lease.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy

LIMIT = 1.0
"""Milliseconds for an image: its success and the assignment that follows."""

LARGE_LIMIT = 0.05
"""The same with 10 000 endpoints and 100 searches: the clock of this process, not the wall's."""


@dataclass
class Costs:
    """Milliseconds of every round, the first one (which fills all places) apart."""

    first: float
    rounds: list[float]

    @property
    def mean(self) -> float:
        return sum(self.rounds) / len(self.rounds)


def play(
    endpoints: int, waiting: int, images: int, *, seconds: Callable[[int], float], owners: int, models: int
) -> Costs:
    """So many endpoints, at `seconds(index)` an image; requests of `owners` for `models`, always about
    `waiting` of them.
    """
    dispatcher, speeds = _pool(endpoints, seconds)
    numbers: Iterator[int] = iter(range(10**9))
    busy_until = dict.fromkeys(speeds, 0.0)
    ends: list[tuple[float, int, Lease]] = []

    def ask(now: float) -> None:
        number = next(numbers)
        owner, model = f"trial {number // 40 % owners}", f"model {number // 40 % models}" if models else ""
        dispatcher.submit(str(number), "comfyui", 10 * (number // 20 % 2), now, owner=owner, affinity=model)

    def assign(now: float) -> None:
        for lease in dispatcher.assign(now):
            busy_until[lease.url] = max(now, busy_until[lease.url]) + speeds[lease.url]
            heapq.heappush(ends, (busy_until[lease.url], lease.serial, lease))

    for _ in range(waiting):
        ask(0.0)
    started = time.perf_counter()
    assign(0.0)
    costs = Costs((time.perf_counter() - started) * 1e3, [])
    for _ in range(images):
        now, _, lease = heapq.heappop(ends)
        if dispatcher.waiting < waiting:
            ask(now)
        started = time.perf_counter()
        dispatcher.succeeded(lease, now)
        assign(now)
        costs.rounds.append((time.perf_counter() - started) * 1e3)
    return costs


def say(name: str, costs: Costs) -> None:
    good = "yes" if costs.mean <= LIMIT else "NO"
    worst = sorted(costs.rounds)[int(len(costs.rounds) * 0.99)]
    print(
        f"{name}: {costs.mean:.3f} ms an image (p99 {worst:.2f}, filling all places {costs.first:.0f}; ≤"
        f" {LIMIT:g}: {good})"
    )


def _pool(endpoints: int, seconds: Callable[[int], float]) -> tuple[Dispatcher, dict[str, float]]:
    """A dispatcher of so many healthy endpoints, and how long each takes for an image, by URL."""
    dispatcher = Dispatcher(Policy())
    speeds = {f"http://{index}": seconds(index) for index in range(endpoints)}
    for url in speeds:
        dispatcher.join(Endpoint(url), 0.0, healthy=True)
    return dispatcher, speeds


def share(endpoints: int, searches: int, images: int, seconds: Callable[[int], float]) -> None:
    """Searches that share a large pool, each always with the same number of requests; prints what a decision
    costs, and how evenly they are served.
    """
    dispatcher, speeds = _pool(endpoints, seconds)
    numbers: Iterator[int] = iter(range(10**9))
    busy_until = dict.fromkeys(speeds, 0.0)
    ends: list[tuple[float, int, Lease]] = []
    served: Counter[str] = Counter()

    def ask(search: str, now: float) -> None:
        key = f"{search}/{next(numbers)}"
        model = f"model of {search}"
        dispatcher.submit(key, "comfyui", 0, now, owner=search, search=search, affinity=model)

    def assign(now: float) -> int:
        leases = dispatcher.assign(now)
        for lease in leases:
            busy_until[lease.url] = max(now, busy_until[lease.url]) + speeds[lease.url]
            heapq.heappush(ends, (busy_until[lease.url], lease.serial, lease))
        return len(leases)

    for number in range(3 * endpoints):
        ask(f"search {number % searches}", 0.0)
    assign(0.0)
    spent, decisions = 0.0, 0
    for _ in range(images):
        now, _, lease = heapq.heappop(ends)
        search = lease.request_id.partition("/")[0]
        served[search] += 1
        ask(search, now)
        began = time.process_time()
        dispatcher.succeeded(lease, now)
        spent -= began - time.process_time()
        began = time.process_time()
        decisions += assign(now)
        spent -= began - time.process_time()
    cost = spent / max(1, decisions) * 1e3
    good = "yes" if cost <= LARGE_LIMIT else "NO"
    print(
        f"{endpoints:,} endpoints, {searches} searches with a model each: {cost * 1e3:.0f} µs a decision"
        f" (≤ {LARGE_LIMIT * 1e3:g}: {good}); images of a search:"
        f" {min(served.values())} to {max(served.values())}"
    )


if __name__ == "__main__":
    cases: dict[str, tuple[Callable[[int], float], int, int]] = {
        "equal endpoints, no models, 16 trials": (lambda index: 1.0 + index / 1e4, 16, 0),
        "unequal endpoints, 1 model, 64 trials": (lambda index: 0.5 + index % 7, 64, 1),
        "unequal endpoints, 40 models, 64 trials": (lambda index: 0.5 + index % 7, 64, 40),
        "unequal endpoints, 40 models, 1000 trials": (lambda index: 0.5 + index % 7, 1000, 40),
    }
    for name, (seconds, owners, models) in cases.items():
        say(
            f"256 endpoints, 5 000 waiting, {name}",
            play(256, 5000, 5000, seconds=seconds, owners=owners, models=models),
        )
    share(10_000, 100, 20_000, lambda index: 10.0 + index / 1e3)
    share(10_000, 100, 20_000, lambda index: 5.0 + index % 11)
