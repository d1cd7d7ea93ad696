"""HTTP to one server: the one place that uses requests. Every reply is bounded in size and time, every failure typed."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies
from urllib3 import encode_multipart_formdata

from pixaris.comfyui.address import Address, Timeouts
from pixaris.exceptions import RateLimitedError, UnreachableError

MAX_JSON_BYTES = 64 * 1024 * 1024
_CHUNK = 1 << 16

FailureKind: TypeAlias = Literal["not sent", "broken off", "timed out"]


class Failure(Exception):
    """The cause of an UnreachableError that came from the connection itself: how far the request got."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind = kind


def failure_kind(error: UnreachableError) -> FailureKind | None:
    """How far the request got, or None if the server did answer, only not as it should."""
    return error.__cause__.kind if isinstance(error.__cause__, Failure) else None


@dataclass(frozen=True)
class Reply:
    """An answer, read whole."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:  # noqa: ANN401  (any JSON value)
        """The body as JSON.

        Raises:
            ValueError: It is none.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    @property
    def gist(self) -> str:
        """Status and, where it is short text, what the body says."""
        text = self.body[:2000].decode(errors="replace").strip()
        if not text or text[0] in "<{[":
            return f"HTTP {self.status}{' ' + _phrase(self.status)}"
        return f"HTTP {self.status}: {' '.join(text.split())[:200]}"


