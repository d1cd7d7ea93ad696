"""Totals that are sent to open pages whenever somebody has said something, here or in another process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from pixaris.exceptions import PixarisError
from pixaris.feedback_handlers.base import IterationKey
from pixaris.frontend.review import Review

MOST_STREAMS = 200
"""Pages that are told at once; another one is asked to come back later."""

# Below what people notice; one look for all pages, however many are open.
_EVERY = 0.25
# Proxies cut connections that say nothing, mostly after 30 or 60 seconds.
_STILL_HERE = 15.0
_TOO_MANY = "too many pages are open; this one shows no news until it is loaded anew"


class Live:
    """Looks for news four times a second, as long as a page is open, once for all that are.

    Args:
        review: Has the totals.

    Attributes:
        streams: Pages that are being told.
    """

    def __init__(self, review: Review) -> None:
        self._review = review
        self._known: dict[IterationKey, tuple[float, str]] = {}
        self._locks: dict[IterationKey, asyncio.Lock] = {}
        self.streams = 0

    async def stream(self, key: IterationKey) -> AsyncIterator[str]:
        """What one page is sent, as server-sent events."""
        sent, at = "", time.monotonic()
        while True:
            text = await self._text(key)
            if text != sent:
                sent, at = text, time.monotonic()
                yield f"data: {text}\n\n"
            elif time.monotonic() - at > _STILL_HERE:
                at = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(_EVERY)

    async def _text(self, key: IterationKey) -> str:
        lock = self._locks.setdefault(key, asyncio.Lock())
        # Whoever comes second finds the first one's answer.
        async with lock:
            at, text = self._known.get(key, (0.0, ""))
            if time.monotonic() - at < _EVERY:
                return text
            try:
                totals = await run_in_threadpool(self._review.totals, key)
                text = json.dumps(totals)
            except PixarisError:
                pass  # the store is busy: the next look tells
            self._known[key] = (time.monotonic(), text)
            return text


class LiveResponse(StreamingResponse):
    """The totals of an iteration, to one page.

    It is counted from before its first byte to its end, however it ends.

    Args:
        live: Looks for news.
        key: The iteration.
    """

    def __init__(self, live: Live, key: IterationKey) -> None:
        # nginx would collect the events until its buffer is full.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(live.stream(key), media_type="text/event-stream", headers=headers)
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._live.streams >= MOST_STREAMS:
            raise HTTPException(
                503, "too many pages are open; this one shows no news until it is loaded anew"
            )
        self._live.streams += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.streams -= 1
