"""HTTP to one ComfyUI server: every reply is bounded in size and time, every failure typed."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from urllib3 import encode_multipart_formdata

from pixaris import http as wire
from pixaris.comfyui.address import Address, Timeouts
from pixaris.exceptions import RateLimitedError, UnreachableError
from pixaris.http import MAX_JSON_BYTES, Failure, FailureKind, Limits, Reply


def failure_kind(error: UnreachableError) -> FailureKind | None:
    """How far the request got, or None if the server did answer, only not as it should."""
    if isinstance(error.__cause__, Failure):
        return error.__cause__.kind
    return None


@dataclass(frozen=True)
class HttpRequest:
    """One request to a server.

    Attributes:
        method: HTTP method.
        path: Below the base URL.
        params: Query.
        body: What is sent.
        content_type: Of the body.
        seconds: For the whole exchange; by default the time-out `read`.
        limit: Bytes the answer may have.
        repeat: Whether it may be sent a second time if a kept-alive connection turns out to be closed.
    """

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: bytes | io.BytesIO | None = None
    content_type: str = ""
    seconds: float | None = None
    limit: int = MAX_JSON_BYTES
    repeat: bool = True

    @property
    def headers(self) -> dict[str, str]:
        """What is told beside the body."""
        if self.content_type:
            return {"Content-Type": self.content_type}
        return {}

    def rewound(self) -> None:
        """Read the body from its beginning again."""
        if isinstance(self.body, io.BytesIO):
            self.body.seek(0)


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
        self._session: wire.Session | None = None

    def get(self, path: str, *, seconds: float | None = None) -> object:
        """Read JSON.

        Raises:
            UnreachableError: No answer, or one that is not 200 with JSON.
            RateLimitedError: HTTP 429.
        """
        reply = self.call(HttpRequest("GET", path, seconds=seconds))
        if reply.status != HTTPStatus.OK:
            raise self.nonsense(f"answered GET {path} with {reply.gist}")
        return self.parsed(reply, f"GET {path}")

    def post(self, path: str, body: Mapping[str, object], *, seconds: float | None = None) -> None:
        """Send a JSON command that may safely be sent twice, and whose answer says nothing.

        Raises:
            UnreachableError: No answer, or one that is not 200.
            RateLimitedError: HTTP 429.
        """
        command = json.dumps(body).encode()
        reply = self.call(
            HttpRequest("POST", path, body=command, content_type="application/json", seconds=seconds)
        )
        if reply.status != HTTPStatus.OK:
            raise self.nonsense(f"answered POST {path} with {reply.gist}")

    def send_form(self, path: str, fields: list[tuple[str, Any]]) -> Reply:
        """Send a multipart form.

        Raises:
            UnreachableError: No answer.
            RateLimitedError: HTTP 429.
        """
        body, content_type = encode_multipart_formdata(fields)
        # As a file it goes out in pieces, each with its own time-out: one sendall of it all would have to end
        # within `connect`.
        seconds = self.timeouts.transfer
        return self.call(
            HttpRequest("POST", path, body=io.BytesIO(body), content_type=content_type, seconds=seconds)
        )

    def call(self, request: HttpRequest) -> Reply:
        """Send one request and read its answer whole.

        Raises:
            UnreachableError: No answer, a redirect, or refused credentials; `failure_kind` tells how far it
                got.
            RateLimitedError: HTTP 429.
        """
        try:
            return self._exchange(request)
        except UnreachableError as error:
            # A server closes kept-alive connections when it likes, also while a request is on its way there.
            if not request.repeat or failure_kind(error) != "broken off":
                raise
        request.rewound()
        return self._exchange(request)

    def parsed(self, reply: Reply, what: str) -> object:
        """The JSON of a reply.

        Raises:
            UnreachableError: It is none; `failure_kind` is "broken off", as whatever was asked may have been
                done.
        """
        try:
            return reply.json()
        except ValueError:
            is_page = reply.body.lstrip()[:1] == b"<"
            if is_page:
                kind = "an HTML page"
            else:
                kind = "something that is not JSON"
            raise self.nonsense(f"answered {what} with {kind}; is this a ComfyUI server?") from Failure(
                "broken off"
            )

    def nonsense(self, message: str) -> UnreachableError:
        """An error that says what this server did."""
        return UnreachableError(message, endpoint=self.address.url)

    def close(self) -> None:
        """Close all connections. They open again if it is used again."""
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def _exchange(self, request: HttpRequest) -> Reply:
        waits = self.timeouts
        limits = Limits(waits.connect, waits.read, request.seconds or waits.read, request.limit)
        try:
            reply = wire.exchange(
                self._connections(),
                request.method,
                self.address.url + request.path,
                limits,
                params=request.params,
                data=request.body,
                headers=request.headers,
            )
        except Failure as failure:
            # without its kind: an answer that is too large did arrive
            raise self.nonsense(failure.message) from (None if failure.kind == "too large" else failure)
        if limits.size == MAX_JSON_BYTES:  # not a file
            reply = wire.without_secrets(reply, self.address.headers.values())
        self._refuse(reply)
        return reply

    def _refuse(self, reply: Reply) -> None:
        """Raise what no route of a ComfyUI server answers: what proxies and gateways in front of it do."""
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = reply.retry_after
            if wait is not None:
                hint = f"; it asks to wait {wait:g} s"
            else:
                hint = ""
            raise RateLimitedError(
                f"too many requests (HTTP 429){hint}", endpoint=self.address.url, retry_after=wait
            )
        if reply.status in (
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        ):
            raise self.nonsense(
                f"refused the credentials (HTTP {reply.status}); check the headers given for this endpoint"
            )
        if 300 <= reply.status < 400:
            raise self.nonsense(
                f"redirects elsewhere (HTTP {reply.status}); give the URL it redirects to, or its credentials"
            )
        if reply.status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
            raise self.nonsense(f"cannot be reached by its proxy ({reply.gist})") from Failure("broken off")
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise self.nonsense(f"is not available ({reply.gist})")

    def cookies(self) -> str:
        """What the server, or a gateway in front of it, has given to be told again: the header's value."""
        return wire.cookie_header(self._connections(), self.address.url)

    def _connections(self) -> wire.Session:
        with self._lock:
            if self._session is None:
                self._session = self._open()
            return self._session

    def _open(self) -> wire.Session:
        session = wire.open_session(environment_proxies(self.address), self.address.verify)
        session.headers.update(self.address.headers)
        return session


def environment_proxies(address: Address) -> dict[str, str]:
    """The proxies that the environment names for an address, by scheme; none for this machine."""
    if address.is_loopback:
        return {}
    return wire.environment_proxies(address.url)
