"""A gateway in front of a server, as there are in real life: a base path, authentication, TLS, and failures
of its own.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiohttp import web

SESSION = web.AppKey("session", aiohttp.ClientSession)
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "date", "server"}


class Gateway:
    """Passes requests on, unless a trick is waiting for their path; notes what it has seen.

    Args:
        target: Base URL of the server behind it.
        prefix: Base path it answers under.
        headers: Headers it insists on.
        websockets: Whether it lets websockets through.
    """

    def __init__(
        self, target: str, prefix: str = "", headers: Mapping[str, str] | None = None, websockets: bool = True
    ) -> None:
        self.target = target
        self.prefix = prefix
        self.required = dict(headers or {})
        self.websockets = websockets
        self.tricks: dict[str, list[Any]] = {}
        self.seen: list[str] = []
        self.origins: list[str] = []
        self.opened: list[str] = []
        self.cookies: list[str] = []
        self.sticky = ""
        self.transports: list[tuple[asyncio.AbstractEventLoop, asyncio.Transport]] = []
        self.url = ""

    def cut_sockets(self) -> None:
        """Break every websocket without a closing frame."""
        while self.transports:
            loop, transport = self.transports.pop()
            loop.call_soon_threadsafe(transport.abort)

    def play(self, path: str, *tricks: Any) -> None:
        """Answer the next requests for a path with these: a Response, or the name of a way to fail."""
        self.tricks.setdefault(path, []).extend(tricks)

    def count(self, call: str) -> int:
        return sum(1 for seen in self.seen if seen.startswith(call))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not request.path.startswith(f"{self.prefix}/"):
            return web.Response(status=404, text="nothing here")
        path = request.path.removeprefix(self.prefix)
        self.seen.append(f"{request.method} {path}")
        if "Origin" in request.headers:
            self.origins.append(request.headers["Origin"])
        if any(request.headers.get(name) != value for name, value in self.required.items()):
            return web.Response(status=401, text="who are you?")
        if path == "/ws":
            return await self.pass_socket(request) if self.websockets else web.Response(status=404)
        waiting = self.tricks.get(path, [])
        trick = waiting.pop(0) if waiting else None
        if isinstance(trick, web.Response):
            return trick
        if trick == "drop":
            return self.cut(request)
        body = await request.read()
        if trick == "other id":
            body = body.replace(b'"prompt_id"', b'"ignored"')
        async with request.app[SESSION].request(
            request.method,
            self.target + path,
            params=request.query,
            data=body,
            headers={"Content-Type": request.headers.get("Content-Type", "")},
        ) as answer:
            data = await answer.read()
            headers = {
                name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP
            }
            if trick == "drop after":
                return self.cut(request)
            response = web.Response(status=answer.status, body=data, headers=headers)
            if self.sticky:
                response.set_cookie("backend", self.sticky, httponly=True)
            return response

    def cut(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def pass_socket(self, request: web.Request) -> web.WebSocketResponse:
        self.opened.append(request.query["clientId"])
        self.cookies.append(request.headers.get("Cookie", ""))
        assert request.transport is not None
        self.transports.append((asyncio.get_running_loop(), request.transport))
        front = web.WebSocketResponse()
        await front.prepare(request)
        async with request.app[SESSION].ws_connect(f"{self.target}/ws", params=request.query) as back:

            async def pass_back() -> None:
                async for message in front:
                    await back.send_str(message.data)
                await back.close()

            task = asyncio.ensure_future(pass_back())
            async for message in back:
                if message.type == aiohttp.WSMsgType.TEXT:
                    await front.send_str(message.data)
                elif message.type == aiohttp.WSMsgType.BINARY:
                    await front.send_bytes(message.data)
            task.cancel()
        await front.close()
        return front


async def keep_session(app: web.Application) -> Any:
    async with aiohttp.ClientSession() as session:
        app[SESSION] = session
        yield


def application(gateway: Gateway) -> web.Application:
    app = web.Application(client_max_size=2**28)
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    app.cleanup_ctx.append(keep_session)
    return app


@contextmanager
def serving(app: web.Application, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve an application on a free port until the block ends; gives its URL."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(runner.addresses[0][1])

    port = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def gateway(target: str, *, context: ssl.SSLContext | None = None, **options: Any) -> Iterator[Gateway]:
    """A gateway in front of a server until the block ends."""
    made = Gateway(target, **options)
    with serving(application(made), context) as url:
        made.url = url + made.prefix
        yield made


LAST = web.AppKey("last", dict[str, str])


def lying(
    outputs: Any, view: web.Response | dict[str, bytes] | None = None, status: Any = None
) -> web.Application:
    """A server whose prompts have always just ended with these outputs.

    It answers for every file what `view` is, or what that has for the file's name.
    """

    async def prompt(request: web.Request) -> web.Response:
        body = await request.json()
        request.app[LAST].update(id=body["prompt_id"], prompt=json.dumps(body["prompt"]))
        return web.json_response({"prompt_id": body["prompt_id"], "number": 1, "node_errors": {}})

    async def queue(request: web.Request) -> web.Response:
        return web.json_response({"queue_running": [], "queue_pending": []})

    async def history(request: web.Request) -> web.Response:
        return web.json_response({request.match_info["id"]: {"outputs": outputs, "status": status}})

    async def image(request: web.Request) -> web.Response:
        request.app[LAST]["view"] = request.query_string
        if isinstance(view, dict):
            return web.Response(body=view[request.query["filename"]])
        return web.Response(body=view.body if view else b"", status=view.status if view else 200)

    app = web.Application()
    app[LAST] = {}
    app.router.add_post("/prompt", prompt)
    app.router.add_get("/queue", queue)
    app.router.add_get("/history/{id}", history)
    app.router.add_get("/view", image)
    return app
