"""HTTP, one exchange at a time, through requests: every reply is bounded in size and time, every failure
typed.
"""

from __future__ import annotations

import io
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any, Literal, TypeAlias

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

MAX_JSON_BYTES = 64 * 1024 * 1024
_CHUNK = 1 << 16
_SHORTEST_SECRET = 4
_SCHEMES = ("basic", "bearer", "digest", "token")
"""Words before a secret that are none."""

Session: TypeAlias = requests.Session
FailureKind: TypeAlias = Literal["not sent", "broken off", "timed out", "too large"]


class Failure(Exception):
    """No whole answer came.

    Args:
        kind: How far the request got: what is "not sent" has surely not been done; of the others nobody
            knows.
        message: What happened, as the end of a sentence that starts with the server: "cannot be reached: …".
    """

    def __init__(self, kind: FailureKind, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind
        self.message = message


@dataclass(frozen=True)
class Reply:
    """An answer, read whole."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> object:
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

    @property
    def retry_after(self) -> float | None:
        """Seconds that it asks to wait, if it does."""
        return _retry_after(self.headers.get("Retry-After"))


def without_secrets(reply: Reply, secrets: Iterable[str]) -> Reply:
    """The same from a server that quotes what it was sent, its quotations masked.

    Args:
        reply: As it came.
        secrets: What nobody is to read; of a header with several words, each of them too.
    """
    words = [word for secret in secrets for word in (secret, *secret.split())]
    body = reply.body
    for word in sorted(set(words), key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET and word.lower() not in _SCHEMES:
            body = body.replace(word.encode(), b"***")
    if body == reply.body:
        return reply
    return Reply(reply.status, body, reply.headers)


@dataclass(frozen=True)
class Limits:
    """What an exchange may take.

    Attributes:
        connect: Seconds for a connection.
        read: Seconds without a byte.
        seconds: For the whole exchange.
        size: Bytes the answer may have.
    """

    connect: float = 5.0
    read: float = 10.0
    seconds: float = 10.0
    size: int = MAX_JSON_BYTES


def open_session(proxies: Mapping[str, str], verify: bool | str = True) -> Session:
    """Open connections that are kept alive. The session is thread-safe as `exchange` uses it.

    Args:
        proxies: By scheme.
        verify: As `requests` takes it; True is `trusted_certificates`.
    """
    session = _Session()
    # What requests would read from the environment for every single call is read once; .netrc must not
    # replace our headers.
    session.trust_env = False
    session.proxies.update(proxies)
    if verify is True:
        session.verify = trusted_certificates()
    else:
        session.verify = verify
    session.headers["User-Agent"] = "pixaris"
    adapter = _Adapter(pool_connections=4, pool_maxsize=64, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def cookie_header(session: Session, url: str) -> str:
    """The cookies that servers have set and that a request to a URL carries, as its header; "" for none."""
    request = requests.PreparedRequest()
    request.prepare("GET", url, cookies=session.cookies)
    return request.headers.get("Cookie", "")


def exchange(
    session: Session,
    method: str,
    url: str,
    limits: Limits,
    *,
    params: Mapping[str, str] | None = None,
    data: bytes | io.BytesIO | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request and read its answer whole, whatever its status; redirects are not followed.

    Args:
        session: Of `open_session`.
        method: HTTP method.
        url: Where.
        limits: In time and size.
        params: Query.
        data: Body.
        headers: Sent besides the session's.

    Raises:
        Failure: No whole answer came.
    """
    deadline = time.monotonic() + limits.seconds
    wait = (limits.connect, min(limits.seconds, max(limits.read, limits.seconds / 4)))
    # Session.request takes twice as long: it merges again what is the same in all of ours.
    request = requests.PreparedRequest()
    try:
        request.prepare(
            method, url, {**session.headers, **(headers or {})}, None, data, params, cookies=session.cookies
        )
        with session.send(
            request,
            timeout=wait,
            allow_redirects=False,
            stream=True,
            verify=session.verify,
            proxies=session.proxies,
        ) as response:
            body = b"".join(_pieces(response, deadline, limits.size))
            return Reply(response.status_code, body, response.headers)
    except (requests.RequestException, HTTPError) as error:
        # HTTPError comes of host names that requests lets pass, such as a..b
        raise _failure(error, *wait) from error


def environment_proxies(url: str) -> dict[str, str]:
    """The proxies that the environment names for a URL, by scheme."""
    return dict(get_environ_proxies(url))


def trusted_certificates() -> str:
    """The CA bundle trusted where none is given: the environment's, else the one requests brings."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH


class _Session(requests.Session):
    """Sees no redirects: it would read such an answer to its end, however long, and raise what it likes over
    a bad address.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Adapter(HTTPAdapter):
    """Sends bodies in larger pieces than urllib3's 16 kB, and waits for an answer's head as long as for a
    byte of its body.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (whatever requests gives)
        super().init_poolmanager(*args, **kwargs, blocksize=_CHUNK)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  (whatever requests gives)
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if pool.scheme == "https":
            pool.ConnectionCls = _TlsConnection
        else:
            pool.ConnectionCls = _Connection
        return pool


class _Response(HTTPResponse):
    """Bounds the time for the head as a whole; every byte that trickles in would start the socket's time-out
    anew.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (whatever urllib3 gives)
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        seconds, file = self._sock.gettimeout(), self.fp
        if seconds is None:
            return super().begin()
        head: Any = _Head(file, self._sock, time.monotonic() + seconds)
        self.fp = head
        try:
            super().begin()
        finally:
            self._sock.settimeout(seconds)
            if self.fp is head:
                self.fp = file
        return None


class _Connection(HTTPConnection):
    response_class = _Response


class _TlsConnection(HTTPSConnection):
    response_class = _Response


class _Head:
    """The lines of an answer's head, until a deadline."""

    def __init__(self, file: Any, sock: socket.socket, deadline: float) -> None:  # noqa: ANN401  (what the socket makes)
        self._file = file
        self._sock = sock
        self._deadline = deadline
        self._buffered = 0
        self.close = file.close

    def readline(self, limit: int) -> bytes:
        line = b""
        while len(line) < limit and not line.endswith(b"\n"):
            if not self._buffered:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("timed out")
                self._sock.settimeout(left)
            # This waits for one arrival at most, and for none if there are bytes left of the last one.
            piece = self._file.peek(1)
            if not piece:
                break
            taken = self._file.read(min(piece.find(b"\n") + 1 or len(piece), limit - len(line)))
            self._buffered = len(piece) - len(taken)
            line += taken
        return line


def _pieces(response: requests.Response, deadline: float, limit: int) -> Iterator[bytes]:
    """The decoded body as it arrives; `iter_content` waits for whole pieces, past any deadline if the server
    trickles.
    """
    size = 0
    try:
        while piece := response.raw.read1(_CHUNK, decode_content=True):
            size += len(piece)
            if size > limit:
                raise Failure("too large", f"sent more than {limit:,} bytes")
            if time.monotonic() > deadline:
                raise Failure("timed out", "took too long to send its answer")
            yield piece
    except HTTPError as error:
        raise requests.ConnectionError(error) from error


def _failure(error: requests.RequestException | HTTPError, connect: float, read: float) -> Failure:
    if isinstance(error, requests.ConnectTimeout):
        return Failure("not sent", f"did not accept a connection within {connect:g} s")
    if isinstance(error, requests.Timeout) or _is_read_timeout(error):
        return Failure(_kind(error), f"did not answer within {read:g} s")
    if isinstance(error, requests.exceptions.SSLError):
        return Failure(_kind(error), f"cannot be trusted: {_reason(error)}")
    return Failure(_kind(error), f"cannot be reached: {_reason(error)}")


def _kind(error: requests.RequestException | HTTPError) -> FailureKind:
    if isinstance(
        error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError
    ):
        return "not sent"
    if isinstance(error, requests.Timeout) or _is_read_timeout(error):
        return "timed out"
    names = {type(link).__name__ for link in _chain(error)}
    if names & {"NewConnectionError", "NameResolutionError", "ConnectionRefusedError"} or isinstance(
        error, ValueError
    ):
        return "not sent"  # ValueError: requests' family of invalid URLs and headers
    return "broken off"


def _is_read_timeout(error: requests.RequestException | HTTPError) -> bool:
    return any(type(link).__name__ in ("ReadTimeoutError", "TimeoutError") for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it wraps: requests and urllib3 keep the original in args, `reason` or the
    context.
    """
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
        if (
            isinstance(link, OSError)
            and isinstance(link.strerror, str)
            and not isinstance(link, requests.RequestException)
        ):
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
    if seconds == seconds:
        return min(max(seconds, 0.0), 86400.0)
    return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
