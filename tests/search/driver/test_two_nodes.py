"""Searches on a real cluster of two nodes that share no folder: what is made anywhere arrives where the
driver is.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import nodes_kit
import pytest
from cluster_kit import TwoNodes, can_have_two_nodes, two_nodes
from nodes_kit import all_there

from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult

pytestmark = pytest.mark.skipif(
    not can_have_two_nodes(), reason="a second node on this machine needs a mount namespace (root)"
)


@pytest.fixture(scope="module")
def cluster(hidden: Path) -> Iterator[TwoNodes]:
    with two_nodes([hidden]) as nodes:
        yield nodes


def test_everything_made_on_a_node_without_the_results_folder_arrives(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    out, _ = nodes_kit.start(cluster, results, tmp_path).communicate(timeout=120)
    folder = results / "tests" / "gray"
    assert "\nfinished" in f"\n{out}", out
    assert len(nodes_kit.nodes(tmp_path)) == 2, "the second node had nothing to do"
    assert len(SearchResult.load(folder).trials) == 12
    assert all_there(folder) == []
    assert max(nodes_kit.made(tmp_path).values()) == 1
    assert not SearchPaths(folder).mark.exists()


def test_a_search_that_was_killed_goes_on_where_trials_change_nodes(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    first = nodes_kit.start(cluster, results, tmp_path, 0.2)
    deadline = time.monotonic() + 90
    while nodes_kit.made(tmp_path).total() < 16:
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(4)  # its trials end with it, but not at once
    out, _ = nodes_kit.start(cluster, results, tmp_path, 0.05).communicate(timeout=120)
    folder = results / "tests" / "gray"
    assert "\nfinished" in f"\n{out}", out
    assert all_there(folder) == []
    again = sum(count - 1 for count in nodes_kit.made(tmp_path).values())
    assert again <= 2, "only what was being made when it was killed is made again"


def test_a_node_that_is_lost_takes_nothing_along_but_what_was_being_made(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    search = nodes_kit.start(cluster, results, tmp_path, 0.3)
    deadline = time.monotonic() + 90
    while len(nodes_kit.nodes(tmp_path)) < 2 or nodes_kit.made(tmp_path).total() < 16:
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.kill_second()
    out, _ = search.communicate(timeout=150)
    cluster.start_second()
    assert "finished" in out, out
    assert "node-1" in out, out
    (told,) = [line for line in out.splitlines() if "node-1" in line]
    assert told.startswith("event: the node node-1 (")
    assert told.endswith(") is lost; what ran there runs again elsewhere")
    assert "raylet" not in out
    folder = results / "tests" / "gray"
    assert all_there(folder) == []
    again = sum(count - 1 for count in nodes_kit.made(tmp_path).values())
    assert again <= 1, "only what was being made there is made again"
