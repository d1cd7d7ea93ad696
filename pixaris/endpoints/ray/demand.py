"""What the cluster's autoscaler is told of the GPUs that managed servers will want."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ray.autoscaler.sdk import request_resources

log = logging.getLogger(__name__)

Ask: TypeAlias = Callable[[list[dict[str, float]]], object]
"""Asks the autoscaler for a cluster in which all of these fit, each on one node."""


class Demand:
    """GPUs that are asked for ahead, before servers are placed: from `ask` to `release`.

    The autoscaler is asked for the size that the whole cluster is to have, and holds it until it is asked
    for another. So what others use now is asked for with it, and what was asked for is taken back in the end:
    the GPU of a search that is over would go on to be paid.

    Args:
        gpus: What each server asks for.
        ask: Asks the autoscaler; by default this process's cluster's.
    """

    def __init__(self, gpus: Sequence[float], ask: Ask | None = None) -> None:
        self._gpus = [number for number in gpus if number]
        self._ask = ask or _request
        self._asked = False

    def ask(self, total: float, free: float) -> bool:
        """Ask for what the cluster lacks; tells whether it lacks anything.

        Args:
            total: GPUs that the cluster has.
            free: Those of them that nobody uses.
        """
        if math.fsum(self._gpus) <= free:
            return False
        bundles = [{"GPU": number} for number in self._gpus]
        bundles += [{"GPU": 1.0}] * math.ceil(total - free)
        self._asked = True
        self._ask(bundles)
        return True

    def release(self) -> None:
        """Take back what was asked for, if anything was."""
        if self._asked:
            self._asked = False
            self._ask([])


def most_gpus() -> tuple[float, float] | None:
    """GPUs that one node can have, and all nodes of the cluster together, if the autoscaler starts as many as
    it may; None where there is no autoscaler that says it.
    """
    from ray._private.state import state

    try:
        config = state.get_cluster_config()
    except Exception:
        # a private call, whose errors differ between Ray's versions: nothing is told then
        log.debug("the autoscaler does not say what it may start", exc_info=True)
        return None
    if config is None:
        return None
    return limits_of(list(config.node_group_configs))


def limits_of(groups: Sequence[Any]) -> tuple[float, float] | None:
    """As `most_gpus`, of what the autoscaler says of its groups of nodes."""
    if not groups:
        return None
    of_a_node = {group.name: float(dict(group.resources).get("GPU", 0)) for group in groups}
    together = math.fsum(_together(of_a_node[group.name], group.max_count) for group in groups)
    return max(of_a_node.values()), together


def _together(gpus: float, nodes: int) -> float:
    """GPUs of a group; Ray says -1 where there is no limit of its nodes."""
    if gpus and nodes < 0:
        return math.inf
    return gpus * nodes


def _request(bundles: list[dict[str, float]]) -> None:
    try:
        request_resources(bundles=bundles)
    except Exception:
        # Ray raises many kinds; servers that wait for their GPUs are a demand all the same, only a later one
        log.debug("the autoscaler cannot be asked for GPUs", exc_info=True)
