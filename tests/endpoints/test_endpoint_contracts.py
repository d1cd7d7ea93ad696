"""Every client, pool and source keeps the contract of its seam; and what breaks it is found out."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import flux_kit
import pytest
from pool_kit import POLICY, OpenPool, endpoint, mixed
from sketch import (
    PlainSource,
    SketchApi,
    SketchClient,
    SketchDiscovery,
    SketchServer,
    SketchSource,
    sketch_of,
)
from sources_kit import Gcloud

from pixaris.comfyui.server.inprocess import serve_in_thread
from pixaris.endpoints.actions import Action, Answer, ProbeEndpoint, Run
from pixaris.endpoints.apis.flux import flux_endpoint
from pixaris.endpoints.base import Command, Endpoint, EndpointClient, EndpointPool, PoolStatus
from pixaris.endpoints.core import PoolCore
from pixaris.endpoints.discovery import Down, Emitter
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import SOURCES
from pixaris.endpoints.sources.credentials import Variable
from pixaris.endpoints.sources.dns import DnsSource
from pixaris.endpoints.sources.flux import FluxSource
from pixaris.endpoints.sources.given import GivenSource
from pixaris.endpoints.sources.managed import EmbeddedSource, ManagedSource
from pixaris.endpoints.sources.pool import PoolSource
from pixaris.endpoints.sources.static import StaticSource
from pixaris.endpoints.sources.tunnel import TunnelSource
from pixaris.testing.contracts import (
    ContractError,
    check_endpoint_client,
    check_endpoint_pool,
    check_endpoint_source,
)
from pixaris.types import GeneratedImage, GenerationRequest

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def comfyui() -> Iterator[str]:
    with serve_in_thread() as running:
        yield running.url


@pytest.fixture(scope="module")
def sketching() -> Iterator[str]:
    running = SketchServer()
    yield running.url
    running.stop()


# Clients


def test_the_client_of_comfyui_keeps_its_contract(comfyui: str) -> None:
    requests = [one.request for one in mixed(7)]
    check_endpoint_client(
        lambda: endpoint(comfyui).connect(), requests, absent=lambda: endpoint(NOBODY).connect()
    )


def test_the_client_of_flux_keeps_its_contract() -> None:
    requests = [flux_kit.request("boat", seed=seed) for seed in (1, 2)] + [flux_kit.request("house")]
    requests = [replace(one, id=f"{number}", item=f"{number}") for number, one in enumerate(requests)]
    with flux_kit.standing_in() as server:
        check_endpoint_client(lambda: flux_endpoint(flux_kit.KEY, server.places.api).connect(), requests)


def test_a_made_up_client_keeps_its_contract(sketching: str) -> None:
    requests = [sketch_of(f"sketch {number}", number) for number in range(4)]
    check_endpoint_client(lambda: SketchClient(sketching), requests, absent=lambda: SketchClient(NOBODY))


class Swapping(SketchClient):
    """Gives every image a wrong name."""

    def run(self, request: GenerationRequest) -> GeneratedImage:
        return replace(super().run(request), item="somebody else's")


class Forging(SketchClient):
    """Gives pixels that their digest does not tell."""

    def run(self, request: GenerationRequest) -> GeneratedImage:
        image = super().run(request)
        return replace(image, image=replace(image.image, known_digest="0" * 64))


class Telling(SketchClient):
    """Shows the credentials of its endpoint."""

    def run(self, request: GenerationRequest) -> GeneratedImage:
        return replace(super().run(request), endpoint="http://user:secret@host")


class Deaf(SketchClient):
    """Cancelled, raises something of its own."""

    def cancel(self, request_id: str) -> None:
        self._cancelled = request_id

    def run(self, request: GenerationRequest) -> GeneratedImage:
        image = super().run(request)
        if getattr(self, "_cancelled", "") == request.id:
            raise TimeoutError("cancelled")
        return image


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Swapping, "gives the image of its own request"),
        (Forging, "that its digest tells"),
        (Telling, "without credentials"),
        (Deaf, "raises CancelledRequestError when its request is cancelled"),
    ],
)
def test_a_client_that_breaks_a_rule_is_found_out(
    sketching: str, broken: Callable[[str], EndpointClient], rule: str
) -> None:
    requests = [sketch_of(f"sketch {number}", number) for number in range(2)]
    with pytest.raises(ContractError, match=rule):
        check_endpoint_client(lambda: broken(sketching), requests)


def test_a_client_that_raises_what_it_likes_where_nobody_is_is_found_out(sketching: str) -> None:
    class Raw(SketchClient):
        def probe(self) -> None:
            raise ConnectionError("raw")

    requests = [sketch_of(f"sketch {number}", number) for number in range(2)]
    with pytest.raises(ContractError, match="probe raises EndpointError where no endpoint is"):
        check_endpoint_client(lambda: SketchClient(sketching), requests, absent=lambda: Raw(NOBODY))


# Pools


def test_a_pool_keeps_its_contract(open_pool: OpenPool, comfyui: str) -> None:
    check_endpoint_pool(open_pool, endpoint(comfyui), [one.request for one in mixed(7)])


class OneThread(EndpointPool):
    """A pool of somebody's own, around the same core: it does one thing after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._core: PoolCore[GenerationRequest] = PoolCore(POLICY)
        self._decided = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def perform(self, command: Command[GenerationRequest]) -> None:
        with self._decided:
            self._core.perform(command)
            self._decided.notify()

    def status(self, since_event: int = 0) -> PoolStatus:
        with self._decided:
            return self._core.status(since_event)

    def _release(self) -> None:
        with self._decided:
            self._ended = True
            self._decided.notify()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended:
            with self._decided:
                due = self._core.keep()
                actions = self._core.take_actions()
                if not actions and not self._ended:
                    self._decided.wait(due)
            for action in actions:
                self._carry_out(action)

    def _carry_out(self, action: Action[GenerationRequest]) -> None:
        match action:
            case ProbeEndpoint(endpoint):
                endpoint.connect().probe()
                with self._decided:
                    self._core.probed(endpoint.url, None)
            case Run(_, endpoint, _, request):
                image = endpoint.connect().run(request)
                with self._decided:
                    answered = self._core.settle(action, None, image.cost)
                if answered:
                    self._unanswered.answer(request.id, image)
            case Answer(_, request, error):
                self._unanswered.answer(request.id, error)


