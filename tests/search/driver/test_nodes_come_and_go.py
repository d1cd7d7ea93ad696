"""Nodes that join a cluster while a search runs, and nodes that are lost, told in a line each."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_kit import TwoNodes, can_have_two_nodes, first_node
from nodes_kit import all_there, managed_search

from pixaris.results.endpoints_file import read_endpoints
from pixaris.results.paths import SearchPaths

pytestmark = pytest.mark.skipif(
    not can_have_two_nodes(), reason="a second node on this machine needs a mount namespace (root)"
)


@pytest.fixture
def cluster(hidden: Path) -> Iterator[TwoNodes]:
    """A cluster that has only its first node yet."""
    with first_node([hidden], gpus=1) as cluster:
        yield cluster


def until(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 90) -> float:
    began = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_node_that_joins_gets_the_server_that_waited_for_its_gpu_and_is_told_when_it_is_lost(
    cluster: TwoNodes, results: Path, cells: Path
) -> None:
    faults = '[{\\"fault\\": \\"delay\\", \\"seconds\\": 0.5, \\"times\\": null}]'
    words = managed_search(cluster, results, cells, f"--faults '{faults}'", sets=27, cache=False)
    search = subprocess.Popen(
        words,
        cwd=results,
        env=cluster.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    paths = SearchPaths(results / "tests" / "cells")

    def done() -> list[int]:
        return sorted(one.done for one in read_endpoints(paths.folder))

    until(lambda: sum(done()) >= 12, search)
    assert len(done()) == 1
    cluster.start_second()
    until(lambda: len(done()) == 2 and min(done()) >= 4, search, 30)
    cluster.kill_second()
    out, _ = search.communicate(timeout=200)
    assert search.returncode == 0, out
    assert "managed-1 waits for num_gpus: 1; the cluster has 1 GPU(s), 0 of them free" in out
    told = [line for line in out.splitlines() if "the node " in line]
    assert len(told) == 2, out
    assert "node-1 (" in told[0]
    assert told[0].endswith(") has joined: 1 CPU, 1 GPU")
    assert told[1].endswith(") is lost; what ran there runs again elsewhere")
    assert "raylet" not in out
    assert all_there(paths.folder) == []
