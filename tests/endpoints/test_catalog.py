"""What is registered: kinds by a generator's name, sources by key and by address."""

from __future__ import annotations

import pytest
from sketch import SketchApi

from pixaris.components import GENERATORS
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.apis.flux import FluxApi
from pixaris.endpoints.base import EndpointApi
from pixaris.endpoints.sources.catalog import SOURCES, api_of_generator, bare_source, serving, source_of
from pixaris.endpoints.sources.dns import DnsSource
from pixaris.endpoints.sources.flux import FluxSource
from pixaris.endpoints.sources.managed import EmbeddedSource
from pixaris.endpoints.sources.static import StaticSource
from pixaris.exceptions import ConfigurationError
from pixaris.generation.base import ImageGenerator
from pixaris.plugins import resolve


@pytest.mark.parametrize("name", GENERATORS)
def test_the_name_of_every_generator_of_ours_tells_what_it_asks(name: str) -> None:
    generator = resolve(name, GENERATORS, ImageGenerator)
    for written in (name, f"{generator.__module__}:{generator.__name__}"):
        assert api_of_generator(written).kind == generator.kind  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["flux_tools:Mine", "flux:Mine", "fluxes", "mine:flux_fill", "", "Flux_fill"]
)
def test_a_generator_of_the_users_own_is_not_taken_for_one_of_ours(name: str) -> None:
    assert api_of_generator(name) == ComfyUIApi()


def test_every_source_has_its_own_key_and_a_way_to_be_read() -> None:
    assert all(key == source.key for key, source in SOURCES.items())
    assert all(source.addressed or source.options for source in SOURCES.values())
    assert all(source.schemes for source in SOURCES.values() if source.addressed)
    for source in SOURCES.values():
        keys = [option.key for option in source.options]
        assert len(set(keys)) == len(keys)
        assert source.short in (*keys, "")


@pytest.mark.parametrize(
    ("address", "api", "label", "kind"),
    [
        ("10.0.0.5:8188", ComfyUIApi(), "http://10.0.0.5:8188", StaticSource),
        ("https://user:secret@h/comfy", ComfyUIApi(), "h/comfy", StaticSource),
        ("dns://comfyui.batch.svc:8188", ComfyUIApi(), "dns://comfyui.batch.svc:8188", DnsSource),
        ("api.eu.bfl.ai", FluxApi(), "Flux at http://api.eu.bfl.ai", FluxSource),
    ],
)
def test_an_address_is_a_source_of_the_kind_that_is_asked(
    address: str, api: EndpointApi, label: str, kind: type
) -> None:
    source = source_of(address, api)
    assert isinstance(source, kind)
    assert (source.label, source.api) == (label, api)


def test_an_address_of_an_unknown_kind_is_an_endpoint_of_that_kind() -> None:
    (endpoint,) = source_of("10.0.0.5:9000", SketchApi()).endpoints()
    assert (endpoint.url, endpoint.kind) == ("http://10.0.0.5:9000", "sketch")


@pytest.mark.parametrize(
    ("address", "api"),
    [
        ("ftp://h", ComfyUIApi()),
        ("dns://h:80", FluxApi()),
        ("http://a b", ComfyUIApi()),
        ("dns://h", ComfyUIApi()),
    ],
)
def test_what_is_no_address_of_a_kind_is_refused(address: str, api: EndpointApi) -> None:
    with pytest.raises(ConfigurationError):
        source_of(address, api)


def test_addresses_serve_a_kind_without_sources_of_its_own_and_no_other() -> None:
    static, embedded = StaticSource("http://h", 3), EmbeddedSource()
    assert serving(static, SketchApi()).api == SketchApi()
    assert serving(static, SketchApi()).slots == 3
    assert serving(static, FluxApi()) is static, "an account has a key"
    assert serving(embedded, SketchApi()) is embedded


def test_an_account_needs_no_words_and_servers_do() -> None:
    assert bare_source(FluxApi()) == "flux"
    assert bare_source(ComfyUIApi()) == bare_source(SketchApi()) == ""
