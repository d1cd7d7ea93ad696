"""Endpoints behind a name: looked up again and again, so that servers come and go while a search runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pixaris.endpoints.discovery import DnsSource
from pixaris.endpoints.feeds import Down, Failed, Feed, Report, Told, Up, run_thread
from pixaris.exceptions import UnreachableError

_MISSES = 2
"""Look-ups in a row that an address must be missing from before it leaves: name servers take turns, and some
lag behind.
"""

Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""Name and port to addresses; raises OSError if there are none."""


def resolve(name: str, port: int) -> list[str]:
    """The addresses of a name, sorted. IPv4 where there are any: a server that has both would be two
    endpoints.

    Raises:
        OSError: It has none, or nobody can be asked.
    """
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    families = {family for family, *_ in found}
    wanted = socket.AF_INET if socket.AF_INET in families else socket.AF_INET6
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


class DnsFeed(Feed):
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

    def start(self, report: Report) -> None:
        self._thread = run_thread(self.names, lambda: self._watch(report), report)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)  # a look-up that hangs cannot be ended

    def _watch(self, report: Report) -> None:
        while not self._stop.is_set():
            self._look(report)
            self._stop.wait(self._source.interval)

    def _look(self, report: Report) -> None:
        source = self._source
        try:
            found = addresses(source, self._resolve)
        except UnreachableError as error:
            if self._stop.is_set():
                return
            if not self._misses:
                if error.message != self._failure:
                    report(Failed(source.label, error))
            elif not self._failure:
                kept = (
                    f"the {len(self._misses)} endpoints it had stay"
                    if len(self._misses) > 1
                    else "the endpoint it had stays"
                )
                report(Told(f"{error}; {kept}"))
            self._failure = error.message
            return
        if self._stop.is_set():
            return
        if self._failure and self._misses:
            report(Told(f"{source.label} can be resolved again"))
        self._failure = ""
        for address in found:
            if address not in self._misses:
                report(Up(source.label, source.endpoint(address), answered=False))
            self._misses[address] = 0
        for address in self._misses.keys() - set(found):
            self._misses[address] += 1
            if self._misses[address] >= _MISSES:
                del self._misses[address]
                url = source.endpoint(address).url
                report(Down(url))
                report(Told(f"{url} has left: {source.name} no longer names it"))
