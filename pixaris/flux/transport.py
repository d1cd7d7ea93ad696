"""HTTP to the API and to where its images lie. The key leaves this module in one header only, and no answer
brings it back.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from urllib.parse import urlsplit

from pixaris import http as wire
from pixaris.exceptions import UnreachableError
from pixaris.flux import trust
from pixaris.http import Failure, Reply

_HOSTS = 8
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Transport:
    """Kept-alive connections, by host. Thread-safe; opens nothing until it is used.

    Args:
        base: The API's base URL.
        key: The account's key.
        connect: Seconds for a connection.
        read: Seconds without a byte.
    """

    def __init__(self, base: str, key: str, *, connect: float, read: float) -> None:
        self._base = base
        self._key = key
        self._connect = connect
        self._read = read
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, wire.Session] = OrderedDict()

    def call(self, method: str, url: str, *, seconds: float, with_key: bool = True) -> Reply:
        """Ask for something that may be asked for again.

        Raises:
            UnreachableError: No answer.
        """
        try:
            return self._exchange(self._session(url), method, url, seconds=seconds, with_key=with_key)
        except Failure as failure:
            raise UnreachableError(failure.message, endpoint=self._base) from failure

    def send_once(self, url: str, body: bytes, *, seconds: float) -> Reply:
        """Send a request that may be charged. On a connection of its own: a kept-alive one may turn out to be
        closed.

        Raises:
            Failure: No answer; only if its kind is "not sent" the request surely did not arrive.
        """
        session = self._open(url)
        try:
            return self._exchange(session, "POST", url, seconds=seconds, body=body)
        finally:
            session.close()

    def fetch(self, url: str, *, seconds: float, limit: int) -> Reply:
        """Download a file, without the key.

        Raises:
            Failure: No answer, or no URL that can be downloaded from.
        """
        try:
            fits = urlsplit(url).scheme in ("http", "https")
        except ValueError:
            fits = False
        if not fits:
            raise Failure("not sent", "its URL is none that can be downloaded from")
        return self._exchange(self._session(url), "GET", url, seconds=seconds, with_key=False, limit=limit)

    def close(self) -> None:
        """Close all connections. They open again if it is used again."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), OrderedDict()
        for session in sessions:
            session.close()

    def _exchange(
        self,
        session: wire.Session,
        method: str,
        url: str,
        *,
        seconds: float,
        with_key: bool = True,
        body: bytes | None = None,
        limit: int = wire.MAX_JSON_BYTES,
    ) -> Reply:
        if limit == wire.MAX_JSON_BYTES:
            headers = {"Accept": "application/json"}
        else:
            headers = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if with_key and trust.may_have_key(url, self._base):
            headers["x-key"] = self._key
        limits = wire.Limits(self._connect, self._read, seconds, limit)
        reply = wire.exchange(session, method, url, limits, data=body, headers=headers)
        if limit == wire.MAX_JSON_BYTES:
            return wire.without_secrets(reply, [self._key])
        return reply

    def _session(self, url: str) -> wire.Session:
        host = urlsplit(url).netloc
        with self._lock:
            session = self._sessions.pop(host, None) or self._open(url)
            self._sessions[host] = session
            while len(self._sessions) > _HOSTS:
                self._sessions.popitem(last=False)  # whoever uses it still has it
            return session

    def _open(self, url: str) -> wire.Session:
        host = urlsplit(url).hostname or ""
        return wire.open_session(
            {} if host in _LOOPBACK or host.startswith("127.") else wire.environment_proxies(url)
        )
