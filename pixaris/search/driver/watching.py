"""The thread that follows the pool while a search runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from pixaris.endpoints.ray import RayPool
from pixaris.exceptions import ClusterError
from pixaris.search.driver.tracker import SearchTracker
from pixaris.threads import beside

_POLL_SECONDS = 0.5


@contextlib.contextmanager
def watching(
    tracker: SearchTracker, pool: RayPool, fault: Callable[[], str], end_waiting: Callable[[], object]
) -> Iterator[None]:
    """Tell a tracker how the pool stands while endpoints start and Tune runs.

    Args:
        tracker: It is told.
        pool: Is asked twice a second.
        fault: Says why Ray has ended; "" while it runs.
        end_waiting: Ends what the main thread waits for, when Ray has ended.
    """

    def watch(ended: threading.Event) -> None:
        while not ended.wait(_POLL_SECONDS):
            lost = fault()
            if lost:
                tracker.fail(ClusterError(lost))
                end_waiting()
                return
            tracker.look_at(pool)

    try:
        with beside("pixaris-progress", watch):
            yield
    finally:
        if not isinstance(tracker.fatal, ClusterError):
            tracker.look_at(pool)
