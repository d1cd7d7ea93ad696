"""The endpoint workers of a pool actor: how many there are, and which endpoint each serves."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayError

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.ray.messages import ImageRef, Outcome
from pixaris.endpoints.ray.worker import SLOTS, Worker, start_worker

log = logging.getLogger(__name__)


class Workers:
    """Starts them, gives each endpoint one of them for ever, and replaces those that die. Not thread-safe.

    Args:
        session: As for `EndpointApi.connect`.
        endpoints: Those that there will be at the beginning.

    Attributes:
        deaths: How many have died.
    """

    def __init__(self, session: str, endpoints: Sequence[Endpoint]) -> None:
        self.deaths = 0
        self._session = session
        slots = sum(endpoint.depth for endpoint in endpoints)
        processors = max(1, int(ray.cluster_resources().get("CPU", 1)))
        # More workers than processors gain nothing: each is a process, and they would wait for the same
        # processors.
        count = max(1, min(math.ceil(slots / SLOTS), processors))
        self._slots = max(SLOTS, math.ceil(slots / count))  # of a worker
        self._workers = [self._start() for _ in range(count)]
        self._homes: dict[str, int] = {}
        self._depths: dict[str, int] = {}
        self._unwanted: defaultdict[str, list[int]] = defaultdict(list)

    def join(self, endpoint: Endpoint) -> None:
        """Give an endpoint the worker that serves the fewest slots, a new one where all are full. One that
        was here before has its worker still.
        """
        self._depths[endpoint.url] = endpoint.depth
        if endpoint.url in self._homes:
            return
        loads = [0] * len(self._workers)
        for url, home in self._homes.items():
            loads[home] += self._depths.get(url, 0)
        # A worker that serves nobody takes any endpoint, also one with more slots than it is made for.
        if min(loads) and min(loads) + endpoint.depth > self._slots:
            self._workers.append(self._start())
            loads.append(0)
        self._homes[endpoint.url] = loads.index(min(loads))

    def leave(self, url: str) -> None:
        """An endpoint has left, and leaves its slots to others."""
        self._depths.pop(url, None)

    def named(self, name: str) -> Worker | None:
        """The worker of a name, while it lives."""
        return next((worker for worker in self._workers if worker.name == name), None)

    def of(self, endpoint: Endpoint) -> Worker:
        """The worker of an endpoint that has joined."""
        return self._workers[self._homes[endpoint.url]]

    def replace(self, dead: Worker) -> bool:
        """Start another worker for one that died, or does not answer and is to be heard of no more; False if
        that is done.
        """
        if dead not in self._workers:
            return False
        ray.kill(dead.actor)
        # In the same place: endpoints know their worker by its place.
        self._workers[self._workers.index(dead)] = self._start()
        self.deaths += 1
        return True

    def unwanted(self, refs: Iterable[ImageRef]) -> None:
        """Note that nobody will fetch these images; `tidy` tells the workers."""
        for ref in refs:
            self._unwanted[ref.worker].append(ref.number)

    def tidy(self) -> None:
        """Let the workers release the images that nobody will fetch."""
        unwanted, self._unwanted = self._unwanted, defaultdict(list)
        for worker in self._workers:
            if worker.name in unwanted:
                worker.actor.release_images.remote(unwanted[worker.name])

    async def pids(self) -> tuple[int, ...]:
        """Their process ids, on their nodes."""
        return tuple(await asyncio.gather(*(worker.actor.pid.remote() for worker in self._workers)))

    async def close(self) -> None:
        """Close their connections, side by side."""
        # A worker that died has nothing to close: its error is no reason to leave the others open.
        closing = (worker.actor.close.remote() for worker in self._workers)
        await asyncio.gather(*closing, return_exceptions=True)

    def _start(self) -> Worker:
        return start_worker(self._session, self._slots)


async def refs_of(worker: Worker, outcome: Outcome, count: int) -> list[ImageRef | None]:
    """References to an outcome's image, one for each who is to have it besides whoever has one."""
    if outcome.ref is None or count == 0:
        return [None] * count
    try:
        more: list[int] = await worker.actor.share.remote(outcome.ref.number, count)
    except RayError as error:  # whoever looks for the image there finds that it is lost, and asks again
        log.debug("an image could not be shared: %s", error)
        more = [-1] * count
    return [replace(outcome.ref, number=number) for number in more]
