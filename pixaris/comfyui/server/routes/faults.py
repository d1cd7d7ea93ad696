"""``/pixaris/faults``: the admin route for injected faults, only with ``--faults``."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from pixaris.comfyui.server.faults import parse_rules
from pixaris.comfyui.server.routes.context import worker_of

PATH = "/pixaris/faults"


async def show(request: web.Request) -> web.Response:
    """List the rules in force, with their counts."""
    return web.json_response({"rules": worker_of(request).faults.rows()})


async def add(request: web.Request) -> web.Response:
    """Add rules; a wrong rule is a 400 that says what is wrong."""
    try:
        rules = parse_rules(await request.json())
    except (ValueError, TypeError) as error:
        return web.json_response({"error": str(error)}, status=400)
    worker_of(request).faults.add(rules)
    return await show(request)


async def clear(request: web.Request) -> web.Response:
    """Remove all rules."""
    worker_of(request).faults.clear()
    return await show(request)


@web.middleware
async def inject(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let faults of requests strike before the request is answered."""
    route = request.path.removeprefix("/api")
    faults = worker_of(request).faults
    if route.startswith(PATH):
        return await handler(request)
    if rule := faults.strike("hang", route):
        faults.freeze(rule.seconds)
    if faults.strike("refuse", route):
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError("refused by an injected fault")
    if rule := faults.strike("slow", route):
        await asyncio.sleep(1.0 if rule.seconds is None else rule.seconds)
    if rule := faults.strike("error500", route):
        return web.Response(status=rule.status, text=f"{rule.status} injected fault")
    return await handler(request)


ROUTES = (web.get(PATH, show), web.post(PATH, add), web.delete(PATH, clear))
