"""Where endpoints come from, as values: what a search file's ``endpoints`` says."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from pixaris.endpoints.base import Endpoint


@dataclass(frozen=True)
class StaticSource:
    """A server that somebody else runs.

    Attributes:
        url: ``http(s)://[user:password@]host[:port][/path]``; not shown, because it may hold credentials.
        depth: Requests it is given at once.
    """

    url: str = field(repr=False)
    depth: int = 2


@dataclass(frozen=True)
class ManagedSource:
    """Server processes that Pixaris starts, watches and stops.

    Attributes:
        command: Arguments of the command; ``{port}`` stands for the port each replica is given.
        replicas: How many to start.
        environment: Variables added to the environment.
        working_directory: Where the command runs, or None for the current one.
        start_timeout: Seconds until it must answer.
        depth: Requests each is given at once.
    """

    command: tuple[str, ...]
    replicas: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    start_timeout: float = 120.0
    depth: int = 2


@dataclass(frozen=True)
class EmbeddedSource:
    """Replicas of the endpoint that ships with Pixaris (``python -m pixaris.comfyui.server``)."""

    replicas: int = 1


EndpointSource: TypeAlias = StaticSource | ManagedSource | EmbeddedSource


def endpoint_of(source: StaticSource) -> Endpoint:
    """The endpoint of a URL; ``user:password@`` becomes an Authorization header, so that the URL can be shown."""
    parts = urlsplit(source.url)
    headers: tuple[tuple[str, str], ...] = ()
    host = parts.netloc
    if "@" in host:
        credentials, host = host.rsplit("@", 1)
        token = base64.b64encode(":".join(unquote(part) for part in credentials.split(":", 1)).encode()).decode()
        headers = (("Authorization", f"Basic {token}"),)
    url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    return Endpoint(url, headers=headers, depth=source.depth)
