"""`pixaris submit` on a real cluster of two nodes, with a token."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_kit import TwoNodes, can_have_two_nodes, two_nodes
from kit import WORKFLOW, start_servers

from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult

pytestmark = pytest.mark.skipif(
    not can_have_two_nodes(), reason="a second node on this machine needs a mount namespace (root)"
)

SEARCH = """
name: cells
project: tests
dataset: ./cells
generator: {type: comfyui, workflow: workflow.json}
endpoints: [URL]
parameters: {grow: {node_name: Grow, input: expand, randint: [-8, 9]}}
metrics: [{type: iou, reference: Mask}]
objective: {metric: iou}
search: {algorithm: random, num_samples: 5, seed: 7, scheduler: fifo, max_concurrent: 2}
"""


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that only the first node has."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def cluster(hidden: Path) -> Iterator[TwoNodes]:
    with two_nodes([hidden], jobs=True, cpus=(2, 1)) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server that takes its time."""
    faults = '[{"fault": "delay", "seconds": 0.3, "times": null}]'
    with start_servers(tmp_path_factory.mktemp("servers"), 1, "--faults", faults) as servers:
        yield servers.processes[0].url


@pytest.fixture
def folder(tmp_path: Path, cells: Path, server: str) -> Path:
    """A working folder whose eval set git ignores."""
    for image in cells.rglob("*.png"):
        target = tmp_path / "cells" / image.relative_to(cells)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(image.read_bytes())
    (tmp_path / "workflow.json").write_bytes(WORKFLOW.read_bytes())
    (tmp_path / "search.yaml").write_text(SEARCH.replace("URL", server))
    (tmp_path / ".gitignore").write_text("/cells/\n")
    return tmp_path


def submit(cluster: TwoNodes, folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "pixaris", "submit", *arguments, "--address", cluster.jobs_address]
    return subprocess.Popen(
        words,
        cwd=folder,
        env={**cluster.environment, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: subprocess.Popen[str], seconds: float = 150) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def test_a_search_is_submitted_followed_stopped_and_resumed(
    cluster: TwoNodes, hidden: Path, folder: Path, tmp_path: Path
) -> None:
    results = hidden / tmp_path.name
    # long enough that it is under way when the command that stops it has come up
    kept = (f"--set=results={results}", "--set=search.num_samples=15")
    code, out, err = done(submit(cluster, folder, "search.yaml", *kept))
    assert code == 0, err
    assert "note: sent although it is ignored: cells/" in out
    job = next(line.split()[1] for line in out.splitlines() if line.startswith("submitted"))
    paths = SearchPaths(results / "tests" / "cells")
    deadline = time.monotonic() + 120
    while len(list(paths.folder.glob("trial_*/generated_images/*.png"))) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    began = time.monotonic()
    code, out, err = done(submit(cluster, folder, job, "--stop"))
    assert code == 0, err
    assert time.monotonic() - began < 30
    assert SearchResult.load(paths.folder).status == "interrupted"
    code, out, err = done(submit(cluster, folder, "search.yaml", *kept, "--resume", "--follow"))
    assert code == 0, err + out
    assert "resuming" in out
    assert "winner" in out
    result = SearchResult.load(paths.folder)
    assert (result.status, len(result.trials)) == ("finished", 16)
    for trial in result.trials:
        assert len(list(paths.trial(trial.number).images.glob("*.png"))) == trial.items
    code, out, err = done(submit(cluster, folder, "--list"))
    rows = [line.split() for line in out.splitlines()]
    assert [row[1] for row in rows] == ["SUCCEEDED", "STOPPED"]


def test_a_failing_search_gives_its_own_exit_code_and_says_why(cluster: TwoNodes, folder: Path) -> None:
    code, out, err = done(submit(cluster, folder, "search.yaml", "--follow"))
    assert code == 2, err + out
    assert "in the copy of the job's files, which goes with the node; name an absolute folder" in out
    assert "Traceback" not in out


def test_what_cannot_run_is_told_before_anything_is_sent(cluster: TwoNodes, folder: Path) -> None:
    code, _, err = done(submit(cluster, folder, "search.yaml", "--set", "results=here"))
    assert code == 2
    assert "results is" in err
    assert "absolute folder that the cluster's head keeps" in err
    code, _, err = done(submit(cluster, folder, "search.yaml", "--set", "parameters.grow.input=expnd"))
    assert code == 2
    assert "did you mean 'expand'?" in err
    code, _, err = done(submit(cluster, folder, "cells", "--stop"))
    assert code == 2
    assert "no job of cells runs there" in err


def test_another_token_is_told_in_one_line(cluster: TwoNodes, folder: Path) -> None:
    code, out, err = done(submit(cluster, folder, "--list", RAY_AUTH_TOKEN="f" * 32))
    assert code == 1
    assert "asks for another token" in err
    assert "Traceback" not in out + err


def test_a_search_with_another_token_ends_with_one_line(cluster: TwoNodes, folder: Path) -> None:
    words = [sys.executable, "-m", "pixaris", "search", "search.yaml", "--address", cluster.address]
    environment = {**cluster.environment, "RAY_AUTH_MODE": "disabled"}
    began = time.monotonic()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert time.monotonic() - began < 75
    assert done.stderr.splitlines()[-1].startswith(f"error: the Ray at {cluster.address} does not let")
    assert "RAY_AUTH_MODE" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
