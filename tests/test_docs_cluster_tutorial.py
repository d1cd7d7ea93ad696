"""The tutorial on the cluster, as one script in one shell: a real Ray with its job server, started as the
page says; only ports and folders are this test's own, and the search is shorter.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_kit import TwoNodes, free_port

from pixaris.search import SearchResult

PAGE = Path(__file__).parents[1] / "docs" / "tutorials" / "cluster.md"
INSTALL = "pip install 'pixaris[cluster]'"
SECONDS = 220


@pytest.fixture
def cluster() -> Iterator[TwoNodes]:
    """Ports, folders and an environment; the page starts the head itself."""
    folder = Path(tempfile.mkdtemp(prefix="px-", dir="/tmp"))
    found = TwoNodes(folder, jobs=True)
    try:
        yield found
    finally:
        found.close()
        shutil.rmtree(folder, ignore_errors=True)


def script(cluster: TwoNodes) -> str:
    """The page's commands, with this test's ports, folders and budget."""
    found = re.findall(r"^```(?:sh|bash)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    own = [f"--port={cluster.port}", f"--dashboard-port={cluster.dashboard_port}"]
    own += [f"--temp-dir={cluster.folder / 'ray'}", f"--ray-client-server-port={free_port()}"]
    own += [f"--dashboard-agent-listen-port={free_port()}", "--num-cpus=2", "--object-store-memory=80000000"]
    changes = {
        f"{INSTALL}\n": "",
        "ray start --head": " ".join(["ray start --head", *own]),
        "http://127.0.0.1:8265": cluster.jobs_address,
        "/tmp/pixaris-results": str(cluster.folder / "results"),
        " --follow": " --follow --set budget.images=24 --set search.algorithm=random",
    }
    text = "\n".join(found)
    for words, other in changes.items():
        assert words in text, words
        text = text.replace(words, other)
    return text


def test_a_search_runs_on_the_cluster_that_the_page_starts(cluster: TwoNodes, tmp_path: Path) -> None:
    (cluster.folder / "ray").mkdir()
    done = subprocess.run(
        ["bash", "-e", "-u", "-c", script(cluster)],
        cwd=tmp_path,
        env={**cluster.environment, "PIXARIS_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = SearchResult.load(cluster.folder / "results" / "demo" / "restore")
    assert (result.status, result.images) == ("stopped", 24), "by its budget"
    listed = re.search(r"^pixaris-restore-\w+ +SUCCEEDED .* demo/restore +exit 0$", done.stdout, re.M)
    assert listed is not None, done.stdout
    shown = done.stdout[listed.end() :]
    assert result.verdict().sentence in " ".join(shown.split())
    assert ".cc:" not in done.stdout + done.stderr, "what Ray says to those who develop it"
    assert "packaging.py" not in done.stdout + done.stderr
