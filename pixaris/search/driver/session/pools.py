"""The pools of a cluster that searches share, from outside of any search."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from pixaris.endpoints.ray.shared.keeper import PoolFacts
from pixaris.endpoints.ray.shared.pools import end_shared_pool, pool_facts, shared_pools, start_shared_pool
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.several import static
from pixaris.exceptions import ConfigurationError
from pixaris.search.driver.session.address import VARIABLE
from pixaris.search.driver.session.session import RaySession, begins_here

__all__ = ["PoolFacts", "end", "facts", "on_cluster", "start"]


@contextlib.contextmanager
def on_cluster(address: str | None) -> Iterator[None]:
    """A connection to a cluster.

    Args:
        address: ``host:port``, or ``auto`` on one of its nodes; by default what the environment names.

    Raises:
        ConfigurationError: None is named.
        ClusterError: It cannot be reached.
    """
    if address is not None:
        os.environ[VARIABLE] = address
    if begins_here():
        raise ConfigurationError(
            "pools are on a Ray cluster: a Ray of a search's own ends with it; name the cluster with"
            f" --address host:port (auto on one of its nodes), or with {VARIABLE}; from outside, run this as"
            " a job: ray job submit --working-dir . -- pixaris pool ..."
        )
    with RaySession() as session:
        session.wait()
        yield


def start(name: str, sources: Sequence[EndpointSource]) -> PoolFacts:
    """As `start_shared_pool`.

    Raises:
        ConfigurationError: A source cannot be shared: an account that charges, or another pool.
    """
    if not sources:
        raise ConfigurationError("a pool needs an endpoint; name URLs, or files that have some")
    for source in sources:
        if source.pool:
            raise ConfigurationError(f"a pool cannot have another one's endpoints (got {source.label})")
        if source.api.charges:
            raise ConfigurationError(
                f"a pool shares servers, not accounts that charge for each image (got {source.label}); name"
                " the account in the search file: each search counts what it spends"
            )
    return start_shared_pool(name, sources, static(sources))


def facts() -> list[PoolFacts]:
    """All pools of the cluster."""
    return [pool_facts(name) for name in shared_pools()]


def end(name: str, *, force: bool) -> tuple[str, ...]:
    """End a pool; gives the searches that this interrupts.

    Args:
        name: The pool's.
        force: Whether it is ended although searches use it.

    Raises:
        ConfigurationError: There is none of this name, or searches use it.
    """
    using = pool_facts(name).searches
    if using and not force:
        raise ConfigurationError(
            f"{_count(using)} the pool {name}: {', '.join(using)}; wait for them, stop them, or end it all"
            " the same with --force: they are interrupted, and can be resumed"
        )
    end_shared_pool(name, f"the pool {name} was ended (pixaris pool end); start it again, and resume")
    return using


def _count(using: Sequence[str]) -> str:
    return "a search uses" if len(using) == 1 else f"{len(using)} searches use"
