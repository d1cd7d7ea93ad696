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

from pixaris.files import read_json, read_json_lines
from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult

pytestmark = pytest.mark.skipif(
    not can_have_two_nodes(), reason="a second node on this machine needs a mount namespace (root)"
)

ITEMS = 6
HIDDEN = Path("/tmp/pixaris-two-nodes")


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    HIDDEN.mkdir(exist_ok=True)
    with two_nodes([HIDDEN]) as nodes:
        yield nodes


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder that only the first node has."""
    folder = HIDDEN / tmp_path.name
    folder.mkdir(parents=True)
    return folder


def all_there(folder: Path) -> list[str]:
    """Trials of which anything is missing in the search's folder."""
    paths, lost = SearchPaths(folder), []
    for trial in SearchResult.load(folder).trials:
        run = paths.trial(trial.number)
        record = read_json(run.record) or {}
        whole = record.get("status") == trial.status and len(read_json_lines(run.items)) == trial.items
        if not whole or len(list(run.images.glob("*.png"))) != trial.items:
            lost.append(trial.name)
    return lost


def test_everything_made_on_a_node_without_the_results_folder_arrives(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    out, _ = nodes_kit.start(cluster, results, tmp_path).communicate(timeout=120)
    folder = results / "tests" / "gray"
    assert out.startswith("finished"), out
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
    assert out.startswith("finished"), out
    assert all_there(folder) == []
    again = sum(count - 1 for count in nodes_kit.made(tmp_path).values())
    assert again <= 2, "only what was being made when it was killed is made again"


def test_a_race_whose_sets_change_nodes_makes_nothing_twice(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    changes = "{'scheduler': 'race', 'step': None}"
    out, _ = nodes_kit.start(cluster, results, tmp_path, 0.05, changes).communicate(timeout=120)
    assert out.startswith("finished"), out
    assert len(nodes_kit.nodes(tmp_path)) == 2
    assert max(nodes_kit.made(tmp_path).values()) == 1
    assert all_there(results / "tests" / "gray") == []


def test_trials_that_pause_stay_on_one_node(cluster: TwoNodes, results: Path, tmp_path: Path) -> None:
    changes = "{'scheduler': 'hyperband', 'step': None}"
    out, _ = nodes_kit.start(cluster, results, tmp_path, 0.02, changes).communicate(timeout=150)
    assert out.startswith("finished"), out
    assert len(nodes_kit.nodes(tmp_path)) == 1
    assert all_there(results / "tests" / "gray") == []
