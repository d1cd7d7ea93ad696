"""Runs the server inside another program, in a thread of its own: for tests, notebooks, and a search on one
machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from pixaris.comfyui.server.app import build_app
from pixaris.comfyui.server.routes.context import WORKER
from pixaris.comfyui.server.worker import Options, Worker

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        url: ``http://127.0.0.1:PORT``.
        worker: What is behind its routes (folders, queue, faults).
    """

    url: str
    worker: Worker


async def listen(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Start to answer; return the runner to clean up and the port, which is a free one if 0 was asked for.

    Raises:
        OSError: The port is taken, or the host is not this machine's.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner, runner.addresses[0][1]


@contextmanager
def serve_in_thread(options: Options | None = None) -> Iterator[Running]:
    """Serve on a free port of the loopback interface until the block ends.

    The ``crash`` fault would end the whole program; every other fault works.
    """
    app = build_app(options)
    loop = asyncio.new_event_loop()
    runner, port = loop.run_until_complete(listen(app, HOST, 0))
    thread = threading.Thread(target=loop.run_forever, name=f"comfyui-{port}", daemon=True)
    thread.start()
    try:
        yield Running(f"http://{HOST}:{port}", app[WORKER])
    finally:
        app[WORKER].faults.thaw()
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
