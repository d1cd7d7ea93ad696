"""The thread that follows the pool while a search runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from pixaris.endpoints.base import PoolStatus, Use
from pixaris.endpoints.ray import RayPool
from pixaris.exceptions import ClusterError
from pixaris.results.evidence.switches import Switches
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.tracker import SearchTracker
from pixaris.threads import beside

_POLL_SECONDS = 0.5


class _Switching:
    """Has endpoints used as somebody wants it, those too that join later, or that a pool actor has forgotten
    which was started again.

    Args:
        pool: The pool.
        switches: What is wanted.
    """

    def __init__(self, pool: RayPool, switches: Switches) -> None:
        self._pool = pool
        self._switches = switches
        self._told: dict[str, Use] = {}

    def look(self, status: PoolStatus) -> None:
        """Tell the pool what it does not do yet.

        Args:
            status: As it stands.
        """
        states = {endpoint.url: endpoint.state for endpoint in status.endpoints}
        for url, use in self._switches.wanted().items():
            is_held = states.get(url) == "drained"
            # Drained and disabled look alike from outside: which of them was asked for is known only here.
            is_so = is_held == (use != "enable") and self._told.get(url, use) == use
            if url in states and not is_so:
                self._pool.switch(url, use)
                self._told[url] = use


@contextlib.contextmanager
def watching(
    tracker: SearchTracker,
    pool: RayPool,
    fault: Callable[[], str],
    end_waiting: Callable[[], object],
    plan: SearchPlan,
) -> Iterator[None]:
    """Tell a tracker how the pool stands while endpoints start and Tune runs.

    Args:
        tracker: It is told.
        pool: Is asked twice a second.
        fault: Says why Ray has ended; "" while it runs.
        end_waiting: Ends what the main thread waits for, when Ray has ended.
        plan: The search. Where it cannot be kept in its bucket any more, it ends.
    """

    switching = _Switching(pool, Switches(plan.paths))

    def watch(ended: threading.Event) -> None:
        while not ended.wait(_POLL_SECONDS):
            lost = fault()
            if lost:
                tracker.fail(ClusterError(lost))
                end_waiting()
                return
            if plan.mirror is not None and plan.mirror.failed is not None:
                tracker.fail(plan.mirror.failed)
            switching.look(tracker.look_at(pool))

    try:
        with beside("pixaris-progress", watch):
            yield
    finally:
        # Once more, for what came since the last look; a pool whose Ray has ended would not answer.
        if not isinstance(tracker.fatal, ClusterError):
            tracker.look_at(pool)
