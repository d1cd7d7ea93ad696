"""Servers behind one name, looked up again and again, so that they come and go while a search runs."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.discovery import Discovery, Down, Emitter, Failed, Note, Up, run_thread
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.credentials import Headers, header_values, missing_variables
from pixaris.exceptions import ConfigurationError, UnreachableError

_MISSES = 2
"""Look-ups in a row that an address must be missing from before it leaves: name servers take turns, and some
lag behind.
"""

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Name and port to addresses; raises OSError if there are none."""


@dataclass(frozen=True)
class DnsSource(EndpointSource):
    """Servers behind one name, such as the pods of a headless Service: one endpoint for each address.

    Attributes:
        name: The name, resolved again and again.
        port: Their port.
        scheme: "http" or "https".
        depth: Requests each is given at once.
        headers: Sent with every request; not shown.
        interval: Seconds between two look-ups.
        api: What kind of endpoint each is.
    """

    key = "dns"
    addressed = True
    schemes = ("dns",)

    name: str
    port: int
    scheme: Literal["http", "https"] = "http"
    depth: int = 2
    headers: Headers = field(default=(), repr=False)
    interval: float = 15.0
    api: EndpointApi = field(default_factory=ComfyUIApi, repr=False)

    @classmethod
    def at(cls, address: str) -> DnsSource:
        return dns_source(address)

    @property
    def label(self) -> str:
        return f"dns://{self.name}:{self.port}"

    @property
    def slots(self) -> int:
        return self.depth

    def endpoint(self, address: str, environment: Mapping[str, str] | None = None) -> Endpoint:
        """The endpoint of one address.

        Raises:
            ConfigurationError: A header's variable cannot be used.
        """
        if ":" in address:
            host = f"[{address}]"
        else:
            host = address
        headers = header_values(self.headers, environment)
        url = f"{self.scheme}://{host}:{self.port}"
        return Endpoint(url, headers=headers, api=self.api, depth=self.depth)

    def present(self) -> tuple[Endpoint, ...]:
        return tuple(self.endpoint(address) for address in addresses(self))

    def discovery(self, logs: Path) -> Discovery:
        return DnsDiscovery(self)

    def missing(self) -> list[str]:
        return missing_variables(self.headers)

    def serving(self, api: EndpointApi) -> DnsSource:
        return replace(self, api=api)

    def identities(self) -> frozenset[str]:
        return frozenset([self.label])


def dns_source(text: str, *, depth: int = DnsSource.depth, headers: Headers = ()) -> DnsSource:
    """Read ``dns://name:port`` or ``dns://name:port?scheme=https``.

    Raises:
        ConfigurationError: It is neither; credentials are not shown.
    """
    if "@" not in text:
        masked = text
    else:
        masked = f"dns://***@{text.rpartition('@')[2]}"
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


def resolve(name: str, port: int) -> list[str]:
    """The addresses of a name, sorted. IPv4 where there are any: a server that has both would be two
    endpoints.

    Raises:
        OSError: It has none, or nobody can be asked.
    """
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    families = {family for family, *_ in found}
    if socket.AF_INET in families:
        wanted = socket.AF_INET
    else:
        wanted = socket.AF_INET6
    return sorted({str(address[0]) for family, _, _, _, address in found if family == wanted})


def addresses(source: DnsSource, resolve: Resolve = resolve) -> list[str]:
    """The addresses of a source now.

    Raises:
        UnreachableError: There are none.
    """
    try:
        found = resolve(source.name, source.port)
    except (OSError, UnicodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UnreachableError(f"{source.name} cannot be resolved: {reason}", endpoint=source.label) from None
    if not found:
        raise UnreachableError(f"{source.name} has no address", endpoint=source.label)
    return list(found)


class DnsDiscovery(Discovery):
    """Looks a name up every `DnsSource.interval` seconds; addresses that are new join, those that stay away
    leave.

    A look-up that fails changes nothing: the servers that were there may well be there still, and the pool's
    own probes tell.

    Args:
        source: The name.
        resolve: Looks it up.
    """

    def __init__(self, source: DnsSource, resolve: Resolve = resolve) -> None:
        self._source = source
        self._resolve = resolve
        self._misses: dict[str, int] = {}
        self._failure = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self._source.label,)

    def start(self, emit: Emitter) -> None:
        self._thread = run_thread(self.names, lambda: self._watch(emit), emit)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)  # a look-up that hangs cannot be ended

    def _watch(self, emit: Emitter) -> None:
        while not self._stop.is_set():
            self._look_up(emit)
            self._stop.wait(self._source.interval)

    def _look_up(self, emit: Emitter) -> None:
        try:
            found = addresses(self._source, self._resolve)
        except UnreachableError as error:
            if not self._stop.is_set():
                self._note_failure(error, emit)
            return
        if not self._stop.is_set():
            self._compare(found, emit)

    def _note_failure(self, error: UnreachableError, emit: Emitter) -> None:
        if not self._misses:
            if error.message != self._failure:
                emit(Failed(self._source.label, error))
        elif not self._failure:
            several = f"the {len(self._misses)} endpoints it had stay"
            if len(self._misses) > 1:
                kept = several
            else:
                kept = "the endpoint it had stays"
            emit(Note(f"{error}; {kept}"))
        self._failure = error.message

    def _compare(self, found: Sequence[str], emit: Emitter) -> None:
        source = self._source
        if self._failure and self._misses:
            emit(Note(f"{source.label} can be resolved again"))
        self._failure = ""
        for address in found:
            if address not in self._misses:
                emit(Up(source.label, source.endpoint(address), answered=False))
            self._misses[address] = 0
        for address in self._misses.keys() - set(found):
            self._misses[address] += 1
            if self._misses[address] >= _MISSES:
                del self._misses[address]
                url = source.endpoint(address).url
                emit(Down(url))
                emit(Note(f"{url} has left: {source.name} no longer names it"))
