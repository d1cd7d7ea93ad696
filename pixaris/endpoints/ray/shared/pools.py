"""Pools that several searches of a cluster share: started once, found by name, ended by whoever wants it.

A pool is two actors on the cluster's head, where nothing that the autoscaler lets go can take them along: the
keeper, which outlives the job that has started it, and the pool actor, which is the keeper's.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Sequence

import ray
from ray.exceptions import RayError, RayTaskError

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.ray.messages import NAMESPACE, ActorHandle
from pixaris.endpoints.ray.pool import RayPool, RayPoolConfig, held_images
from pixaris.endpoints.ray.shared.keeper import PoolFacts, PoolKeeper
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.exceptions import ClusterError, ConfigurationError, PixarisError, first_line, nearest
from pixaris.images import EncodedImage

log = logging.getLogger(__name__)

_KEEPER, _POOL = "shared-pool-keeper-", "shared-pool-"
_HEAD = {"node:__internal_head__": 0.001}
"""What only the head has."""
_ANSWER_SECONDS = 30.0
_END_SECONDS = 60.0


def start_shared_pool(
    name: str, sources: Sequence[EndpointSource], endpoints: Sequence[Endpoint]
) -> PoolFacts:
    """Start a pool, and wait until one of its endpoints answers.

    Args:
        name: Its name.
        sources: Where its endpoints come from.
        endpoints: Those of them that others run, with credentials.

    Raises:
        ConfigurationError: There is one of this name, or nothing comes up because of what the user wrote.
        NoEndpointError: No endpoint comes up.
        ClusterError: It cannot be started.
    """
    if name in shared_pools():
        raise ConfigurationError(
            f"there is a pool {name} already; end it (pixaris pool end {name}), or take another name"
        )
    keeper_class = ray.remote(num_cpus=0, resources=_HEAD, max_concurrency=8)(PoolKeeper)
    detached = keeper_class.options(name=f"{_KEEPER}{name}", namespace=NAMESPACE, lifetime="detached")
    keeper = detached.remote(name, f"{_POOL}{name}", tuple(sources), tuple(endpoints))
    try:
        ray.get(keeper.wait.remote())
        facts: PoolFacts = ray.get(keeper.facts.remote())
    except BaseException as error:
        # Nobody waits for a pool of which nothing came up, or whose start was interrupted.
        _end(keeper, "it was not started")
        if isinstance(error, RayTaskError) and isinstance(error.cause, PixarisError):
            raise error.cause from None
        if isinstance(error, RayError):
            raise ClusterError(f"the pool {name} cannot be started: {first_line(str(error))}") from error
        raise
    return facts


def shared_pools() -> tuple[str, ...]:
    """Names of the cluster's pools."""
    found = ray.util.list_named_actors(all_namespaces=True)
    ours = (row["name"] for row in found if row["namespace"] == NAMESPACE)
    return tuple(sorted(name.removeprefix(_KEEPER) for name in ours if name.startswith(_KEEPER)))


def pool_facts(name: str) -> PoolFacts:
    """A pool as it stands.

    Raises:
        ConfigurationError: There is none of this name.
        ClusterError: It does not answer.
    """
    keeper = _keeper(name)
    try:
        facts: PoolFacts = ray.get(keeper.facts.remote(), timeout=_ANSWER_SECONDS)
    except RayError as error:  # a time-out is one too
        raise ClusterError(f"the pool {name} does not answer: {first_line(str(error))}") from error
    return facts


def end_shared_pool(name: str, reason: str) -> None:
    """End a pool, and the servers that it has started.

    Args:
        name: Its name.
        reason: Told to the searches that use it, which are interrupted.

    Raises:
        ConfigurationError: There is none of this name.
    """
    _end(_keeper(name), reason)


def join_shared_pool(name: str, search: str, images: Iterable[EncodedImage]) -> tuple[RayPoolConfig, RayPool]:
    """Take part in a pool.

    Args:
        name: The pool's.
        search: Whose requests these are, as others are told.
        images: Input images to put in the object store once, for every trial.

    Returns:
        The config for trials, and the driver's own pool; when the driver shuts that down, the search leaves.

    Raises:
        ConfigurationError: There is no such pool.
        ClusterError: It cannot be used just now.
    """
    _keeper(name)
    try:
        actor = ray.get_actor(f"{_POOL}{name}", namespace=NAMESPACE)
    except ValueError:
        raise ClusterError(f"the pool {name} is coming up or ending just now; try again") from None
    # A search that is gone on with is another one to the pool, which may have something of the earlier one.
    own = f"{search}-{uuid.uuid4().hex[:6]}"
    config = RayPoolConfig(f"{_POOL}{name}", held_images(images), own)
    job = ray.get_runtime_context().get_job_id()
    return config, RayPool(actor, config.images, search=own, job=job)


def _keeper(name: str) -> ActorHandle:
    """The actor that keeps a pool.

    Raises:
        ConfigurationError: There is no such pool.
    """
    try:
        return ray.get_actor(f"{_KEEPER}{name}", namespace=NAMESPACE)
    except ValueError:
        known = shared_pools()
        if known:
            has = f"it has {', '.join(known)}"
        else:
            has = "it has none"
        raise ConfigurationError(
            f"there is no pool {name} on this cluster{nearest(name, known)}; {has}; start it there:"
            f" pixaris pool start {name} FILE|URL ..."
        ) from None


def _end(keeper: ActorHandle, reason: str) -> None:
    try:
        ray.get(keeper.end.remote(reason), timeout=_END_SECONDS)
    except RayError as error:  # it did not come up, or its node is gone: then all that it had is, too
        log.debug("a pool did not end in order: %s", first_line(str(error)))
    ray.kill(keeper)
