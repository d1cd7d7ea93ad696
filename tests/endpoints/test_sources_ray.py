"""Managed servers that Ray places: each with its GPUs, back after whatever dies, gone when the search
ends.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kit import server
from pool_kit import OpenPool, healthy, mixed, run, until
from sources_kit import running

from pixaris.endpoints.discovery import Discovery, Down, Up
from pixaris.endpoints.ray import ManagedServers
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.base import ServerCommand
from pixaris.endpoints.sources.managed import EmbeddedSource
from pixaris.exceptions import NoEndpointError


@pytest.fixture(scope="module")
def one_gpu() -> Iterator[None]:
    """A Ray with one GPU, as far as Ray knows."""
    import ray

    ray.shutdown()
    ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def with_gpu(number: float, replicas: int = 1, **options: Any) -> tuple[ServerCommand, ...]:
    return replace(server(replicas), num_gpus=number, **options).servers()


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


def server_pid(discovery: ManagedServers) -> int | None:
    pids = discovery.server_pids()
    return pids[0] if pids else None


def environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


@pytest.mark.usefixtures("one_gpu")
def test_a_server_has_its_gpu_to_itself_and_another_waits_for_one(
    tmp_path: Path, local_pool: OpenPool
) -> None:
    registry, pool = EndpointRegistry(), local_pool()
    discovery = ManagedServers(with_gpu(1, replicas=2), tmp_path, patience=1.0)
    with registry.discovering(discovery), registry.serving(pool):
        registry.wait()
        run(pool, mixed(4))
        assert healthy(pool) == 1
        assert pool.status().endpoints[0].url.startswith("http://127.0.0.1:")
        pid = server_pid(discovery)
        assert pid is not None
        assert "CUDA_VISIBLE_DEVICES=0" in environment(pid)
        assert not any(variable.startswith("OMP_NUM_THREADS=") for variable in environment(pid)), (
            "Ray's own, not the server's"
        )
        until(lambda: pool.status().events)
        assert pool.status().events == (
            "managed-1 waits for num_gpus: 1; the cluster has 1 GPU(s), 0 of them free",
        )
        assert (tmp_path / "managed-0.log").is_file()
    assert not alive(pid)


@pytest.mark.usefixtures("one_gpu")
def test_what_no_node_can_give_is_told_and_nothing_at_all_is_an_error(
    tmp_path: Path, local_pool: OpenPool
) -> None:
    registry = EndpointRegistry()
    discovery = ManagedServers(with_gpu(8, start_timeout=1.0), tmp_path, patience=0.2)
    with registry.discovering(discovery), registry.serving(local_pool()):
        with pytest.raises(NoEndpointError, match="has waited 1 s for num_gpus: 8; the cluster has 1 GPU"):
            registry.wait()


@pytest.mark.usefixtures("one_gpu")
def test_what_no_worker_group_can_ever_give_is_told_at_once(tmp_path: Path, local_pool: OpenPool) -> None:
    registry, pool = EndpointRegistry(), local_pool()
    servers = (*with_gpu(8), *with_gpu(2, replicas=3))
    discovery = ManagedServers(servers, tmp_path, on_cluster=True, limits=lambda: (2.0, 4.0))
    with registry.discovering(discovery), registry.serving(pool):
        until(lambda: len(pool.status().events) == 2)
        assert pool.status().events == (
            "managed-0 wants num_gpus: 8, and no node of this cluster can have more than 2; ask for fewer, or"
            " add a worker group that has them",
            "managed servers want 6 GPUs, and this cluster can have 4 at most; the others wait: ask for fewer"
            " replicas, or raise the limits of the worker groups",
        )


@pytest.mark.usefixtures("one_gpu")
def test_a_server_comes_back_after_its_own_death_and_after_its_actors(tmp_path: Path) -> None:
    discovery = ManagedServers(with_gpu(0), tmp_path)
    with running(discovery) as events:
        (url,) = events.wait_for(1)
        pid = server_pid(discovery)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: server_pid(discovery) not in (None, pid))
        until(lambda: events.sentences)
        assert f"{url}: it ended with code -9; it is started again" in events.sentences[0]
        pid = server_pid(discovery)
        assert pid is not None
        os.kill(parent(pid), signal.SIGKILL)
        until(lambda: not alive(pid))
        until(
            lambda: [type(event) for event in events.taken if isinstance(event, Up | Down)] == [Up, Down, Up]
        )
        assert "the process that kept managed-0 ended" in events.sentences[-1]
        pid = server_pid(discovery)
    assert not alive(pid)


@pytest.mark.usefixtures("one_gpu")
def test_on_a_cluster_it_answers_at_its_nodes_address_or_says_why_not(tmp_path: Path) -> None:
    import ray

    address = ray.util.get_node_ip_address()
    deaf = ServerCommand(
        (sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}"), start_timeout=3.0
    )
    discovery: Discovery = ManagedServers([*EmbeddedSource().servers(), deaf], tmp_path, on_cluster=True)
    with running(discovery) as events:
        if address == "127.0.0.1":
            pytest.skip("this machine has no other address")
        (url,) = events.wait_for(1)
        assert url.startswith(f"http://{address}:")
        until(lambda: events.errors)
        assert "it answers on 127.0.0.1 only; let it listen on {host}" in str(events.errors[0])


@pytest.mark.usefixtures("one_gpu")
def test_a_command_that_ends_is_told_with_its_last_lines(tmp_path: Path, local_pool: OpenPool) -> None:
    registry = EndpointRegistry()
    broken = ServerCommand(("sh", "-c", "echo no model called sd15; exit 3", "{port}"))
    with registry.discovering(ManagedServers([broken], tmp_path)), registry.serving(local_pool()):
        with pytest.raises(NoEndpointError, match=r"ended with code 3(.|\n)*no model called sd15"):
            registry.wait()
