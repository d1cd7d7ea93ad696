"""The sources that a search file names by key, and the kinds of endpoint that come with Pixaris: the one
place where they are registered.
"""

from __future__ import annotations

from collections.abc import Mapping

from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.apis.flux import FluxApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.dns import DnsSource
from pixaris.endpoints.sources.flux import FluxSource
from pixaris.endpoints.sources.given import GivenSource
from pixaris.endpoints.sources.managed import EmbeddedSource, ManagedSource
from pixaris.endpoints.sources.pool import PoolSource
from pixaris.endpoints.sources.static import StaticSource
from pixaris.endpoints.sources.tunnel import TunnelSource

SOURCES: Mapping[str, type[EndpointSource]] = {
    source.key: source
    for source in (
        StaticSource,
        DnsSource,
        EmbeddedSource,
        ManagedSource,
        TunnelSource,
        PoolSource,
        FluxSource,
    )
}
"""Key to class, in the order in which users are told the keys."""

APIS: Mapping[str, EndpointApi] = {api.kind: api for api in (ComfyUIApi(), FluxApi())}
"""Kind to what is known of it. One of your own needs no line here: its generator and its endpoints carry it.
"""

_GENERATION = "pixaris.generation."


def api_of_generator(name: str) -> EndpointApi:
    """The kind of endpoint that a generator of a search file asks, by the generator's name alone.

    The names of ours begin with the kind: ``comfyui``, ``flux_fill``,
    ``pixaris.generation.flux:FluxGenerator``. Of one of the user's own, what it asks is known once it is
    loaded; until then ComfyUI is assumed.
    """
    if name.startswith(_GENERATION):
        kind = name.removeprefix(_GENERATION).partition(":")[0]
    elif ":" in name:
        kind = ""
    else:
        kind = name.partition("_")[0]
    return APIS.get(kind, ComfyUIApi())


def source_of(address: str, api: EndpointApi) -> EndpointSource:
    """An address as the source of a kind; ``host:port`` means http.

    Raises:
        ConfigurationError: It is no address of such an endpoint.
    """
    if "://" in address:
        url = address
    else:
        url = f"http://{address}"
    scheme = url.partition("://")[0]
    for source in SOURCES.values():
        if source.api == api and scheme in source.schemes:
            return source.at(url)
    return GivenSource.of(Endpoint(url, api=api))


def serving(source: EndpointSource, api: EndpointApi) -> EndpointSource:
    """The source as one of a kind: addresses and commands stand for whatever the generator asks, unless that
    kind has sources of its own.
    """
    own = any(known.api == api for known in SOURCES.values())
    if own:
        return source
    return source.serving(api)


def bare_source(api: EndpointApi) -> str:
    """Key of the source of a kind that needs no words, or "": an account that the configuration names."""
    return next((key for key, source in SOURCES.items() if source.bare and source.api == api), "")
