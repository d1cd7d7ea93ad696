"""Servers that somebody else runs, each at an address."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit, urlunsplit

from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.credentials import Headers, header_values, missing_variables


@dataclass(frozen=True)
class StaticSource(EndpointSource):
    """A server that somebody else runs.

    Attributes:
        url: ``http(s)://[user:password@]host[:port][/path]``; not shown, because it may hold credentials.
        depth: Requests it is given at once.
        headers: Sent with every request; not shown. A secret that is not in the environment may stand here as
            text.
        api: What kind of endpoint it is.
    """

    key = "url"
    addressed = True
    schemes = ("http", "https")

    url: str = field(repr=False)
    depth: int = 2
    headers: Headers = field(default=(), repr=False)
    api: EndpointApi = field(default_factory=ComfyUIApi, repr=False)

    @classmethod
    def at(cls, address: str) -> StaticSource:
        source = cls(address)
        source.endpoints()[0].connect().close()  # refuses what cannot be the URL of a server
        return source

    @property
    def label(self) -> str:
        if "@" in self.url:
            return self.url.rsplit("@", 1)[-1]
        return self.url

    @property
    def slots(self) -> int:
        return self.depth

    def endpoints(self, environment: Mapping[str, str] | None = None) -> tuple[Endpoint, ...]:
        """It; ``user:password@`` of its URL becomes an Authorization header, so that the URL can be shown."""
        parts = urlsplit(self.url)
        headers = header_values(self.headers, environment)
        host = parts.netloc
        if "@" in host:
            credentials, host = host.rsplit("@", 1)
            headers = (("Authorization", _basic(credentials)), *headers)
        url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        return (Endpoint(url, headers=headers, api=self.api, depth=self.depth),)

    def missing(self) -> list[str]:
        return missing_variables(self.headers)

    def serving(self, api: EndpointApi) -> StaticSource:
        return replace(self, api=api)

    def identities(self) -> frozenset[str]:
        head, slashes, rest = self.url.partition("//")
        return frozenset([f"{head}{slashes}***@{rest.rpartition('@')[2]}" if "@" in rest else self.url])


def _basic(credentials: str) -> str:
    pair = ":".join(unquote(part) for part in credentials.split(":", 1))
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
