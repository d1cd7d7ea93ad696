"""Where the processes of trials run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import ray
from ray.tune import PlacementGroupFactory

from pixaris.endpoints.ray.nodes import this_node
from pixaris.search.driver.processes import has_trials
from pixaris.search.driver.tracker import SearchTracker
from pixaris.threads import beside

_PATIENCE_SECONDS = 8.0
_LOOK_SECONDS = 1.0


def one_node(cpus: float) -> PlacementGroupFactory:
    """What a trial takes of one node: for trials that Tune pauses, and whose checkpoints, which are files,
    must be found again.

    It is the driver's node, if that has so many CPUs, else the one with the most.
    """
    sizes = {node["NodeID"]: float(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    here = this_node()
    node = here if sizes.get(here, 0.0) >= cpus else max(sizes, key=lambda each: sizes[each])
    return PlacementGroupFactory([{"CPU": cpus}], bundle_label_selector=[{"ray.io/node-id": node}])


@contextlib.contextmanager
def telling_what_it_waits_for(tracker: SearchTracker, cpus: float) -> Iterator[None]:
    """Tell the user, in the block, that no trial runs because other programs have the cluster's CPUs.

    Args:
        tracker: Is told.
        cpus: What each trial takes.
    """

    def watch(over: threading.Event) -> None:
        wait = _PATIENCE_SECONDS
        while not over.wait(wait):
            wait = _LOOK_SECONDS
            if has_trials():
                return
            free = ray.available_resources().get("CPU", 0.0)
            if free < cpus:
                total = ray.cluster_resources().get("CPU", 0.0)
                tracker.emit(
                    f"no trial runs yet: {free:g} of the cluster's {total:g} CPUs are free, and each takes"
                    f" {cpus:.2g}; it waits until other programs, searches among them, end there"
                )
                return

    with beside("pixaris-waiting", watch, _LOOK_SECONDS):
        yield
