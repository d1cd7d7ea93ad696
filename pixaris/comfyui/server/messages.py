"""The websockets: who is connected, and what is sent to whom.

One socket per client id. ``status`` goes to every socket, messages about a prompt to the socket of the
prompt's owner. As in ComfyUI, a second socket with the same id takes over, and when the first one closes, the
second is forgotten too.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping

from aiohttp import WSMsgType, web

from pixaris.files import JsonMapping, JsonObject

# A socket with more unread messages than this is cut off, so that one stopped client does not eat the memory.
MAX_UNREAD = 20_000


class _Socket:
    """One connection and the messages that wait for it; its own writer, so that a slow client delays nobody
    else.
    """

    def __init__(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        self._ws = ws
        self._request = request
        self._unread: asyncio.Queue[str] = asyncio.Queue(MAX_UNREAD)

    def put(self, text: str) -> None:
        try:
            self._unread.put_nowait(text)
        except asyncio.QueueFull:
            self.abort()

    async def write(self) -> None:
        try:
            while True:
                await self._ws.send_str(await self._unread.get())
        except ConnectionError:
            pass  # the reading side notices it too, and ends the connection

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()


class Hub:
    """Sends messages to websockets; `send` may be called from any thread.

    Attributes:
        client_id: Owner of the prompt that runs, or None. Set by the worker.
        last_node_id: The node that runs, told to an owner who reconnects.
    """

    def __init__(self) -> None:
        self.client_id: str | None = None
        self.last_node_id: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sockets: dict[str, _Socket] = {}
        self._connected: set[_Socket] = set()

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop in which the sockets live."""
        self._loop = loop

    def send(self, event: str, data: Mapping[str, object], client_id: str | None = None) -> None:
        """Send to one client, or to all if ``client_id`` is None. ``data`` must not be changed afterwards."""
        self.call(self._deliver, event, data, client_id)

    def call(self, function: Callable[..., None], *args: object) -> None:
        """Call a function in the sockets' loop; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def _deliver(self, event: str, data: Mapping[str, object], client_id: str | None) -> None:
        targets = list(self._sockets.values()) if client_id is None else [self._sockets.get(client_id)]
        text = ""
        for socket in targets:
            if socket is not None:
                text = text or json.dumps({"type": event, "data": data})
                socket.put(text)

    def abort_all(self) -> None:
        """Cut every socket without a closing frame. Call it in the loop."""
        for socket in list(self._connected):
            socket.abort()

    async def serve(
        self, request: web.Request, status: Callable[[], JsonObject], features: JsonMapping
    ) -> web.WebSocketResponse:
        """Speak with one client until it goes."""
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        sid = request.query.get("clientId") or uuid.uuid4().hex
        socket = _Socket(ws, request)
        self._sockets[sid] = socket
        self._connected.add(socket)
        writer = asyncio.create_task(socket.write())
        try:
            self._deliver("status", {"status": status(), "sid": sid}, sid)
            if self.client_id == sid and self.last_node_id is not None:
                self._deliver("executing", {"node": self.last_node_id}, sid)
            first = True
            async for message in ws:
                if message.type is not WSMsgType.TEXT:
                    continue
                if first and _is_feature_flags(message.data):
                    self._deliver("feature_flags", features, sid)
                first = False
        finally:
            writer.cancel()
            self._connected.discard(socket)
            self._sockets.pop(sid, None)
        return ws


def _is_feature_flags(text: str) -> bool:
    try:
        message = json.loads(text)
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "feature_flags"
