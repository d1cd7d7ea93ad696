"""Which searches that share a pool are still there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Mapping
from typing import Any

log = logging.getLogger(__name__)


class Presence:
    """Knows of every search that shares a pool when it was heard of, and which Ray job its driver is.

    Args:
        limit: Seconds that a search may be silent.
        clock: Gives seconds that never go back.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._heard: dict[str, float] = {}
        self.jobs: dict[str, str] = {}
        """Search to its driver's job; "" where only its trials have been heard."""

    def hear(self, search: str, job: str = "") -> None:
        """A search has called.

        Args:
            search: The search; "" where a pool is one's own, which needs no watch.
            job: Its driver's, where the driver has called.
        """
        # Only the driver's word counts: a trial's process may outlive it by seconds.
        if search and (job or search not in self._heard):
            self._heard[search] = self._clock()
            self.jobs[search] = job

    def gone(self, ended: Container[str]) -> list[str]:
        """Searches whose driver has ended or says nothing any more.

        Args:
            ended: Jobs that are over.
        """
        now = self._clock()
        return [
            search
            for search, heard in self._heard.items()
            if self.jobs[search] in ended or now - heard > self._limit
        ]

    def leave(self, search: str) -> None:
        """Keep nothing of a search."""
        self._heard.pop(search, None)
        self.jobs.pop(search, None)


def ended_jobs() -> frozenset[str]:
    """Ids of Ray's jobs that are over, as far as that can be told: without the dashboard, Ray has no public
    way to list them.
    """
    from ray._private.state import jobs

    try:
        rows: list[Mapping[str, Any]] = jobs()
    except Exception:
        # a private call, whose errors differ between Ray's versions; silence tells the same, later
        log.debug("Ray does not say which jobs are over", exc_info=True)
        return frozenset()
    return frozenset(str(row["JobID"]) for row in rows if row.get("IsDead"))