class Transport:
    """A pool of keep-alive connections to one server. Thread-safe; opens nothing until it is used.

    Args:
        address: The server.
        timeouts: How long it is waited for.
    """

    def __init__(self, address: Address, timeouts: Timeouts) -> None:
        self.address = address
        self.timeouts = timeouts
        self._lock = threading.Lock()
        self._session: requests.Session | None = None

    def get(self, path: str, *, seconds: float | None = None) -> Any:  # noqa: ANN401  (any JSON value)
        """Read JSON.

        Raises:
            UnreachableError: No answer, or one that is not 200 with JSON.
            RateLimitedError: HTTP 429.
        """
        reply = self.call("GET", path, seconds=seconds)
        if reply.status != HTTPStatus.OK:
            raise self.nonsense(f"answered GET {path} with {reply.gist}")
        return self.parsed(reply, f"GET {path}")

    def post(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None) -> None:
        """Send a JSON command that may safely be sent twice, and whose answer says nothing.

        Raises:
            UnreachableError: No answer, or one that is not 200.
            RateLimitedError: HTTP 429.
        """
        reply = self.call("POST", path, data=json.dumps(body).encode(), content_type="application/json", seconds=seconds)
        if reply.status != HTTPStatus.OK:
            raise self.nonsense(f"answered POST {path} with {reply.gist}")

    def send_form(self, path: str, fields: list[tuple[str, Any]]) -> Reply:
        """Send a multipart form.

        Raises:
            UnreachableError: No answer.
            RateLimitedError: HTTP 429.
        """
        body, content_type = encode_multipart_formdata(fields)
        # As a file it goes out in pieces, each with its own time-out: one sendall of it all would have to end within `connect`.
        return self.call("POST", path, data=io.BytesIO(body), content_type=content_type, seconds=self.timeouts.transfer)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | io.BytesIO | None = None,
        content_type: str = "",
        seconds: float | None = None,
        limit: int = MAX_JSON_BYTES,
        repeat: bool = True,
    ) -> Reply:
        """Send one request and read its answer whole.

        Args:
            method: HTTP method.
            path: Below the base URL.
            params: Query.
            data: Body.
            content_type: Of the body.
            seconds: For the whole exchange; by default the time-out `read`.
            limit: Bytes the answer may have.
            repeat: Whether it may be sent a second time if a kept-alive connection turns out to be closed.

        Raises:
            UnreachableError: No answer, a redirect, or refused credentials; `failure_kind` tells how far it got.
            RateLimitedError: HTTP 429.
        """
        for last in (not repeat, True):
            try:
                return self._exchange(method, path, params, data, content_type, seconds or self.timeouts.read, limit)
            except UnreachableError as error:
                if last or failure_kind(error) != "broken off":
                    raise
                if data is not None and not isinstance(data, bytes):
                    data.seek(0)
        raise AssertionError("unreachable")

    def parsed(self, reply: Reply, what: str) -> Any:  # noqa: ANN401  (any JSON value)
        """The JSON of a reply.

        Raises:
            UnreachableError: It is none; `failure_kind` is "broken off", as whatever was asked may have been done.
        """
        try:
            return reply.json()
        except ValueError:
            is_page = reply.body.lstrip()[:1] == b"<"
            kind = "an HTML page" if is_page else "something that is not JSON"
            raise self.nonsense(f"answered {what} with {kind}; is this a ComfyUI server?") from Failure("broken off")

    def nonsense(self, message: str) -> UnreachableError:
        """An error that says what this server did."""
        return UnreachableError(message, endpoint=self.address.url)

    def close(self) -> None:
        """Close all connections. They open again if it is used again."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | io.BytesIO | None,
        content_type: str,
        seconds: float,
        limit: int,
    ) -> Reply:
        deadline = time.monotonic() + seconds
        wait = (self.timeouts.connect, min(seconds, max(self.timeouts.read, seconds / 4)))
        headers = {"Content-Type": content_type} if content_type else None
        try:
            with self._connections().request(
                method,
                self.address.url + path,
                params=params,
                data=data,
                headers=headers,
                timeout=wait,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = b"".join(self._pieces(response, deadline, limit))
                reply = Reply(response.status_code, body, response.headers)
        except requests.RequestException as error:
            raise self._unreachable(error, wait[1]) from Failure(_kind(error))
        self._refuse(reply)
        return reply

    def _pieces(self, response: requests.Response, deadline: float, limit: int) -> Iterator[bytes]:
        size = 0
        for piece in response.iter_content(_CHUNK):
            size += len(piece)
            if size > limit:
                raise self.nonsense(f"sent more than {limit:,} bytes")
            if time.monotonic() > deadline:
                raise self.nonsense("took too long to send its answer") from Failure("timed out")
            yield piece

    def _refuse(self, reply: Reply) -> None:
        """Raise what no route of a ComfyUI server answers: what proxies and gateways in front of it do."""
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(reply.headers.get("Retry-After"))
            hint = f"; it asks to wait {wait:g} s" if wait is not None else ""
            raise RateLimitedError(f"too many requests (HTTP 429){hint}", endpoint=self.address.url, retry_after=wait)
        if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED):
            raise self.nonsense(f"refused the credentials (HTTP {reply.status}); check the headers given for this endpoint")
        if 300 <= reply.status < 400:
            raise self.nonsense(f"redirects elsewhere (HTTP {reply.status}); give the URL it redirects to, or its credentials")
        if reply.status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
            raise self.nonsense(f"cannot be reached by its proxy ({reply.gist})") from Failure("broken off")
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise self.nonsense(f"is not available ({reply.gist})")

    def _connections(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = self._open()
            return self._session

    def _open(self) -> requests.Session:
        session = requests.Session()
        # What requests would read from the environment for every single call is read once; .netrc must not replace our headers.
        session.trust_env = False
        session.proxies.update(environment_proxies(self.address))
        session.verify = trusted_certificates() if self.address.verify is True else self.address.verify
        session.headers["User-Agent"] = "pixaris"
        session.headers.update(self.address.headers)
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=64, max_retries=0)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def _unreachable(self, error: requests.RequestException, wait: float) -> UnreachableError:
        if isinstance(error, requests.ConnectTimeout):
            return self.nonsense(f"did not accept a connection within {self.timeouts.connect:g} s")
        if isinstance(error, requests.Timeout) or _is_read_timeout(error):
            return self.nonsense(f"did not answer within {wait:g} s")
        if isinstance(error, requests.exceptions.SSLError):
            return self.nonsense(f"cannot be trusted: {_reason(error)}")
        return self.nonsense(f"cannot be reached: {_reason(error)}")


def environment_proxies(address: Address) -> dict[str, str]:
    """The proxies that the environment names for an address, by scheme; none for this machine."""
    return {} if address.is_loopback else dict(get_environ_proxies(address.url))


def trusted_certificates() -> str:
    """The CA bundle trusted where none is given: the environment's, else the one requests brings."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH


def _kind(error: requests.RequestException) -> FailureKind:
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return "not sent"
    if isinstance(error, requests.Timeout) or _is_read_timeout(error):
        return "timed out"
    names = {type(link).__name__ for link in _chain(error)}
    if names & {"NewConnectionError", "NameResolutionError", "ConnectionRefusedError"} or isinstance(error, ValueError):
        return "not sent"  # ValueError: requests' family of invalid URLs and headers
    return "broken off"


def _is_read_timeout(error: requests.RequestException) -> bool:
    return any(type(link).__name__ in ("ReadTimeoutError", "TimeoutError") for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it wraps: requests and urllib3 keep the original in args, `reason` or the context."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting.extend([*link.args, getattr(link, "reason", None), link.__cause__, link.__context__])


def _reason(error: BaseException) -> str:
    """The innermost reason, in the operating system's words where it has some."""
    links = list(_chain(error))
    for link in links:
        if isinstance(link, OSError) and isinstance(link.strerror, str) and not isinstance(link, requests.RequestException):
            return link.strerror
    return " ".join(str(links[-1]).split())[:300] or type(links[-1]).__name__


def _retry_after(raw: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or an HTTP date."""
    if not raw:
        return None
    try:
        seconds = float(raw)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(raw).timestamp() - time.time()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), 86400.0) if seconds == seconds else None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
