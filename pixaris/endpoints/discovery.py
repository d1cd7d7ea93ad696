"""Where endpoints come from, as values: what a search file's ``endpoints`` says.

A source is a recipe: it holds names of environment variables, not what is in them. `endpoint_of` reads them.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.flux import FluxSource
from pixaris.exceptions import ConfigurationError


@dataclass(frozen=True)
class Variable:
    """A header's value that stands in an environment variable of the process that starts the search.

    Attributes:
        name: The variable.
        basic: It holds ``user:password`` and is sent as basic authentication; else it holds the header's
            whole value.
    """

    name: str
    basic: bool = False

    def problem(self, environment: Mapping[str, str]) -> str:
        """Why it cannot be used, without its value; "" if it can."""
        value = environment.get(self.name, "").strip()
        if not value:
            return (
                f"the environment variable {self.name} is"
                f" {'empty' if self.name in environment else 'not set'}; {self._hint}"
            )
        if self.basic and ":" not in value:
            return (
                f"the environment variable {self.name} must hold user:password (its value is not shown);"
                f" {self._hint}"
            )
        if not value.isascii() or not value.isprintable():
            return (
                f"the environment variable {self.name} must hold one line of ASCII text (its value is not"
                " shown)"
            )
        return ""

    def value(self, environment: Mapping[str, str]) -> str:
        """The header's value.

        Raises:
            ConfigurationError: `problem` has something to say.
        """
        if problem := self.problem(environment):
            raise ConfigurationError(problem)
        value = environment[self.name].strip()
        return f"Basic {base64.b64encode(value.encode()).decode()}" if self.basic else value

    @property
    def _hint(self) -> str:
        return (
            f"set it where Pixaris is started: export {self.name}={'user:password' if self.basic else '...'}"
        )


Headers: TypeAlias = tuple[tuple[str, str | Variable], ...]


@dataclass(frozen=True)
class StaticSource:
    """A server that somebody else runs.

    Attributes:
        url: ``http(s)://[user:password@]host[:port][/path]``; not shown, because it may hold credentials.
        depth: Requests it is given at once.
        headers: Sent with every request; not shown. A secret that is not in the environment may stand here as
            text.
    """

    url: str = field(repr=False)
    depth: int = 2
    headers: Headers = field(default=(), repr=False)

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return self.url.rsplit("@", 1)[-1] if "@" in self.url else self.url

    @property
    def places(self) -> int:
        """Requests its endpoints take at once."""
        return self.depth


@dataclass(frozen=True)
class GivenSource:
    """An endpoint that is known already, such as a generator's own."""

    endpoint: Endpoint

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return f"Flux at {self.endpoint.url}" if self.endpoint.kind == "flux" else self.endpoint.url

    @property
    def places(self) -> int:
        """Requests it takes at once."""
        return self.endpoint.depth


@dataclass(frozen=True)
class DnsSource:
    """Servers behind one name, such as the pods of a headless Service: one endpoint for each address.

    Attributes:
        name: The name, resolved again and again.
        port: Their port.
        scheme: "http" or "https".
        depth: Requests each is given at once.
        headers: Sent with every request; not shown.
        interval: Seconds between two look-ups.
    """

    name: str
    port: int
    scheme: Literal["http", "https"] = "http"
    depth: int = 2
    headers: Headers = field(default=(), repr=False)
    interval: float = 15.0

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return f"dns://{self.name}:{self.port}"

    @property
    def places(self) -> int:
        """Requests its endpoints take at once, at the least."""
        return self.depth

    def endpoint(self, address: str, environment: Mapping[str, str] | None = None) -> Endpoint:
        """The endpoint of one address.

        Raises:
            ConfigurationError: A header's variable cannot be used.
        """
        host = f"[{address}]" if ":" in address else address
        return Endpoint(
            f"{self.scheme}://{host}:{self.port}",
            headers=_values(self.headers, environment),
            depth=self.depth,
        )


@dataclass(frozen=True)
class ManagedSource:
    """Server processes that Pixaris starts, watches and stops.

    Attributes:
        command: Arguments of the command; ``{port}`` stands for the port each replica is given, ``{host}``
            for the address it is reached at (127.0.0.1, or on a cluster the node's own).
        replicas: How many to start.
        environment: Variables added to the environment; not shown, because they may be secrets.
        working_directory: Where the command runs, or None for the current one.
        start_timeout: Seconds until it must answer.
        depth: Requests each is given at once.
        num_gpus: GPUs that Ray reserves for each, and shows to it alone.
    """

    command: tuple[str, ...]
    replicas: int = 1
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_directory: str | None = None
    start_timeout: float = 120.0
    depth: int = 2
    num_gpus: float = 0.0

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return f"{self.replicas} managed" + (f" with {self.num_gpus:g} GPU each" if self.num_gpus else "")

    @property
    def places(self) -> int:
        """Requests its endpoints take at once."""
        return self.replicas * self.depth


