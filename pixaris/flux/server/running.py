"""Listening: in a thread of another program, or until a process is told to end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from pixaris.flux.server.account import Options
from pixaris.flux.server.app import Server

HOST = "127.0.0.1"


async def listen(server: Server, host: str = HOST, port: int = 0) -> list[web.AppRunner]:
    """Start to answer at two ports; the second is a free one.

    Raises:
        OSError: The port is taken, or the host is not this machine's.
    """
    runners: list[web.AppRunner] = []
    try:
        for app, wanted in zip(server.apps(), (port, 0), strict=True):
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, host, wanted).start()
    except OSError:
        await stop(runners)
        raise
    if ":" in host:
        shown = f"[{host}]"
    else:
        shown = host
    server.listens_at(*(f"http://{shown}:{runner.addresses[0][1]}" for runner in runners))
    return runners


async def stop(runners: list[web.AppRunner]) -> None:
    """Answer no more."""
    for runner in runners:
        await runner.cleanup()


@contextmanager
def serve_in_thread(options: Options | None = None) -> Iterator[Server]:
    """Serve on free ports of the loopback interface until the block ends; ``places.api`` is the base URL."""
    server = Server(options)
    loop = asyncio.new_event_loop()
    runners = loop.run_until_complete(listen(server))
    thread = threading.Thread(target=loop.run_forever, name="flux-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(stop(runners), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
