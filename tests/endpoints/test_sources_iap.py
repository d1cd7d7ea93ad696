"""Tunnels to Google Cloud VMs: opened on free ports, watched, opened again; gcloud's words become the
user's.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from pool_kit import OpenPool, Servers, answers, endpoint, healthy, mixed, until
from sources_kit import Gcloud, running

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.tunnel import TunnelDiscovery, TunnelSource
from pixaris.exceptions import ConfigurationError, NoEndpointError, UnreachableError


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture
def gcloud(tmp_path: Path, servers: Servers) -> Gcloud:
    """A gcloud whose tunnels lead to a server."""
    return Gcloud(tmp_path / "bin", port_of(servers(1)[0]))


@pytest.fixture
def source(gcloud: Gcloud) -> TunnelSource:
    return TunnelSource(
        ("gpu-1",), zone="europe-west4-a", project="my-project", gcloud=gcloud.program, start_timeout=5.0
    )


def discovery(source: TunnelSource, folder: Path) -> TunnelDiscovery:
    return TunnelDiscovery(source, folder / "logs", interval=0.1, rest=0.05)


def test_a_tunnel_is_opened_for_each_instance_and_closed_at_the_end(
    source: TunnelSource, gcloud: Gcloud, tmp_path: Path
) -> None:
    with running(discovery(replace(source, instances=("gpu-1", "gpu-2")), tmp_path)) as events:
        ports = [port_of(url) for url in events.wait_for(2)]
        assert len(set(ports)) == 2
        asked = sorted(gcloud.calls)
        assert [call[:4] for call in asked] == [
            ["compute", "start-iap-tunnel", name, "8188"] for name in ("gpu-1", "gpu-2")
        ]
        assert {call[4] for call in asked} == {f"--local-host-port=localhost:{port}" for port in ports}
        assert all(call[5:] == ["--zone=europe-west4-a", "--project=my-project"] for call in asked)
    assert gcloud.ends == ["SIGINT", "SIGINT"], "it is asked to end as Ctrl-C does"
    assert (events.errors, events.sentences) == ([], [])


def test_a_gcloud_that_ignores_ctrl_c_is_ended_too(
    source: TunnelSource, gcloud: Gcloud, tmp_path: Path
) -> None:
    gcloud.does("stubborn")
    with running(discovery(source, tmp_path)) as events:
        events.wait_for(1)
    assert gcloud.ends == ["SIGTERM"]


def test_a_port_that_gcloud_finds_taken_is_not_insisted_on(
    source: TunnelSource, gcloud: Gcloud, tmp_path: Path
) -> None:
    gcloud.does("port busy", "port busy", "slow")
    with running(discovery(source, tmp_path)) as events:
        (url,) = events.wait_for(1)
        ports = [call[4].rpartition(":")[2] for call in gcloud.calls]
        assert len(set(ports)) == 3
        assert url.endswith(ports[-1])
        assert events.errors == []


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        (
            "no such VM",
            ConfigurationError,
            ["'gpu-1'", "no such VM", "'europe-west4-a'", "'my-project'", "was not found"],
        ),
        ("no login", ConfigurationError, ["not logged in", "gcloud auth login"]),
        ("no project", ConfigurationError, ["knows no project", "gcloud config set project"]),
        ("no zone", ConfigurationError, ["write zone:", "Underspecified resource"]),
        ("forbidden", ConfigurationError, ["roles/iap.tunnelResourceAccessor", "Handshake status 403"]),
        (
            "no backend",
            UnreachableError,
            ["nothing answers on port 8188 of instance 'gpu-1'", "35.235.240.0/20"],
        ),
        ("strange", UnreachableError, ["ended with code 1", "Segmentation fault"]),
    ],
)
def test_each_failure_is_told_once_with_the_way_out_and_tried_again(
    source: TunnelSource, gcloud: Gcloud, tmp_path: Path, mode: str, kind: type[Exception], words: list[str]
) -> None:
    gcloud.does(mode, mode)
    with running(discovery(source, tmp_path)) as events:
        events.wait_for(1)
        (error,) = events.errors
        assert type(error) is kind
        assert all(word in str(error) for word in words), str(error)
    assert len(gcloud.calls) == 3


def test_a_missing_gcloud_is_told_with_where_to_get_it(source: TunnelSource, tmp_path: Path) -> None:
    with running(discovery(replace(source, gcloud="gcloud-that-is-not-there"), tmp_path)) as events:
        (error,) = events.errors
        assert isinstance(error, ConfigurationError)
        assert "'gcloud-that-is-not-there' is not a program" in str(error)
        assert "https://cloud.google.com/sdk" in str(error)


def test_a_tunnel_that_drops_is_opened_again_and_no_image_is_lost(
    source: TunnelSource, gcloud: Gcloud, tmp_path: Path, local_pool: OpenPool
) -> None:
    registry, pool = EndpointRegistry(), local_pool()
    with registry.discovering(discovery(source, tmp_path)), registry.serving(pool):
        registry.wait()
        asked = mixed(40)
        futures = pool.submit([one.request for one in asked])
        futures[5].result(15)
        os.kill(gcloud.pids[0], signal.SIGKILL)
        answers(asked, futures)
        status = pool.status()
        assert status.done == 40
        assert [one.state for one in status.endpoints] == ["healthy"]
        assert any("the tunnel to gpu-1 dropped: gcloud ended" in event for event in status.events)
        assert len(gcloud.calls) == 2


def test_a_tunnel_that_nothing_answers_through_is_opened_anew(
    gcloud: Gcloud, source: TunnelSource, tmp_path: Path
) -> None:
    with running(discovery(source, tmp_path)) as events:
        events.wait_for(1)
        gcloud.does(target=9)  # the VM's server is gone
        until(lambda: events.sentences)
        assert "nothing answers through it" in events.sentences[0]
        assert events.urls == []
        with serve_in_thread() as other:
            gcloud.does(target=port_of(other.url))
            events.wait_for(1)


def test_a_pool_works_with_what_is_there_while_a_tunnel_cannot_be_opened(
    source: TunnelSource, gcloud: Gcloud, tmp_path: Path, local_pool: OpenPool, servers: Servers
) -> None:
    gcloud.does(*["no backend"] * 50)
    pool = local_pool()
    registry = EndpointRegistry()
    with registry.discovering(discovery(source, tmp_path)), registry.serving(pool):
        with pytest.raises(NoEndpointError, match="nothing answers on port 8188"):
            registry.wait()
        pool.join(endpoint(servers(1)[0]))
        registry.wait()
        assert healthy(pool) == 1
