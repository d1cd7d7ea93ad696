"""What the dispatcher itself costs: 256 endpoints of two places, 5 000 requests that wait, every image
answered one by one.

The clock is a number, the endpoints take no time: what is measured is the bookkeeping between an image and
the next lease.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatch.dispatcher import Dispatcher, Lease, Policy

LIMIT = 1.0
"""Milliseconds for an image: its success and the assignment that follows."""


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
    dispatcher = Dispatcher(Policy())
    for index in range(endpoints):
        dispatcher.join(Endpoint(f"http://{index}"), 0.0, healthy=True)
    speeds = {f"http://{index}": seconds(index) for index in range(endpoints)}
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
