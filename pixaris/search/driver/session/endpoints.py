"""A search's endpoints while it runs: its own, or those of a pool that it shares with others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from pixaris.endpoints.ray import ManagedServers, RayPool, RayPoolConfig, start_pool
from pixaris.endpoints.ray.shared.pools import join_shared_pool
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.pool import PoolSource
from pixaris.endpoints.sources.several import discoveries, pool_of, servers, static
from pixaris.images import EncodedImage
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.driver.session.session import RaySession
from pixaris.search.driver.tracker import SearchTracker


@contextlib.contextmanager
def bringing_up(plan: SearchPlan, session: RaySession) -> Iterator[EndpointRegistry]:
    """The endpoints that need no Ray, on their way: what takes long is begun first."""
    sources = plan.checked.sources
    registry = EndpointRegistry(static(sources))
    own, _ = servers(sources, on_cluster=session.on_cluster)
    with contextlib.ExitStack() as stack:
        for discovery in discoveries(sources, own, plan.paths.logs):
            stack.enter_context(registry.discovering(discovery))
        yield registry


@contextlib.contextmanager
def placing(plan: SearchPlan, session: RaySession, registry: EndpointRegistry) -> Iterator[None]:
    """The servers that Ray places."""
    on_cluster = session.on_cluster
    _, wanted = servers(plan.checked.sources, on_cluster=on_cluster)
    if not wanted:
        yield
        return
    with registry.discovering(ManagedServers(wanted, plan.paths.logs, on_cluster=on_cluster)):
        yield


@contextlib.contextmanager
def pooled(
    plan: SearchPlan, registry: EndpointRegistry, tracker: SearchTracker
) -> Iterator[tuple[RayPoolConfig, RayPool]]:
    """The search's pool, or its part in the one that it shares.

    Raises:
        ConfigurationError: There is no pool of that name.
        ClusterError: It cannot be used just now.
    """
    shared = pool_of(plan.checked.sources)
    if shared:
        tracker.phase(f"joining the pool {shared}")
        config, pool = join_shared_pool(shared, plan.setup.search, _images(plan))
    else:
        tracker.phase("starting the endpoints' workers")
        # where all sets are known, the order of trials keeps as many models under way
        models = plan.models_at_once if plan.pace.known else 1
        policy = replace(plan.settings.limits.policy, models_at_once=models)
        config, pool = start_pool(static(plan.checked.sources), images=_images(plan), policy=policy)
    try:
        with registry.serving(pool):
            yield config, pool
    finally:
        pool.shut_down()


def admitted(
    plan: SearchPlan, registry: EndpointRegistry, pool: RayPool, tracker: SearchTracker
) -> SearchPlan:
    """The plan, made for the servers of a shared pool, or for the first that answer of those that are
    started.

    Raises:
        ConfigurationError: They lack something that the search needs, or are of another kind.
        NoEndpointError: None comes up.
    """
    shared = pool_of(plan.checked.sources)
    if shared:
        (source,) = plan.checked.sources
        assert isinstance(source, PoolSource)
        members = pool.members()
        return plan.on(source.of(members)).admitted(members)
    if not registry.awaits:
        return plan
    tracker.phase("waiting for the first endpoint")
    registry.wait()
    return plan.admitted(registry.started)


def _images(plan: SearchPlan) -> list[EncodedImage]:
    """What every trial may send to an endpoint."""
    images = [image for item in plan.setup.eval_set.items for image in item.inputs.values()]
    return [*images, *plan.setup.args.images.values(), *plan.space.images]
