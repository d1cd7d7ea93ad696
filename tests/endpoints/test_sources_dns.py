"""Endpoints behind a name: who is there joins, who stays away leaves, and a name server's fault costs
nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest
from pool_kit import OpenPool, Servers, mixed, run, until
from sources_kit import running

from pixaris.endpoints.registry import EndpointRegistry
from pixaris.endpoints.sources.credentials import Variable
from pixaris.endpoints.sources.dns import DnsDiscovery, DnsSource, dns_source
from pixaris.exceptions import ConfigurationError, NoEndpointError, UnreachableError

SOURCE = DnsSource("comfyui.batch.svc", 8188, depth=3, interval=0.005)
UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


class Names:
    """Answers look-ups from a list, the last answer for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, name: str, port: int) -> Sequence[str]:
        self.asked.append((name, port))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def settled(self) -> bool:
        """Whether the last answer was given three times."""
        if len(self.answers) == 1:
            self.counted = getattr(self, "counted", len(self.asked))
        return len(self.answers) == 1 and len(self.asked) >= self.counted + 3


def events_of(names: Names) -> tuple[list[str], list[Exception], list[str]]:
    """The endpoints, errors and sentences after all answers."""
    with running(DnsDiscovery(SOURCE, names)) as events:
        until(names.settled)
        return events.urls, events.errors, events.sentences


def test_every_address_is_an_endpoint_and_new_ones_join() -> None:
    names = Names(["10.0.0.1"], ["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2", "fd00::3"])
    assert events_of(names) == (
        ["http://10.0.0.1:8188", "http://10.0.0.2:8188", "http://[fd00::3]:8188"],
        [],
        [],
    )
    assert set(names.asked) == {("comfyui.batch.svc", 8188)}


def test_an_address_leaves_after_it_was_missing_twice_in_a_row() -> None:
    both, one = ["10.0.0.1", "10.0.0.2"], ["10.0.0.1"]
    assert events_of(Names(both, one, both, one, both))[2] == []
    urls, errors, sentences = events_of(Names(both, one))
    assert urls == ["http://10.0.0.1:8188"]
    assert errors == []
    assert sentences == ["http://10.0.0.2:8188 has left: comfyui.batch.svc no longer names it"]


def test_a_look_up_that_fails_changes_nothing_and_is_told_once() -> None:
    urls, errors, sentences = events_of(Names(["10.0.0.1"], *[UNKNOWN] * 5, ["10.0.0.1"]))
    assert urls == ["http://10.0.0.1:8188"]
    assert errors == []
    assert len(sentences) == 2
    assert "comfyui.batch.svc cannot be resolved: Name or service not known" in sentences[0]
    assert "the endpoint it had stays" in sentences[0]
    assert sentences[1] == "dns://comfyui.batch.svc:8188 can be resolved again"


def test_a_name_that_nobody_knows_has_failed_until_somebody_does() -> None:
    urls, (error,), sentences = events_of(Names(UNKNOWN, UNKNOWN, ["10.0.0.1"]))
    assert isinstance(error, UnreachableError)
    assert "cannot be resolved" in str(error)
    assert urls == ["http://10.0.0.1:8188"]
    assert sentences == []


def test_depth_and_headers_go_to_every_endpoint() -> None:
    source = DnsSource("h", 80, "https", depth=5, headers=(("Authorization", Variable("COMFY_TOKEN")),))
    endpoint = source.endpoint("10.0.0.1", {"COMFY_TOKEN": "Bearer secret"})
    assert (endpoint.url, endpoint.depth) == ("https://10.0.0.1:80", 5)
    assert endpoint.headers == (("Authorization", "Bearer secret"),)
    assert "secret" not in f"{source} {endpoint}"


def test_a_name_is_read_with_its_port_and_scheme() -> None:
    assert dns_source("dns://comfyui.batch.svc:8188") == DnsSource("comfyui.batch.svc", 8188)
    assert dns_source("dns://h:443?scheme=https", depth=1) == DnsSource("h", 443, "https", 1)
    for wrong in (
        "dns://h",
        "dns://:80",
        "dns://h:0",
        "dns://h:99999",
        "dns://h:80/path",
        "dns://h:80?a=b",
        "dns://a:secret@h:1",
    ):
        with pytest.raises(ConfigurationError, match="write ") as told:
            dns_source(wrong)
        assert "secret" not in str(told.value)


def test_a_real_name_is_resolved_and_its_server_makes_the_images(
    local_pool: OpenPool, servers: Servers
) -> None:
    (url,) = servers(1)
    port = urlsplit(url).port
    assert port is not None
    registry, pool = EndpointRegistry(), local_pool()
    with registry.discovering(DnsDiscovery(DnsSource("localhost", port))), registry.serving(pool):
        registry.wait()
        assert {image.endpoint for image in run(pool, mixed(3))} == {url}


def test_a_search_waits_for_no_name_that_cannot_be_resolved(local_pool: OpenPool) -> None:
    registry = EndpointRegistry()
    with registry.discovering(DnsDiscovery(SOURCE, Names(UNKNOWN))), registry.serving(local_pool()):
        with pytest.raises(NoEndpointError, match="cannot be resolved"):
            registry.wait()
