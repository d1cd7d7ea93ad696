"""A checked search's endpoints on threads of this process: for single runs, and for trying out servers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pixaris.endpoints.local import LocalPool
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.several import discoveries, pool_of, static
from pixaris.exceptions import ConfigurationError
from pixaris.search.check import CheckedSearch
from pixaris.threads import beside

_EVENT_SECONDS = 0.5


@contextlib.contextmanager
def local_pool(
    checked: CheckedSearch, logs: Path, emit: Callable[[str], None]
) -> Iterator[tuple[LocalPool, CheckedSearch]]:
    """The endpoints in a pool on threads, started where they are ours to start, and stopped at the end. Needs
    no Ray.

    Args:
        checked: The search.
        logs: Where the logs of what is started go.
        emit: Told what happens to endpoints, from a thread of its own.

    Returns:
        The pool, as soon as one endpoint answers (the others join as they come up), and the answer of
        `CheckedSearch.admit`.

    Raises:
        ConfigurationError: No server comes up and the user's words are to blame, or one lacks what the
            workflow needs; or the endpoints are a cluster's pool.
        UnreachableError: No server comes up.
    """
    shared = pool_of(checked.sources)
    if shared:
        rule = f"the pool {shared} is reached by searches on its cluster"
        way_out = "name a server for this (--endpoint URL)"
        raise ConfigurationError(f"{rule}; {way_out}", checked.settings.source_name)
    started = [one for source in checked.sources for one in source.servers()]
    registry = EndpointRegistry(static(checked.sources))
    with contextlib.ExitStack() as stack:
        for discovery in discoveries(checked.sources, started, logs):
            stack.enter_context(registry.discovering(discovery))
        pool = LocalPool((), policy=checked.settings.limits.policy)
        stack.enter_context(contextlib.closing(pool))
        stack.enter_context(_emitting(pool, emit))
        stack.enter_context(registry.serving(pool))
        registry.wait()
        yield pool, checked.admit(registry.started)


@contextlib.contextmanager
def _emitting(pool: LocalPool, emit: Callable[[str], None]) -> Iterator[None]:
    """Pass on a pool's events as they come."""

    def watch(ended: threading.Event) -> None:
        seen, last = 0, False
        while not last:
            last = ended.wait(_EVENT_SECONDS)
            for sentence in pool.status(seen).events:
                emit(sentence)
                seen += 1

    with beside("pixaris-events", watch):
        yield
