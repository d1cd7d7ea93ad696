"""Classes of the user's own, named in a search file, on a real cluster of two nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_kit import TwoNodes, can_have_two_nodes, two_nodes
from nodes_kit import all_there

from pixaris.files import read_json_lines
from pixaris.testing import samples

pytestmark = pytest.mark.skipif(
    not can_have_two_nodes(), reason="a second node on this machine needs a mount namespace (root)"
)

PARTS = (Path(__file__).parent / "own_parts_kit.py").read_text(encoding="utf-8")

SEARCH = """
name: lamps
project: tests
results: {results}
dataset: {photos}
generator: {{type: "{module}:Lamp", log: {log}}}
parameters: {{light: {{node_name: Lamp, input: light, uniform: [0.0, 1.0]}}}}
metrics: [{{type: "{module}:Glow", log: {log}}}]
objective: {{metric: glow}}
search: {{algorithm: random, num_samples: 9, seed: 7, scheduler: fifo, max_concurrent: 2}}
cache: false
"""


@pytest.fixture(scope="module")
def cluster(hidden: Path) -> Iterator[TwoNodes]:
    with two_nodes([hidden]) as nodes:
        yield nodes


def search(cluster: TwoNodes, results: Path, shared: Path, module: str) -> subprocess.CompletedProcess[str]:
    """Run the search with the classes of a module; the folder of results, which the first node alone sees, is
    on the driver's Python path and its current folder.
    """
    photos = shared / "photos"
    (photos / "Input").mkdir(parents=True)
    for number in range(4):
        samples.picture(number).save(photos / "Input" / f"{number}.png")
    file = results / "search.yaml"
    file.write_text(SEARCH.format(module=module, results=results, photos=photos, log=shared / "log.jsonl"))
    environment = cluster.environment
    environment["PYTHONPATH"] = os.pathsep.join([str(results), environment["PYTHONPATH"]])
    words = [sys.executable, "-m", "pixaris", "search", str(file), "--address", cluster.address]
    return subprocess.run(
        words, cwd=results, env=environment, capture_output=True, text=True, check=False, timeout=200
    )


def test_own_generator_and_metric_run_on_both_nodes(cluster: TwoNodes, results: Path, tmp_path: Path) -> None:
    done = search(cluster, results, tmp_path, "own_parts_kit")
    assert done.returncode == 0, done.stderr
    rows = read_json_lines(tmp_path / "log.jsonl")
    for what in ("image", "score"):
        assert len({row["node"] for row in rows if row["what"] == what}) == 2
    assert sum(row["what"] == "image" for row in rows) == 40
    assert all_there(results / "tests" / "lamps") == []


def test_a_module_that_a_node_lacks_is_said_in_one_line_with_the_way_out(
    cluster: TwoNodes, results: Path, tmp_path: Path
) -> None:
    (results / "only_here.py").write_text(PARTS)
    done = search(cluster, results, tmp_path, "only_here")
    assert done.returncode == 2, done.stderr
    told = [line for line in done.stderr.splitlines() if "cannot import the module 'only_here'" in line]
    assert len(told) == 1, "of the one node that lacks it, and once for both classes"
    assert "the node node-1 (" in told[0]
    assert "pixaris submit --working-dir" in told[0]
    assert not (tmp_path / "log.jsonl").exists()
    assert not list((results / "tests" / "lamps").glob("trial_*"))