@dataclass(frozen=True)
class EmbeddedSource:
    """Replicas of the endpoint that ships with Pixaris (``python -m pixaris.comfyui.server``)."""

    replicas: int = 1

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return f"{self.replicas} embedded"

    @property
    def places(self) -> int:
        """Requests its endpoints take at once."""
        return self.replicas * ManagedSource.depth


@dataclass(frozen=True)
class TunnelSource:
    """Servers on Google Cloud VMs without a public address, reached through Identity-Aware Proxy.

    Attributes:
        instances: Names of the VMs.
        port: Where the server listens on each.
        zone: Their zone, or None for gcloud's configured one.
        project: Their project, or None for gcloud's configured one.
        depth: Requests each is given at once.
        gcloud: The program that opens tunnels.
        start_timeout: Seconds until a server must answer through its tunnel.
    """

    instances: tuple[str, ...]
    port: int = 8188
    zone: str | None = None
    project: str | None = None
    depth: int = 2
    gcloud: str = "gcloud"
    start_timeout: float = 60.0

    @property
    def label(self) -> str:
        """The source as the user is shown it."""
        return ", ".join(f"iap:{instance}" for instance in self.instances)

    @property
    def places(self) -> int:
        """Requests its endpoints take at once."""
        return len(self.instances) * self.depth


EndpointSource: TypeAlias = (
    StaticSource | GivenSource | FluxSource | DnsSource | ManagedSource | EmbeddedSource | TunnelSource
)


def endpoint_of(
    source: StaticSource | GivenSource | FluxSource, environment: Mapping[str, str] | None = None
) -> Endpoint:
    """The endpoint of a source; ``user:password@`` of a URL becomes an Authorization header, so that the URL
    can be shown.

    Args:
        source: The URL with its headers, the account, or the endpoint itself.
        environment: Where headers' variables are looked up; by default this process's.

    Raises:
        ConfigurationError: A variable cannot be used.
    """
    if isinstance(source, GivenSource):
        return source.endpoint
    if isinstance(source, FluxSource):
        return source.endpoint(environment)
    parts = urlsplit(source.url)
    headers = _values(source.headers, environment)
    host = parts.netloc
    if "@" in host:
        credentials, host = host.rsplit("@", 1)
        token = base64.b64encode(
            ":".join(unquote(part) for part in credentials.split(":", 1)).encode()
        ).decode()
        headers = (("Authorization", f"Basic {token}"), *headers)
    url = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    return Endpoint(url, headers=headers, depth=source.depth)


def dns_source(text: str, *, depth: int = DnsSource.depth, headers: Headers = ()) -> DnsSource:
    """Read ``dns://name:port`` or ``dns://name:port?scheme=https``.

    Raises:
        ConfigurationError: It is neither; credentials are not shown.
    """
    masked = text if "@" not in text else f"dns://***@{text.rpartition('@')[2]}"
    shown = f"(got {masked!r})"
    way_out = "write dns://comfyui.batch.svc:8188, with ?scheme=https where the servers speak TLS"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"needs a port from 1 to 65535 {shown}; {way_out}") from None
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"takes no credentials {shown}; write {{dns: ..., basic_auth: {{env: COMFY_AUTH}}}}"
        )
    if not parts.hostname or not re.fullmatch(r"[A-Za-z0-9._-]+", parts.hostname):
        raise ConfigurationError(f"needs the name that is looked up {shown}; {way_out}")
    if not port:
        raise ConfigurationError(f"needs a port from 1 to 65535 {shown}; {way_out}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    scheme = options.pop("scheme", "http")
    if options or parts.path.strip("/") or parts.fragment or scheme not in ("http", "https"):
        raise ConfigurationError(
            f"takes nothing after the port but ?scheme=http or ?scheme=https {shown}; {way_out}"
        )
    return DnsSource(parts.hostname, port, "https" if scheme == "https" else "http", depth, headers)


def _values(headers: Headers, environment: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    known = os.environ if environment is None else environment
    return tuple(
        (name, value.value(known) if isinstance(value, Variable) else value) for name, value in headers
    )
