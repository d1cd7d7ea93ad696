"""What the stand-ins of services have in common: a server on a thread, which notes what it is asked."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Self

from aiohttp import web


class StandIn(ABC):
    """Answers every request in one coroutine. ``with SomeStandIn() as server:``

    Attributes:
        requests: Method, path and query of everything that was asked.
        port: Of this machine.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @abstractmethod
    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, words: str) -> int:
        """How many requests had these words in method, path and query."""
        return sum(words in request for request in self.requests)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *error: object) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)

    async def _note(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.rel_url.raw_path}?{request.query_string}")
        return await self.answer(request)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        app = web.Application(client_max_size=2**31)
        app.router.add_route("*", "/{tail:.*}", self._note)
        runner = web.AppRunner(app)
        self.loop.run_until_complete(runner.setup())
        self.loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start())
        self.port = runner.addresses[0][1]
        self._started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())
