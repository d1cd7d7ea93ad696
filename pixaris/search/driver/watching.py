"""The thread that follows the pool while a search runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from pixaris.endpoints.ray import RayPool
from pixaris.exceptions import ClusterError
from pixaris.results.bucket.mirror import Mirror
from pixaris.search.driver.tracker import SearchTracker
from pixaris.threads import beside

_POLL_SECONDS = 0.5


@contextlib.contextmanager
def watching(
    tracker: SearchTracker,
    pool: RayPool,
    fault: Callable[[], str],
    end_waiting: Callable[[], object],
    mirror: Mirror | None = None,
) -> Iterator[None]:
    """Tell a tracker how the pool stands while endpoints start and Tune runs.

    Args:
        tracker: It is told.
        pool: Is asked twice a second.
        fault: Says why Ray has ended; "" while it runs.
        end_waiting: Ends what the main thread waits for, when Ray has ended.
        mirror: Keeps the search in a bucket; where it cannot, the search ends.
    """

    def watch(ended: threading.Event) -> None:
        while not ended.wait(_POLL_SECONDS):
            lost = fault()
            if lost:
                tracker.fail(ClusterError(lost))
                end_waiting()
                return
            if mirror is not None and mirror.failed is not None:
                tracker.fail(mirror.failed)
            tracker.pool_reported(pool.status(tracker.events_seen))

    try:
        with beside("pixaris-progress", watch):
            yield
    finally:
        if not isinstance(tracker.fatal, ClusterError):
            tracker.pool_reported(pool.status(tracker.events_seen))
