"""What every request must pass, whatever it asks for."""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pixaris.frontend.review import Review
from pixaris.frontend.sessions import COOKIE

MOST_BODY = 64 * 1024
"""Bytes that a request may have: votes and comments are short, and nothing is uploaded."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "img-src 'self'",
        "style-src 'self'",
        "script-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # No page that opened ours keeps a hold of it.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
_OPEN = ("/login", "/static/", "/favicon.ico")
_SAFE = ("GET", "HEAD")


class Guard:
    """Lets a request through, or answers it.

    Host names are held to this machine's where only it is served, so that no other site's name leads here.
    What changes anything must come from a page of ours. All but the login needs a signed cookie, whose name
    is put into ``scope["state"]["rater"]``.

    Args:
        app: Answers what is let through.
        review: Knows the settings and the key.
    """

    def __init__(self, app: ASGIApp, review: Review) -> None:
        self._app = app
        self._review = review

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        guarded = _with_headers(send)
        answer = self._refusal(scope, headers)
        if answer is not None:
            await answer(scope, receive, guarded)
            return
        scope["path"] = path_of(scope, self._review.settings.root_path)
        await self._app(scope, _limited(receive), guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """An answer in place of the page's, or None if the request may go on."""
        # A name of another site that resolves to 127.0.0.1 would make its scripts same-origin here.
        if self._review.settings.is_local and _name(headers.get("host", "")) not in _LOCAL_NAMES:
            return PlainTextResponse("this page is reached as localhost", 421)
        # What says its length is refused before it is read; what does not is counted in `_limited`.
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > 12 or int(length) > MOST_BODY:
            return PlainTextResponse("too large", 413)
        if scope["method"] not in _SAFE and not _is_ours(headers):
            return PlainTextResponse("this must come from a page of ours", 403)
        path = path_of(scope, self._review.settings.root_path)
        rater = self._rater(headers)
        scope.setdefault("state", {})["rater"] = rater or ""
        if rater is None and not path.startswith(_OPEN):
            return self._ask_who(scope, path)
        return None

    def _rater(self, headers: Headers) -> str | None:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        if cookie is None:
            return None
        try:
            return self._review.keyring.name(cookie.value, time.time())
        except ValueError:
            return None

    def _ask_who(self, scope: Scope, path: str) -> Response:
        # Scripts and pictures cannot follow to a form.
        if scope["method"] != "GET" or "image" in path or path.endswith("/live"):
            return JSONResponse({"error": "say who you are first: open the page anew"}, 401)
        query = scope["query_string"].decode("latin-1")
        if query:
            following = f"{path}?{query}"
        else:
            following = path
        login = f"{self._review.settings.root_path}/login?following={quote(following)}"
        return RedirectResponse(login, 303)


def path_of(scope: Scope, root_path: str) -> str:
    """The path without what a proxy puts before it, whether or not the proxy takes that off."""
    path: str = scope["path"]
    if root_path and (path == root_path or path.startswith(f"{root_path}/")):
        return path[len(root_path) :] or "/"
    return path


def _name(host: str) -> str:
    """A host's name without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _is_ours(headers: Headers) -> bool:
    """Whether a request comes from a page of ours, as browsers tell and scripts of other sites cannot."""
    if headers.get("sec-fetch-site") == "same-origin":
        return True
    origin = headers.get("origin")
    if not origin or headers.get("sec-fetch-site") not in (None, "same-origin"):
        return False
    hosts = {headers.get("host"), headers.get("x-forwarded-host")} - {None}
    return urlsplit(origin).netloc in hosts


def _limited(receive: Receive) -> Receive:
    size = 0

    async def read() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MOST_BODY:
            raise HTTPException(413, "too large")
        return message

    return read


def _with_headers(send: Send) -> Send:
    async def write(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            # Pages show what their reader may see; routes that allow keeping say so.
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return write
