"""The aiohttp application: routes, access rules, start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from pixaris.comfyui.server.routes import faults, files, info, jobs, prompts
from pixaris.comfyui.server.routes.context import WORKER
from pixaris.comfyui.server.worker import Options, Worker

_LOG = logging.getLogger("pixaris.comfyui.server")


def build_app(options: Options | None = None) -> web.Application:
    """Build the whole server as an application; its worker starts and stops with it.

    Args:
        options: How it behaves; the default has a private temporary folder and no faults.
    """
    options = options or Options()
    middlewares = [_errors, _same_origin] + ([faults.inject] if options.faults is not None else [])
    app = web.Application(
        middlewares=middlewares, client_max_size=int(options.max_upload_megabytes * 1024 * 1024)
    )
    app[WORKER] = Worker(options)
    app.cleanup_ctx.append(_worker_lifetime)
    app.on_shutdown.append(_cut_websockets)
    shared = [*prompts.ROUTES, *files.ROUTES, *info.ROUTES]
    app.router.add_routes([web.get("/", info.index), *shared, *jobs.ROUTES])
    app.router.add_routes(
        [web.RouteDef(route.method, f"/api{route.path}", route.handler, route.kwargs) for route in shared]
    )
    if options.faults is not None:
        app.router.add_routes(faults.ROUTES)
    return app


async def _worker_lifetime(app: web.Application) -> AsyncIterator[None]:
    app[WORKER].start(asyncio.get_running_loop())
    yield
    app[WORKER].stop()


async def _cut_websockets(app: web.Application) -> None:
    """As a killed server does: no closing frames, and no waiting for them."""
    app[WORKER].hub.abort_all()


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever goes wrong with the plain 500 that ComfyUI's server gives."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001  (as the web framework would, but without a traceback on the terminal)
        _LOG.info("%s %s failed: %r", request.method, request.path, error)
        _LOG.debug("the failure of %s %s", request.method, request.path, exc_info=True)
        return web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")


@web.middleware
async def _same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse web pages of other origins: any page a user visits could otherwise post prompts to a server on
    his machine.
    """
    if request.headers.get("Sec-Fetch-Site") == "cross-site" or _is_foreign(
        request.headers.get("Host", ""), request.headers.get("Origin", "")
    ):
        return web.Response(status=403)
    if request.method == "OPTIONS":
        return web.Response()
    return await handler(request)


def _is_foreign(host: str, origin: str) -> bool:
    """Compare host and port of both; only if the host is a loopback name, the port only if both have one."""
    try:
        here, there = urlsplit(f"//{host.lower()}"), urlsplit(origin.lower())
        ports = (here.port, there.port)
    except ValueError:
        return True
    loopback = (
        here.hostname == "localhost" or here.hostname == "::1" or (here.hostname or "").startswith("127.")
    )
    if not loopback or not there.hostname:
        return False
    return here.hostname != there.hostname or (None not in ports and ports[0] != ports[1])
