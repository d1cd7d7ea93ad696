"""Searches in processes of their own share a pool of a real cluster: fairly, and without a trace of each
other.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_kit import TwoNodes, one_node
from kit import WORKFLOW

from pixaris.search import SearchResult

# each test starts about ten commands, and each of them joins a cluster
pytestmark = pytest.mark.timeout(600)

SETS = 16
COMMAND = [sys.executable, "-m", "pixaris.comfyui.server", "--listen", "{host}", "--port", "{port}"]


def servers(replicas: int, seconds: float) -> str:
    """Servers that take so much longer for an image."""
    faults = json.dumps([{"fault": "delay", "seconds": seconds, "times": None}])
    return json.dumps({"managed": {"command": [*COMMAND, "--faults", faults], "replicas": replicas}})


class Pools:
    """The commands, on a cluster of one node."""

    def __init__(self, cluster: TwoNodes, folder: Path, cells: Path) -> None:
        self._cluster = cluster
        self.folder = folder
        self._cells = cells

    def file(self, name: str, endpoints: str = "{pool: shared}", at_once: int = 2) -> str:
        """Write a search file: the same parameter sets in each."""
        (self.folder / f"{name}.yaml").write_text(
            f"""
name: {name}
project: tests
results: {self.folder}
dataset: {self._cells}
generator: {{type: comfyui, workflow: {WORKFLOW}}}
endpoints: {endpoints}
parameters: {{grow: {{node_name: Grow, input: expand, randint: [-14, 15]}}}}
metrics: [{{type: iou, reference: Mask}}]
objective: {{metric: iou}}
search: {{algorithm: random, num_samples: {SETS}, seed: 7, scheduler: fifo, max_concurrent: {at_once}}}
cache: false
"""
        )
        return f"{name}.yaml"

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pixaris", *words],
            env={**self._cluster.environment, "RAY_ADDRESS": self._cluster.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; its exit code and what it prints."""
        begun = self.begin(*words)
        out, _ = begun.communicate(timeout=180)
        return begun.returncode, out

    def pool(self) -> dict[str, Any]:
        """The one pool, as `pixaris pool list` has it."""
        code, out = self.run("pool", "list", "--json")
        assert code == 0, out
        (pool,) = json.loads(out)["pools"]
        return dict(pool)

    def scores(self, name: str) -> dict[int, float | None]:
        """Trial to its score."""
        trials = SearchResult.load(self.folder / "tests" / name).trials
        return {trial.number: trial.objective for trial in trials}

    def made(self, name: str) -> int:
        """Images that lie in a search's folder."""
        return len(list((self.folder / "tests" / name).glob("trial_*/generated_images/*.png")))


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory, cells: Path) -> Iterator[Pools]:
    """A cluster with the pool `shared`, of two servers that take a tenth of a second more for an image."""
    folder = tmp_path_factory.mktemp("shared")
    with one_node(cpus=12) as cluster:
        pools = Pools(cluster, folder, cells)
        code, out = pools.run("pool", "start", "shared", pools.file("servers", servers(2, 0.1)))
        assert code == 0, out
        yield pools


@pytest.fixture(scope="module")
def alone(pools: Pools) -> dict[int, float | None]:
    """The scores of a search that has the pool for itself."""
    code, out = pools.run("search", pools.file("alone"))
    assert code == 0, out
    return pools.scores("alone")


def test_two_searches_at_once_have_the_scores_that_each_has_alone_and_equal_shares(
    pools: Pools, alone: dict[int, float | None]
) -> None:
    before = sum(one["images"] for one in pools.pool()["endpoints"])
    begun = [pools.begin("search", pools.file("many", at_once=4)), pools.begin("search", pools.file("few"))]
    names = ("many", "few")
    first: list[int] = []
    last = [0, 0]
    while all(search.poll() is None for search in begun):
        last = [pools.made(name) for name in names]
        if not first and all(last):
            first = last
        time.sleep(0.05)
    outputs = [search.communicate(timeout=180)[0] for search in begun]
    assert [search.returncode for search in begun] == [0, 0], outputs
    assert pools.scores("many") == pools.scores("few") == alone
    many, few = (now - then for now, then in zip(last, first, strict=True))
    assert min(many, few) > 10, "they were not under way at the same time"
    assert 0.5 <= many / few <= 2.0
    pool = pools.pool()
    images = [SearchResult.load(pools.folder / "tests" / name).totals for name in names]
    made = sum(one.images - one.cached for one in images)
    assert sum(one["images"] for one in pool["endpoints"]) - before == made, "each has made its own images"
    assert pool["searches"] == []


def test_a_search_that_is_killed_takes_nothing_along_but_its_own_requests(
    pools: Pools, alone: dict[int, float | None]
) -> None:
    victim, other = pools.begin("search", pools.file("victim")), pools.begin("search", pools.file("other"))
    deadline = time.monotonic() + 120
    while not (pools.made("victim") and pools.made("other")):
        assert victim.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    out, _ = other.communicate(timeout=180)
    assert other.returncode == 0, out
    assert "the search victim-" in out
    assert "is gone; its requests are cancelled" in out
    assert pools.scores("other") == alone
    pool = pools.pool()
    assert pool["searches"] == []
    assert all(one["under_way"] == 0 and one["state"] == "healthy" for one in pool["endpoints"])
    code, out = pools.run("search", pools.file("victim"), "--resume")
    assert code == 0, out
    assert pools.scores("victim") == alone


def test_a_pool_that_is_used_ends_only_by_force_and_its_searches_can_be_gone_on_with(
    pools: Pools, alone: dict[int, float | None]
) -> None:
    assert pools.run("pool", "start", "slow", pools.file("slow", servers(1, 0.6)))[0] == 0
    search = pools.begin("search", pools.file("last", "{pool: slow}"))
    deadline = time.monotonic() + 120
    while not pools.made("last"):
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    code, out = pools.run("pool", "end", "slow")
    assert code == 2, out
    assert "a search uses the pool slow: last-" in out
    code, out = pools.run("pool", "end", "slow", "--force")
    assert code == 0, out
    out, _ = search.communicate(timeout=60)
    assert search.returncode == 3, out
    assert "the pool slow was ended (pixaris pool end); start it again, and resume" in out
    code, out = pools.run("search", "last.yaml", "--resume")
    assert code == 2
    assert "there is no pool slow on this cluster; it has shared; start it there" in out
    assert pools.run("pool", "start", "slow", "servers.yaml")[0] == 0
    code, out = pools.run("pool", "start", "slow", "servers.yaml")
    assert code == 2
    assert "there is a pool slow already" in out
    code, out = pools.run("search", "last.yaml", "--resume")
    assert code == 0, out
    assert pools.scores("last") == alone
