"""The actor that keeps a pool which several searches share: it is to the pool what a driver is to its own."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.endpoints.base import Endpoint, PoolStatus
from pixaris.endpoints.ray.managed import ManagedServers
from pixaris.endpoints.ray.pool import start_pool
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.several import discoveries, servers

_LOOK_SECONDS = 1.0
_LEAVE_SECONDS = 10.0
"""How long searches may take to leave a pool that ends."""


@dataclass(frozen=True)
class PoolFacts:
    """A shared pool as it stands.

    Attributes:
        name: Its name.
        sources: Where its endpoints come from, as the user is shown it.
        status: Its endpoints, and what waits.
        searches: Those that use it now.
        seconds: How long it has been up.
        logs: Folder on its node with the logs of servers that it has started.
    """

    name: str
    sources: tuple[str, ...]
    status: PoolStatus
    searches: tuple[str, ...]
    seconds: float
    logs: str


class PoolKeeper:
    """Brings a pool's endpoints up, watches them, and ends what it has started. Threaded.

    It has the pool's janitor: where this process is killed, the pool and its servers end, and its requests
    are taken off the servers that others run.

    Args:
        name: The pool's.
        actor_name: The pool actor's, under which searches find it.
        sources: Where endpoints come from.
        endpoints: Those of them that others run, with the credentials of whoever starts the pool.
    """

    def __init__(
        self, name: str, actor_name: str, sources: Sequence[EndpointSource], endpoints: Sequence[Endpoint]
    ) -> None:
        self._name = name
        self._labels = tuple(source.label for source in sources)
        self._began = time.monotonic()
        self._logs = Path(tempfile.mkdtemp(prefix=f"pixaris-pool-{name}-"))
        self._registry = EndpointRegistry(endpoints)
        self._over = threading.Event()
        with contextlib.ExitStack() as stack:
            own, placed = servers(sources, on_cluster=True)
            for discovery in discoveries(sources, own, self._logs):
                stack.enter_context(self._registry.discovering(discovery))
            if placed:
                managed = ManagedServers(placed, self._logs, on_cluster=True)
                stack.enter_context(self._registry.discovering(managed))
            _, self._pool = start_pool(endpoints, name=actor_name)
            stack.callback(self._pool.shut_down)
            stack.enter_context(self._registry.serving(self._pool))
            self._everything = stack.pop_all()
        threading.Thread(target=self._look_after, name="pixaris-pool-keeper", daemon=True).start()

    def wait(self) -> None:
        """Return once an endpoint answers, where any is being started.

        Raises:
            PixarisError: None comes up.
        """
        self._registry.wait()

    def facts(self) -> PoolFacts:
        """The pool as it stands."""
        return PoolFacts(
            self._name,
            self._labels,
            self._pool.status(),
            self._pool.searches(),
            time.monotonic() - self._began,
            str(self._logs),
        )

    def end(self, reason: str) -> None:
        """End the pool and all that it has started; whoever waits for an image is answered.

        Args:
            reason: Told to the searches that use it.
        """
        self._pool.end(reason)
        deadline = time.monotonic() + _LEAVE_SECONDS
        while self._pool.searches() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS / 4)
        self._over.set()
        self._everything.close()

    def _look_after(self) -> None:
        """Ask for the status: that is how a pool actor that was started again learns which endpoints there
        are.
        """
        while not self._over.wait(_LOOK_SECONDS):
            self._pool.status()
