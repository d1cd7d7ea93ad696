"""The wait of the first trials for each other's processes, without which few would ever be used again.

Tune gives the process of a trial that ends to one whose own process is still coming up, and kills that one.
Trials that take less time than a process would never get a second one. So the first trial of a process does
not end before all of the first processes are at work, for some time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import ray
from ray.exceptions import RayError

from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.endpoints.ray.nodes import beside_this

_SECONDS = 15.0
_CHECK_SECONDS = 0.1


class _Arrivals:
    """Who is on the way, as an async actor."""

    def __init__(self) -> None:
        self._expected: set[str] = set()

    async def expect(self, run_id: str) -> None:
        self._expected.add(run_id)

    async def arrive(self, run_id: str) -> int:
        self._expected.discard(run_id)
        return len(self._expected)


@dataclass(frozen=True)
class StartBarrier:
    """Where the first trials meet. The driver starts and closes it; it travels to the trials in a pickle.

    Attributes:
        actor: The handle; None where nobody waits for anybody.
    """

    actor: ActorHandle = None

    @classmethod
    def start(cls, processes: int) -> StartBarrier:
        """Start it for so many processes; one alone needs none."""
        # Tune could give its process to nobody else.
        if processes == 1:
            return cls()
        actor_class = ray.remote(num_cpus=0)(_Arrivals)
        return cls(actor_class.options(scheduling_strategy=beside_this()).remote())

    def expect(self, run_id: str) -> None:
        """Note that a trial was proposed whose process is still to come."""
        if self.actor is not None:
            self.actor.expect.remote(run_id)

    def arrive(self, run_id: str) -> int:
        """Note that a trial is at work; gives the number of those on the way, 0 where nobody knows it."""
        if self.actor is None:
            return 0
        try:
            return int(ray.get(self.actor.arrive.remote(run_id)))
        except RayError:
            return 0

    def wait(self, run_id: str, stopping: Callable[[], bool]) -> None:
        """Return once no trial is on the way, or some time has passed.

        Args:
            run_id: Who waits.
            stopping: Whether the search is to end, so that nobody comes any more.
        """
        deadline = time.monotonic() + _SECONDS
        while self.arrive(run_id) and not stopping() and time.monotonic() < deadline:
            time.sleep(_CHECK_SECONDS)

    def close(self) -> None:
        """End the actor."""
        if self.actor is not None:
            ray.kill(self.actor)
