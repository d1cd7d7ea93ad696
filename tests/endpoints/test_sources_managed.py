"""Managed servers on this machine: work starts with the first that answers; what is late, dies or never comes
up is told.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from kit import server
from pool_kit import OpenPool, healthy, mixed, run, until
from sources_kit import running

from pixaris.endpoints.base import EndpointPool
from pixaris.endpoints.discovery import Down, Note, Up
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.base import ServerCommand
from pixaris.endpoints.sources.local_servers import LocalServers
from pixaris.exceptions import ConfigurationError, NoEndpointError

BROKEN = ServerCommand(("sh", "-c", "echo no model called sd15; exit 3", "{port}"), start_timeout=10.0)


def late(folder: Path) -> ServerCommand:
    """A server that begins to start once there is a file ``go``."""
    start = (
        f"while [ ! -e go ]; do sleep 0.02; done; exec {sys.executable} -m pixaris.comfyui.server --port"
        " {port}"
    )
    return ServerCommand(("sh", "-c", start), working_directory=str(folder), depth=3)


def events(pool: EndpointPool) -> str:
    return "\n".join(pool.status().events)


def test_work_starts_with_the_first_server_and_a_late_one_joins(tmp_path: Path, local_pool: OpenPool) -> None:
    registry, pool = EndpointRegistry(), local_pool()
    discovery = LocalServers([*server().servers(), late(tmp_path)], tmp_path)
    with registry.discovering(discovery), registry.serving(pool):
        registry.wait()
        first, second = (process.url for process in discovery.processes)
        assert [endpoint.url for endpoint in registry.started] == [first]
        assert {image.endpoint for image in run(pool, mixed(4))} == {first}
        (tmp_path / "go").touch()
        until(lambda: healthy(pool) == 2)
        assert {image.endpoint for image in run(pool, mixed(30))} == {first, second}
        assert [endpoint.depth for endpoint in registry.started] == [2, 3]
        pids = [process.pid for process in discovery.processes]
    assert not any(pid and Path(f"/proc/{pid}").exists() for pid in pids)


def test_one_that_never_comes_up_is_told_with_its_last_lines_and_the_others_work(
    tmp_path: Path, local_pool: OpenPool
) -> None:
    registry, pool = EndpointRegistry(), local_pool()
    with registry.discovering(LocalServers([BROKEN, *server().servers()], tmp_path)), registry.serving(pool):
        registry.wait()
        run(pool, mixed(4))
        (event,) = pool.status().events
        assert "ended with code 3" in event
        assert "its last lines:\nno model called sd15" in event
        assert healthy(pool) == 1


def test_if_none_comes_up_every_reason_is_told(tmp_path: Path, local_pool: OpenPool) -> None:
    silent = ServerCommand(("sh", "-c", "echo loading; sleep 60", "{port}"), start_timeout=0.5)
    registry = EndpointRegistry()
    with registry.discovering(LocalServers([BROKEN, silent], tmp_path)), registry.serving(local_pool()):
        with pytest.raises(NoEndpointError, match="no endpoint comes up") as told:
            registry.wait()
    assert "no model called sd15" in str(told.value)
    assert "loading" in str(told.value)


def test_a_command_that_cannot_be_run_is_the_users_to_correct(tmp_path: Path, local_pool: OpenPool) -> None:
    registry = EndpointRegistry()
    with (
        registry.discovering(LocalServers([ServerCommand(("no-such-program", "{port}"))], tmp_path)),
        registry.serving(local_pool()),
    ):
        with pytest.raises(ConfigurationError, match="'no-such-program' is not a program"):
            registry.wait()


def test_a_server_that_is_killed_is_told_and_comes_back(tmp_path: Path, local_pool: OpenPool) -> None:
    registry, pool = EndpointRegistry(), local_pool()
    discovery = LocalServers(server().servers(), tmp_path)
    with registry.discovering(discovery), registry.serving(pool):
        registry.wait()
        (process,) = discovery.processes
        killed = process.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        run(pool, mixed(4))
        assert process.pid not in (None, killed)
        assert f"{process.url}: it ended with code -9; it is started again" in events(pool)


def test_a_server_that_dies_again_and_again_leaves(tmp_path: Path) -> None:
    script = ServerCommand(("sh", "-c", "echo out of memory; sleep 0.2; exit 1", "{port}"))
    discovery = LocalServers([script], tmp_path, ready=lambda url: None)
    (process,) = discovery.processes
    process.max_restarts = 1
    with running(discovery) as events:
        until(lambda: process.given_up and not events.urls and len(events.taken) == 4)
        kinds = [type(event) for event in events.taken]
        assert kinds == [Up, Note, Note, Down]
        assert "it is started again" in events.sentences[0]
        assert (
            "after 2 times in a row it is not started again; its last lines:\nout of memory"
            in events.sentences[1]
        )
