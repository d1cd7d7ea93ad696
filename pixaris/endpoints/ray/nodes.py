"""Which node of the cluster an actor runs on."""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def this_node() -> str:
    """Id of the node that this process runs on."""
    return str(ray.get_runtime_context().get_node_id())


def beside_this() -> NodeAffinitySchedulingStrategy:
    """The strategy of actors that stay on this process's node, also when they are started again.

    What a whole search hangs on belongs beside its driver: a node that is lost, or let go by the autoscaler,
    must not take it along.
    """
    return NodeAffinitySchedulingStrategy(this_node(), soft=False)
