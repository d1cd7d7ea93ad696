"""Which endpoints there are: between the discoveries that bring them up and the pool that uses them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from pixaris.endpoints.base import Endpoint, EndpointPool, PoolStatus
from pixaris.endpoints.discovery import Discovery, Down, Event, Failed, Note, Up
from pixaris.exceptions import ConfigurationError, NoEndpointError, PixarisError, Problem

_POLL_SECONDS = 0.1


class EndpointRegistry:
    """The endpoints of one search. Discoveries may start before there is a pool; when it comes, it learns all
    that has happened.

    Thread-safe.

    Args:
        endpoints: Those that somebody else runs.
    """

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._lock = threading.Lock()
        self._pool: EndpointPool | None = None
        self._members = {endpoint.url: endpoint for endpoint in endpoints}
        self._started: dict[str, Endpoint] = {}
        self._pending: set[str] = set()
        self._failed: dict[str, PixarisError] = {}
        self._sentences: list[str] = []
        self._awaits = False

    @contextlib.contextmanager
    def discovering(self, discovery: Discovery) -> Iterator[None]:
        """Run a discovery."""
        with self._lock:
            # Before the discovery starts: it may emit at once.
            self._awaits = True
            self._pending |= set(discovery.names)
        try:
            discovery.start(self.take)
            yield
        finally:
            discovery.stop()

    @contextlib.contextmanager
    def serving(self, pool: EndpointPool) -> Iterator[None]:
        """Keep a pool's endpoints as they are here, until the pool is closed."""
        with self._lock:
            self._pool = pool
            # Under the lock, so that nothing that happens meanwhile is missed or told twice.
            for endpoint in self._members.values():
                pool.join(endpoint)
            for sentence in self._sentences:
                pool.emit(sentence)
            self._sentences.clear()
        try:
            yield
        finally:
            with self._lock:
                self._pool = None

    def take(self, event: Event) -> None:
        """Take what a discovery emits."""
        with self._lock:
            match event:
                case Up():
                    self._up(event)
                case Down(url):
                    self._down(url)
                case Failed(name, error):
                    self._pending.discard(name)
                    self._failed[name] = error
                    self._emit(str(error))
                case Note(sentence):
                    self._emit(sentence)

    def _up(self, event: Up) -> None:
        self._pending.discard(event.name)
        self._failed.pop(event.name, None)
        self._members[event.endpoint.url] = event.endpoint
        # Whether it was asked already, so that the survey may ask it for its nodes.
        if event.answered:
            self._started[event.endpoint.url] = event.endpoint
        if self._pool is not None:
            self._pool.join(event.endpoint)

    def _down(self, url: str) -> None:
        self._members.pop(url, None)
        self._started.pop(url, None)
        if self._pool is not None:
            self._pool.leave(url)

    def _emit(self, sentence: str) -> None:
        if self._pool is not None:
            self._pool.emit(sentence)
        else:
            self._sentences.append(sentence)

    @property
    def awaits(self) -> bool:
        """Whether anything is being brought up, so that there is something to wait for."""
        return self._awaits

    @property
    def started(self) -> tuple[Endpoint, ...]:
        """The endpoints that discoveries brought up and that have answered."""
        with self._lock:
            return tuple(self._started.values())

    def wait(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Wait, while it serves a pool, until an endpoint answers. Returns at once where nothing is being
        started.

        Args:
            pause: Waits so many seconds.

        Raises:
            ConfigurationError: None comes up, because something the user wrote is wrong.
            NoEndpointError: None comes up; the text has every one's reason.
            PixarisError: The pool cannot go on.
        """
        while self._awaits:
            with self._lock:
                pool, pending, started = self._pool, bool(self._pending), bool(self._started)
            if started or pool is None:
                return
            status = pool.status()
            if isinstance(status.fatal, PixarisError):
                raise status.fatal
            states = {endpoint.state for endpoint in status.endpoints}
            if "healthy" in states:
                return
            known = {endpoint.url for endpoint in status.endpoints}
            # Only when everybody has had a chance: the pool may not have heard of the latest one yet.
            if not pending and "starting" not in states and known >= set(self._members):
                raise self._none(status)
            pause(_POLL_SECONDS)

    def _none(self, status: PoolStatus) -> PixarisError:
        with self._lock:
            errors = list(self._failed.values())
        wrong = [
            problem for error in errors if isinstance(error, ConfigurationError) for problem in error.problems
        ]
        # First, since it can be mended in the file; that others did not come up may follow from it.
        if wrong:
            return ConfigurationError(list(dict.fromkeys(wrong)))
        if len(errors) == 1 and not status.endpoints:
            return NoEndpointError(f"no endpoint comes up: {errors[0]}")
        reasons = [Problem("", str(error)) for error in errors]
        reasons += [Problem(one.url, one.last_failure or "it does not answer") for one in status.endpoints]
        return NoEndpointError("no endpoint comes up:\n" + "\n".join(f"  - {reason}" for reason in reasons))
