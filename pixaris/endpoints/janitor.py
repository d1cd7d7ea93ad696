"""Takes a pool's prompts off the servers when the pool's own process could not, because it was killed or
crashed.

A pool starts a small process, ``python -m pixaris.endpoints.janitor``, which waits for the end of a pipe that
only the pool's process holds open. Through it come, as JSON lines, the session and the endpoints (headers may
be credentials, so nothing is said on the command line)::

    {"session": "5f0c…"}
    {"join": "http://10.0.0.5:8188", "headers": {"Authorization": "Basic …"}}
    {"leave": "http://10.0.0.5:8188"}
    {"quiet": 1.0}
    {"goodbye": true}

After a goodbye there is nothing to do. Without one, it looks through the queue of every endpoint, once a
second, until that has been free of the session's prompts for a while (``quiet`` seconds), and for
`SWEEP_SECONDS` at most. What carries the session's tag is withdrawn; what anybody else sent is not touched.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from pixaris.comfyui.address import Address, Timeouts
from pixaris.comfyui.api import ComfyApi
from pixaris.comfyui.transport import Transport
from pixaris.endpoints.base import Endpoint
from pixaris.exceptions import PixarisError

log = logging.getLogger(__name__)

SWEEP_SECONDS = 25.0
# what may have outlived the pool's process, and submitted again what was withdrawn, has ended by then
_QUIET_SECONDS = 6.0
_ORDERLY_QUIET_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_PARENT_SECONDS = 2.0
_GOODBYE_SECONDS = 3.0
_PIPE_BYTES = 1 << 20  # room for a thousand endpoints: nobody waits until the janitor has come up and reads
_REFUSED = os.strerror(errno.ECONNREFUSED)
_TIMEOUTS = Timeouts(connect=3.0, read=3.0)


class Janitor:
    """What the pool's process holds: the janitor's process, started by `start`. Thread-safe.

    A janitor that cannot be started, or has been killed, is missed only when the pool's process is killed;
    nothing here raises.

    Args:
        session: The tag of the pool's prompts.
    """

    def __init__(self, session: str) -> None:
        self._lock = threading.Lock()
        self._session = session
        self._endpoints: dict[str, Endpoint] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._dismissed = False

    @property
    def pid(self) -> int | None:
        """Its process, once it is started."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start its process, unless that is done; call it before the first prompt is submitted."""
        with self._lock:
            if self._process is not None or self._dismissed:
                return
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(os.getpid())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # what ends the pool's process from a terminal does not reach it
                )
            except OSError as error:
                log.warning(
                    "no janitor: if this process is killed, its prompts stay in the servers' queues (%s)",
                    error,
                )
                self._dismissed = True
                return
            self._widen()
            self._tell({"session": self._session})
            for endpoint in self._endpoints.values():
                self._tell(_joins(endpoint))

    def join(self, endpoint: Endpoint) -> None:
        """An endpoint may get prompts from now on."""
        with self._lock:
            if endpoint.kind == "comfyui":
                self._endpoints[endpoint.url] = endpoint
                self._tell(_joins(endpoint))

    def leave(self, url: str) -> None:
        """An endpoint has no prompt of the pool any more, and gets none."""
        with self._lock:
            self._endpoints.pop(url, None)
            self._tell({"leave": url})

    def dismiss(self, *, sweep: bool = False) -> None:
        """The pool has ended.

        Args:
            sweep: Whether prompts may be left all the same. The janitor then looks for them, and nobody waits
                for it.
        """
        with self._lock:
            self._dismissed = True
            process = self._process
            if process is None or process.stdin is None or process.stdin.closed:
                return
            self._tell({"quiet": _ORDERLY_QUIET_SECONDS} if sweep else {"goodbye": True})
            with suppress(OSError):
                process.stdin.close()
        if not sweep:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GOODBYE_SECONDS)

    def _widen(self) -> None:
        if sys.platform == "linux" and self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # where it may not be larger, `start` waits until the janitor reads
                fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def _tell(self, message: Mapping[str, Any]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, ValueError):  # it was killed; or dismissed
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()


def _joins(endpoint: Endpoint) -> dict[str, Any]:
    return {"join": endpoint.url, "headers": dict(endpoint.headers)}


# The janitor's process


def main(parent: int) -> None:
    """Wait for the goodbye; if the pool's process ends without one, sweep.

    Args:
        parent: The pool's process.
    """
    session, quiet = "", _QUIET_SECONDS
    endpoints: dict[str, Mapping[str, str]] = {}
    for line in _lines(sys.stdin.fileno(), parent):
        message = json.loads(line)
        if "goodbye" in message:
            return
        session, quiet = message.get("session", session), message.get("quiet", quiet)
        if "join" in message:
            endpoints[message["join"]] = message["headers"]
        endpoints.pop(message.get("leave", ""), None)
    if session:
        sweep(session, endpoints, quiet)


def _lines(pipe: int, parent: int) -> Iterator[bytes]:
    """Lines until the pipe ends, or the process that wrote them: a process it has forked may hold the pipe
    open.
    """
    rest = b""
    while os.getppid() == parent or select.select([pipe], [], [], 0)[0]:
        if not select.select([pipe], [], [], _PARENT_SECONDS)[0]:
            continue
        data = os.read(pipe, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def sweep(
    session: str, endpoints: Mapping[str, Mapping[str, str]], quiet: float, seconds: float = SWEEP_SECONDS
) -> None:
    """Withdraw every prompt of a session, until each endpoint has been free of them for a while.

    Args:
        session: The tag.
        endpoints: URL to headers.
        quiet: How long each must have been free of them.
        seconds: The longest it takes, also where an endpoint does not answer.
    """
    deadline = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_clean, args=(url, headers, session, quiet, deadline), daemon=True)
        for url, headers in endpoints.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _clean(url: str, headers: Mapping[str, str], session: str, quiet: float, deadline: float) -> None:
    api = ComfyApi(Transport(Address.parse(url, headers), _TIMEOUTS))
    last_seen = time.monotonic()
    while time.monotonic() < min(deadline, last_seen + quiet):
        try:
            ours = list(api.queue().of(session))
            if ours:
                api.cancel(ours)
                last_seen = time.monotonic()
        except PixarisError as error:
            if _REFUSED not in str(error):  # where no server is, its queue is gone too
                last_seen = time.monotonic()
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main(int(sys.argv[1]))
