"""Where the processes of trials run."""

from __future__ import annotations

import ray
from ray.tune import PlacementGroupFactory

from pixaris.endpoints.ray.nodes import this_node


def one_node(cpus: float) -> PlacementGroupFactory:
    """What a trial takes of one node: for trials that Tune pauses, and whose checkpoints, which are files,
    must be found again.

    It is the driver's node, if that has so many CPUs, else the one with the most.
    """
    sizes = {node["NodeID"]: float(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    here = this_node()
    node = here if sizes.get(here, 0.0) >= cpus else max(sizes, key=lambda each: sizes[each])
    return PlacementGroupFactory([{"CPU": cpus}], bundle_label_selector=[{"ray.io/node-id": node}])
