"""Managed servers that want GPUs on a cluster whose autoscaler has yet to start the nodes that have them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_kit import RAY, TwoNodes, autoscaling_node, can_autoscale

pytestmark = [
    pytest.mark.skipif(not can_autoscale(), reason="another Ray has the port of the cluster's head"),
    pytest.mark.timeout(400),
]

SEARCH = """
import os, sys, time
from pathlib import Path
import ray
from pixaris.endpoints.local import LocalPool
from pixaris.endpoints.ray import ManagedServers
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.base import ServerCommand

ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False)
command = (sys.executable, "-m", "pixaris.comfyui.server", "--listen", "{host}", "--port", "{port}")
servers = [ServerCommand(command, num_gpus=1.0)] * 2


def gpus():
    return ray.cluster_resources().get("GPU", 0.0)


def until(condition, seconds=90.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, gpus()
        time.sleep(0.2)


assert gpus() == 0.0
registry, pool = EndpointRegistry(), LocalPool()
try:
    with registry.discovering(ManagedServers(servers, Path("logs"), on_cluster=True)), registry.serving(pool):
        until(lambda: len(registry.started) == 2)
        assert gpus() == 2.0
        raise KeyError("a search may end in any way")
except KeyError:
    pass
finally:
    pool.close()
until(lambda: gpus() == 0.0)
print("let go")
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    with autoscaling_node() as node:
        yield node


def test_nodes_come_at_once_for_servers_that_want_gpus_and_go_with_them(
    cluster: TwoNodes, tmp_path: Path
) -> None:
    environment = {**cluster.environment, "RAY_ADDRESS": cluster.address}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
        )

    done = run(sys.executable, "-c", SEARCH)
    assert done.stdout == "let go\n", done.stderr
    log = max(cluster.folder.glob("ray/session_2*/logs/monitor.log")).read_text()
    assert "{'GPU': 1.0}: 2 from request_resources()" in log
    status = run(*RAY, "status", "--address", cluster.address)
    assert "Total Usage" in status.stdout, status.stderr
    assert "from request_resources()" not in status.stdout, "nothing is asked for any more"
