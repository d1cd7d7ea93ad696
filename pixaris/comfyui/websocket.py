"""The websocket to one server: the one place that uses websocket-client.

It only makes things faster. A socket that cannot connect, breaks, or goes deaf costs time, never a prompt:
whoever waits for a prompt also looks at the queue and the history over HTTP.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import websocket

from pixaris.comfyui.address import Address, Timeouts
from pixaris.comfyui.messages import Event, parse_event
from pixaris.comfyui.transport import environment_proxies
from pixaris.http import trusted_certificates

MAX_MESSAGE = 64 * 1024 * 1024
_PIECE = 1 << 16
_HEARTBEAT = 20.0  # the server sends no pings
_PAUSES = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)  # before an attempt to connect, by the failures before it
# What websocket-client and the socket under it raise; ValueError: frames it cannot read.
_SOCKET_ERRORS = (OSError, ValueError, websocket.WebSocketException)


class Watch:
    """What the websocket has told about one prompt. Written by the reader thread, read by the one that waits.

    Attributes:
        prompt_id: The prompt.
        wake: Set whenever the waiter should look at this object again.
        ended: Whether the server said that it is done with the prompt.
        started: When its execution started, or None.
        heard: Whether any message has named it.
        client_id: The socket it was submitted for; "" before that.
        claimed: When it was submitted.
    """

    def __init__(self, prompt_id: str) -> None:
        self.prompt_id = prompt_id
        self.wake = threading.Event()
        self.ended = False
        self.started: float | None = None
        self.heard = False
        self.client_id = ""
        self.claimed = 0.0


class Listener:
    """One websocket and the thread that reads it. Connects when the first prompt is watched, reconnects while
    one is.

    The client id is new for every connection, unless a prompt was submitted under the old one: its messages
    go there.

    Args:
        address: The server.
        timeouts: For connecting.
        clock: Seconds, monotonic; all times are its.
        cookies: Gives the header with the cookies of the HTTP connections, "" for none: a balancer that
            keeps clients on one server by a cookie then leads both to the same.
    """

    def __init__(
        self,
        address: Address,
        timeouts: Timeouts,
        clock: Callable[[], float] = time.monotonic,
        cookies: Callable[[], str] = str,
    ) -> None:
        self._address = address
        self._timeouts = timeouts
        self._clock = clock
        self._cookies = cookies
        self._changed = threading.Condition()
        self._watches: dict[str, Watch] = {}
        self._client_id = uuid.uuid4().hex
        self._renew = False
        self._state = "new"  # an attempt is worth waiting for; then "connected" or "down"
        self._connected_at = 0.0
        self._epoch = 0
        self._last_heard = 0.0
        self._socket: Any = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    @property
    def connected(self) -> bool:
        """Whether messages arrive."""
        return self._state == "connected"

    @property
    def epoch(self) -> int:
        """Grows with every connection made or lost; after a change, messages may have been missed."""
        return self._epoch

    @property
    def last_heard(self) -> float:
        """When a message named one of our prompts."""
        return self._last_heard

    def watch(self, prompt_id: str) -> Watch:
        """Listen for a prompt that is about to be submitted; waits a moment for the first connection."""
        watch = Watch(prompt_id)
        with self._changed:
            self._watches[prompt_id] = watch
            if self._thread is None and not self._stopped:
                # At the first prompt and not before: a client that only probes needs no socket.
                name = f"pixaris-websocket-{self._address.host}:{self._address.port}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._state != "new" or self._stopped, timeout=min(2.0, self._timeouts.connect)
            )
        return watch

    def claim(self, watch: Watch) -> str:
        """The client id to submit a watched prompt under; it stays until the prompt is released."""
        with self._changed:
            watch.client_id = self._client_id
            watch.claimed = self._clock()
            return self._client_id

    def rename(self, watch: Watch, prompt_id: str) -> None:
        """The server gave a watched prompt another id."""
        with self._changed:
            self._watches.pop(watch.prompt_id, None)
            watch.prompt_id = prompt_id
            watch.heard = True  # messages under the new id were not listened for until now
            self._watches[prompt_id] = watch

    def release(self, watch: Watch) -> None:
        """Stop listening for a prompt."""
        with self._changed:
            self._watches.pop(watch.prompt_id, None)

    def suspect(self, watch: Watch) -> None:
        """A prompt went on without a word here: if the socket should have brought it, connect anew under a
        new id.

        A server that notices late that an old socket has closed also forgets the one that took its id over.
        """
        with self._changed:
            deaf = (
                self.connected and watch.client_id == self._client_id and self._connected_at < watch.claimed
            )
            if deaf and not watch.heard:
                self._renew = True
                self._abort()

    def stop(self, wait: float = 1.0) -> None:
        """Close the socket and end the thread, waiting for it for so many seconds. Not to be used again."""
        with self._changed:
            self._stopped = True
            self._abort()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=wait)

    def _abort(self) -> None:
        if self._socket is not None:
            self._socket.abort()  # no closing handshake: a frozen server would hold it up

    def _run(self) -> None:
        failures = 0
        while self._wait_until_wanted(failures):
            connection, opened = None, 0.0
            try:
                connection = self._connect()
                self._open(connection)
                opened = self._clock()
                self._read(connection)
            except _SOCKET_ERRORS:
                pass
            finally:
                if connection is not None:
                    connection.shutdown()
                self._close()
            # A socket that is closed at once counts as a failure too: the pauses would stay short, and the
            # server be asked all the time.
            if opened and self._clock() - opened > 1.0:
                failures = 0
            else:
                failures = failures + 1

    def _wait_until_wanted(self, failures: int) -> bool:
        """Wait for the time of the next attempt; False when there is none."""
        with self._changed:
            at_once, self._renew = self._renew, False
            if at_once or not any(watch.client_id == self._client_id for watch in self._watches.values()):
                self._client_id = uuid.uuid4().hex
            if not at_once:
                self._changed.wait_for(
                    lambda: self._stopped, timeout=_PAUSES[min(failures, len(_PAUSES) - 1)]
                )
            if not self._watches and not failures:
                self._state = "new"  # nobody waits: the next one who does, waits for the connection too
            self._changed.wait_for(lambda: self._stopped or bool(self._watches))
            return not self._stopped

    def _connect(self) -> Any:  # noqa: ANN401  (websocket-client has no types)
        # Messages are parsed as JSON, which checks their text anyway.
        connection = websocket.WebSocket(skip_utf8_validation=True)
        # Asked for a byte or two, it takes what has come: it keeps the rest, and a message costs one wake-up,
        # not three.
        connection.frame_buffer = _BoundedFrames(lambda _: connection._recv(_PIECE), True)
        options: dict[str, Any] = {
            "timeout": self._timeouts.connect,
            # ComfyUI on this machine refuses a socket whose Origin is not its Host: localhost and 127.0.0.1
            # differ.
            "suppress_origin": True,
            # The credentials in the headers would go to wherever the redirect leads.
            "redirect_limit": 0,
        }
        if not environment_proxies(self._address):
            options["socket"] = self._open_socket()
        elif self._address.is_tls:
            connection.sock_opt.sslopt = {"context": self._address.tls_context(trusted_certificates())}
        headers = [f"{name}: {value}" for name, value in self._address.headers.items()]
        connection.connect(
            self._address.websocket_url(self._client_id),
            header=headers,
            cookie=self._cookies() or None,
            **options,
        )
        return connection

    def _open_socket(self) -> socket.socket:
        raw = socket.create_connection(
            (self._address.host, self._address.port), timeout=self._timeouts.connect
        )
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._address.is_tls:
                return self._address.tls_context(trusted_certificates()).wrap_socket(
                    raw, server_hostname=self._address.host
                )
        except BaseException:
            # Ctrl-C among them: nobody else knows this socket, so nobody else could close it
            raw.close()
            raise
        return raw

    def _open(self, connection: Any) -> None:  # noqa: ANN401  (websocket-client has no types)
        # The server greets every socket once it has registered it; only then do messages reach it.
        connection.recv_frame()
        connection.settimeout(_HEARTBEAT)
        with self._changed:
            self._socket = connection
            self._connected_at = self._last_heard = self._clock()
            self._switch("connected")

    def _close(self) -> None:
        with self._changed:
            self._socket = None
            self._switch("new" if self._renew else "down")

    def _switch(self, state: str) -> None:
        # Whoever follows a prompt compares epochs, and probes once where one has changed.
        if "connected" in (state, self._state):
            self._epoch += 1
        self._state = state
        for watch in self._watches.values():
            watch.wake.set()
        self._changed.notify_all()

    def _read(self, connection: Any) -> None:  # noqa: ANN401  (websocket-client has no types)
        parts: list[bytes] = []
        is_text = pinged = False
        while not self._stopped:
            try:
                frame = connection.recv_frame()
            except websocket.WebSocketTimeoutException:
                # A second silence after a ping: the connection is dead, though nobody closed it.
                if pinged:
                    return
                connection.ping()
                pinged = True
                continue
            pinged = False
            if frame.opcode == websocket.ABNF.OPCODE_CLOSE:
                return
            if frame.opcode == websocket.ABNF.OPCODE_PING:
                connection.pong(frame.data)
            elif frame.opcode in (
                websocket.ABNF.OPCODE_TEXT,
                websocket.ABNF.OPCODE_BINARY,
                websocket.ABNF.OPCODE_CONT,
            ):
                if frame.opcode != websocket.ABNF.OPCODE_CONT:
                    parts, is_text = [], frame.opcode == websocket.ABNF.OPCODE_TEXT
                if not is_text:  # previews
                    continue
                parts.append(frame.data)
                if sum(map(len, parts)) > MAX_MESSAGE:
                    return
                if frame.fin:
                    self._hear(parse_event(b"".join(parts)))
                    parts = []

    def _hear(self, event: Event | None) -> None:
        if event is None:
            return
        with self._changed:
            watch = self._watches.get(event.prompt_id)
            if watch is None:
                return
            self._last_heard = self._clock()
            watch.heard = True
            if event.kind == "execution_start" and watch.started is None:
                watch.started = self._last_heard
            if event.ended:
                watch.ended = True
                watch.wake.set()


class _BoundedFrames(websocket.frame_buffer):  # type: ignore[misc]  # websocket-client has no types
    """Refuses a frame by its announced length, before memory is given to it."""

    def recv_length(self) -> None:
        super().recv_length()
        if self.length > MAX_MESSAGE:
            raise websocket.WebSocketProtocolException(f"a frame of {self.length} bytes is too long")
