"""Where the processes of trials run, and which nodes come and go meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import ray
from ray.exceptions import RayError
from ray.tune import PlacementGroupFactory

from pixaris.endpoints.ray.nodes import this_node
from pixaris.search.driver.processes import has_trials
from pixaris.search.driver.tracker import SearchTracker
from pixaris.threads import beside

_PATIENCE_SECONDS = 8.0
_LOOK_SECONDS = 1.0
_IN_ORDER = (1, 4)
"""Ray's numbers of why a node is gone, where that was meant: it was ended, or let go because it was idle."""


def one_node(cpus: float) -> PlacementGroupFactory:
    """What a trial takes of one node: for trials that Tune pauses, and whose checkpoints, which are files,
    must be found again.

    It is the driver's node, if that has so many CPUs, else the one with the most.
    """
    sizes = {node["NodeID"]: float(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]}
    here = this_node()
    if sizes.get(here, 0.0) >= cpus:
        node = here
    else:
        node = max(sizes, key=lambda each: sizes[each])
    return PlacementGroupFactory([{"CPU": cpus}], bundle_label_selector=[{"ray.io/node-id": node}])


class NodeBook:
    """Knows which nodes a cluster has, and says what has changed. Pure."""

    def __init__(self) -> None:
        self._alive: dict[str, str] | None = None

    def look(self, nodes: Iterable[Mapping[str, Any]]) -> list[str]:
        """Take in the cluster's nodes as Ray has them.

        Args:
            nodes: Rows of ``ray.nodes()``.

        Returns:
            A sentence for each node that has joined, was lost, or was let go since.
        """
        rows = {str(row["NodeID"]): row for row in nodes}
        alive = {node: called(row) for node, row in rows.items() if row["Alive"]}
        before, self._alive = self._alive, alive
        if before is None:
            return []
        told = []
        for node in alive.keys() - before.keys():
            told.append(f"the node {alive[node]} has joined: {_has(rows[node])}")
        for node in before.keys() - alive.keys():
            if node in rows:
                reason = rows[node].get("DeathReason")
            else:
                reason = None
            if reason in _IN_ORDER:
                left = "has left"
            else:
                left = "is lost"
            told.append(f"the node {before[node]} {left}; what ran there runs again elsewhere")
        return told


def called(row: Mapping[str, Any]) -> str:
    """A node as a user knows it: its name, where it has one, and its address."""
    name, address = str(row.get("NodeName") or ""), str(row.get("NodeManagerAddress"))
    if name in ("", address):
        return address
    return f"{name} ({address})"


def _has(row: Mapping[str, Any]) -> str:
    resources = row.get("Resources") or {}
    return ", ".join(f"{float(resources.get(kind, 0.0)):g} {kind}" for kind in ("CPU", "GPU"))


@contextlib.contextmanager
def telling_nodes(emit: Callable[[str], object]) -> Iterator[None]:
    """Tell, in the block, which nodes come and go.

    Args:
        emit: Is told a sentence of each.
    """
    book = NodeBook()

    def watch(over: threading.Event) -> None:
        ended = False
        while not ended:
            # Once more at the end: what waited for a lost node may end within a second of the news.
            ended = over.wait(_LOOK_SECONDS)
            try:
                told = book.look(ray.nodes())
            except RayError:  # Ray ends, which is told elsewhere
                continue
            for sentence in told:
                emit(sentence)

    with beside("pixaris-nodes", watch, _LOOK_SECONDS):
        yield


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
