"""HTTP to one ComfyUI server: every reply is bounded in size and time, every failure typed."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
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
        reply = self.call(
            "POST", path, data=json.dumps(body).encode(), content_type="application/json", seconds=seconds
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
        return self.call(
            "POST", path, data=io.BytesIO(body), content_type=content_type, seconds=self.timeouts.transfer
        )

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
            UnreachableError: No answer, a redirect, or refused credentials; `failure_kind` tells how far it
                got.
            RateLimitedError: HTTP 429.
        """
        limits = Limits(self.timeouts.connect, self.timeouts.read, seconds or self.timeouts.read, limit)
        for last in (not repeat, True):
            try:
                return self._exchange(method, path, params, data, content_type, limits)
            except UnreachableError as error:
                if last or failure_kind(error) != "broken off":
                    raise
                if data is not None and not isinstance(data, bytes):
                    data.seek(0)
        raise AssertionError("unreachable")

    def parsed(self, reply: Reply, what: str) -> Any:  # noqa: ANN401  (any JSON value)
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

    def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | io.BytesIO | None,
        content_type: str,
        limits: Limits,
    ) -> Reply:
        try:
            reply = wire.exchange(
                self._connections(),
                method,
                self.address.url + path,
                limits,
                params=params,
                data=data,
                headers={"Content-Type": content_type} if content_type else None,
            )
        except Failure as failure:
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
