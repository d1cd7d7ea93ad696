"""Cancels a pool's requests on the servers when the pool's own process could not, because it was killed or
crashed.

A pool starts a small process, ``python -m pixaris.endpoints.janitor``, which waits for the end of a pipe that
only the pool's process holds open. Through it come, as JSON lines, the session and the endpoints (headers may
be credentials, so nothing is said on the command line)::

    {"session": "5f0c…"}
    {"join": "http://10.0.0.5:8188", "headers": {"Authorization": "Basic …"}, "api": "module:Class"}
    {"leave": "http://10.0.0.5:8188"}
    {"workers": [4711, 4712]}
    {"quiet": 1.0}
    {"goodbye": true}

After a goodbye there is nothing to do. Without one, it first ends the processes of the pool on this machine
(until Ray has ended them, they would submit again what is cancelled), then it looks through the queue of
every endpoint until that has been free of the session's requests for a while (``quiet`` seconds), and for
`SWEEP_SECONDS` at most. What carries the session's mark is cancelled; what anybody else sent is not touched.
How, says the endpoint's API.
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.exceptions import PixarisError
from pixaris.files import JsonMapping

log = logging.getLogger(__name__)

SWEEP_SECONDS = 25.0
# what may have outlived the pool's process, and submitted again what was cancelled, has ended by then
_QUIET_SECONDS = 6.0
_ORDERLY_QUIET_SECONDS = 1.0
_PAUSE_SECONDS = 0.25
_LATER_PAUSE_SECONDS = 1.0
_HURRY_SECONDS = 3.0
"""How long it looks more often."""
_PARENT_SECONDS = 2.0
_GOODBYE_SECONDS = 3.0
_PIPE_BYTES = 1 << 20  # room for a thousand endpoints: nobody waits until the janitor has come up and reads
_REFUSED = os.strerror(errno.ECONNREFUSED)


class Janitor:
    """What the pool's process holds: the janitor's process, started by `start`. Thread-safe.

    A janitor that cannot be started, or has been killed, is missed only when the pool's process is killed;
    nothing here raises.

    Args:
        session: The mark of the pool's requests.
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
        if self._process is not None:
            return self._process.pid
        return None

    def start(self) -> None:
        """Start its process, unless that is done; call it before the first request is submitted."""
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
                    "no janitor: if this process is killed, its requests stay in the servers' queues (%s)",
                    error,
                )
                self._dismissed = True
                return
            self._widen()
            self._send({"session": self._session})
            for endpoint in self._endpoints.values():
                self._send(_joins(endpoint))

    def join(self, endpoint: Endpoint) -> None:
        """An endpoint may get requests from now on."""
        with self._lock:
            if endpoint.api.queues:
                self._endpoints[endpoint.url] = endpoint
                self._send(_joins(endpoint))

    def leave(self, url: str) -> None:
        """An endpoint has no request of the pool any more, and gets none."""
        with self._lock:
            self._endpoints.pop(url, None)
            self._send({"leave": url})

    def workers(self, pids: Sequence[int]) -> None:
        """These processes of this machine work for the pool, and have to end with this one."""
        with self._lock:
            self._send({"workers": list(pids)})

    def dismiss(self, *, sweep: bool = False) -> None:
        """The pool has ended.

        Args:
            sweep: Whether requests may be left all the same. The janitor then looks for them, and nobody
                waits for it.
        """
        with self._lock:
            self._dismissed = True
            process = self._process
            if process is None or process.stdin is None or process.stdin.closed:
                return
            self._send({"quiet": _ORDERLY_QUIET_SECONDS} if sweep else {"goodbye": True})
            with suppress(OSError):
                process.stdin.close()
        if not sweep:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GOODBYE_SECONDS)

    def _widen(self) -> None:
        if sys.platform == "linux" and self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # where it may not be larger, `start` waits until the janitor reads
                fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def _send(self, message: Mapping[str, object]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError, ValueError):  # it was killed; or dismissed
                self._process.stdin.write(json.dumps(message).encode() + b"\n")
                self._process.stdin.flush()


def _joins(endpoint: Endpoint) -> dict[str, object]:
    api = type(endpoint.api)
    headers = dict(endpoint.headers)
    return {"join": endpoint.url, "headers": headers, "api": f"{api.__module__}:{api.__qualname__}"}


# The janitor's process


def main(parent: int) -> None:
    """Wait for the goodbye; if the pool's process ends without one, sweep.

    Args:
        parent: The pool's process.
    """
    session, quiet = "", _QUIET_SECONDS
    workers: list[int] = []
    endpoints: dict[str, Endpoint] = {}
    for line in _lines(sys.stdin.fileno(), parent):
        message = json.loads(line)
        if "goodbye" in message:
            return
        session, quiet = message.get("session", session), message.get("quiet", quiet)
        workers = message.get("workers", workers)
        if "join" in message and (endpoint := _endpoint(message)):
            endpoints[endpoint.url] = endpoint
        endpoints.pop(message.get("leave", ""), None)
    for pid in workers:
        _end(pid)
    if session:
        sweep(session, list(endpoints.values()), quiet)


def _end(pid: int) -> None:
    """End a process of Ray's that works for nobody any more; its number may be another's by now."""
    with suppress(OSError):
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
            os.kill(pid, signal.SIGKILL)


def _endpoint(message: JsonMapping) -> Endpoint | None:
    """The endpoint that joins; None if its API cannot be made here, because the program itself defines it."""
    module, _, name = message["api"].partition(":")
    try:
        api: EndpointApi = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError):
        return None
    return Endpoint(message["join"], headers=tuple(message["headers"].items()), api=api)


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


def sweep(session: str, endpoints: Sequence[Endpoint], quiet: float, seconds: float = SWEEP_SECONDS) -> None:
    """Cancel every request of a session, until each endpoint has been free of them for a while.

    Args:
        session: The mark.
        endpoints: Where they may be.
        quiet: How long each must have been free of them.
        seconds: The longest it takes, also where an endpoint does not answer.
    """
    deadline = time.monotonic() + seconds
    threads = []
    for endpoint in endpoints:
        arguments = (endpoint, session, quiet, deadline)
        threads.append(threading.Thread(target=_clean, args=arguments, daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _clean(endpoint: Endpoint, session: str, quiet: float, deadline: float) -> None:
    began = last_seen = time.monotonic()
    while time.monotonic() < min(deadline, last_seen + quiet):
        try:
            if endpoint.api.cancel_session(endpoint, session):
                last_seen = time.monotonic()
        except PixarisError as error:
            if _REFUSED not in str(error):  # where no server is, its queue is gone too
                last_seen = time.monotonic()
        is_early = time.monotonic() < began + _HURRY_SECONDS
        time.sleep(_PAUSE_SECONDS if is_early else _LATER_PAUSE_SECONDS)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main(int(sys.argv[1]))