def test_a_pool_of_one_s_own_around_the_same_core_keeps_it_too(sketching: str) -> None:
    at = Endpoint(sketching, api=SketchApi())
    check_endpoint_pool(OneThread, at, [sketch_of(f"sketch {number}", number) for number in range(4)])


class Chatty(OneThread):
    """Gives every event again and again."""

    def status(self, since_event: int = 0) -> PoolStatus:
        return super().status()


class Careless(OneThread):
    """Answers a request with the image of another one."""

    def _carry_out(self, action: Action[GenerationRequest]) -> None:
        if isinstance(action, Run):
            action = replace(action, request=replace(action.request, item="another"))
        super()._carry_out(action)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Chatty, "gives the events from that number on"),
        (Careless, "gives the image of its own request"),
    ],
)
def test_a_pool_that_breaks_a_rule_is_found_out(
    sketching: str, broken: Callable[[], EndpointPool], rule: str
) -> None:
    at = Endpoint(sketching, api=SketchApi())
    opened: list[EndpointPool] = []

    def open_pool() -> EndpointPool:
        opened.append(broken())
        return opened[0]

    try:
        with pytest.raises(ContractError, match=rule):
            check_endpoint_pool(open_pool, at, [sketch_of(f"sketch {number}", number) for number in range(4)])
    finally:
        opened[0].close()


# Sources


@pytest.fixture
def sources(
    comfyui: str, sketching: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, EndpointSource]:
    """One of each kind, whose endpoints are here."""
    port = int(comfyui.rpartition(":")[2])
    gcloud = Gcloud(tmp_path / "bin", port)
    monkeypatch.setenv("COMFY_AUTH", "user:password")
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", flux_kit.KEY)
    command = (sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}")
    headers = (("Authorization", Variable("COMFY_AUTH", basic=True)),)
    return {
        "static": StaticSource("http://user:secret@127.0.0.1:1/comfy", 3),
        "static with a variable": StaticSource(comfyui, headers=headers),
        "given": GivenSource(Endpoint(comfyui)),
        "given of an account": GivenSource(flux_endpoint(flux_kit.KEY)),
        "flux": FluxSource(depth=5),
        "dns": DnsSource("localhost", port, headers=headers),
        "managed": ManagedSource(command, replicas=2, start_timeout=60.0),
        "embedded": EmbeddedSource(),
        "iap": TunnelSource(("gpu-1", "gpu-2"), zone="europe-west4-a", gcloud=gcloud.program),
        "made-up": SketchSource(replicas=2),
        "made-up, running already": PlainSource(sketching),
    }


KINDS = (
    "static",
    "static with a variable",
    "given",
    "given of an account",
    "flux",
    "dns",
    "managed",
    "embedded",
    "iap",
    "made-up",
    "made-up, running already",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_keeps_its_contract(sources: dict[str, EndpointSource], kind: str, tmp_path: Path) -> None:
    source = sources[kind]
    found = check_endpoint_source(source, tmp_path / "logs")
    assert len(found) == source.count
    assert source.slots == sum(one.depth for one in found)


def test_every_registered_source_is_among_them(sources: dict[str, EndpointSource]) -> None:
    assert set(KINDS) == set(sources)
    # A shared pool brings no endpoints up: its keeper on the cluster has (test_shared_pool.py).
    assert {type(source) for source in sources.values()} >= set(SOURCES.values()) - {PoolSource}


@dataclass(frozen=True)
class Broken(SketchSource):
    """A source that breaks a rule."""

    rule: str = ""

    @property
    def label(self) -> str:
        return "" if self.rule == "label" else super().label

    @property
    def slots(self) -> int:
        return 0 if self.rule == "slots" else super().slots

    def discovery(self, logs: Path) -> Any:
        return {"nothing": None, "late": Late(self)}.get(self.rule, Silent(self))


class Late(SketchDiscovery):
    """Goes on emitting after its end."""

    def start(self, emit: Emitter) -> None:
        super().start(emit)
        self._emit = emit

    def stop(self) -> None:
        super().stop()
        timer = threading.Timer(0.05, self._emit, [Down("http://late")])
        timer.start()


class Silent(SketchDiscovery):
    """Never says what becomes of a name."""

    def start(self, emit: Emitter) -> None:
        pass


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("label", "a source has a label of one line"),
        ("slots", "an endpoint has one slot or more"),
        ("nothing", "a source gives endpoints"),
        ("late", "nothing is emitted after stop"),
        ("silent", "for every name, sketch-0, a discovery emits Up or Failed"),
    ],
)
def test_a_source_that_breaks_a_rule_is_found_out(rule: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=words):
        check_endpoint_source(Broken(rule=rule), tmp_path, seconds=0.5)


def test_a_source_whose_key_is_missing_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIXARIS_FLUX_API_KEY", raising=False)
    monkeypatch.delenv("BFL_API_KEY", raising=False)
    with pytest.raises(ContractError, match="export PIXARIS_FLUX_API_KEY"):
        check_endpoint_source(FluxSource(), tmp_path)
