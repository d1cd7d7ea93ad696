"""More of searches on a real cluster of two nodes: races, trials that pause, a cluster that is full."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nodes_kit
import pytest
from cluster_kit import TwoNodes, can_have_two_nodes, two_nodes
from nodes_kit import all_there

pytestmark = pytest.mark.skipif(
    not can_have_two_nodes(), reason="a second node on this machine needs a mount namespace (root)"
)


@pytest.fixture(scope="module")
def cluster(hidden: Path) -> Iterator[TwoNodes]:
    with two_nodes([hidden], gpus=1) as nodes:
        yield nodes


def test_a_race_whose_sets_change_nodes_makes_nothing_twice(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    changes = "{'scheduler': 'race', 'step': None}"
    out, _ = nodes_kit.start(cluster, results, tmp_path, 0.05, changes).communicate(timeout=120)
    assert "\nfinished" in f"\n{out}", out
    assert len(nodes_kit.nodes(tmp_path)) == 2
    assert max(nodes_kit.made(tmp_path).values()) == 1
    assert all_there(results / "tests" / "gray") == []


def test_trials_that_pause_stay_on_one_node(cluster: TwoNodes, results: Path, tmp_path: Path) -> None:
    changes = "{'scheduler': 'hyperband', 'step': None}"
    out, _ = nodes_kit.start(cluster, results, tmp_path, 0.02, changes).communicate(timeout=150)
    assert "\nfinished" in f"\n{out}", out
    assert len(nodes_kit.nodes(tmp_path)) == 1
    assert all_there(results / "tests" / "gray") == []


def test_the_second_search_on_a_full_cluster_says_what_it_waits_for(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    (results / "other").mkdir()
    first = nodes_kit.start(cluster, results, tmp_path, 1.0)
    deadline = time.monotonic() + 90
    while not nodes_kit.made(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second = nodes_kit.start(cluster, results / "other", tmp_path, 0.01)
    out, _ = second.communicate(timeout=150)
    first.communicate(timeout=120)
    assert "no trial runs yet: " in out, out
    assert "CPUs are free" in out
    assert "finished" in out


def test_servers_that_a_search_starts_on_both_nodes_log_where_the_driver_is(
    cluster: TwoNodes, results: Path, tmp_path: Path, cells: Path
) -> None:
    words = nodes_kit.managed_search(cluster, results, cells, "--verbose", sets=9)
    done = subprocess.run(
        words, cwd=results, env=cluster.environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr
    logs = results / "tests" / "cells" / "logs"
    assert all("prompt" in (logs / f"managed-{number}.log").read_text() for number in range(2))
    assert all_there(results / "tests" / "cells") == []
