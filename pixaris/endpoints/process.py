"""Server processes: start, await, watch, restart and stop them. Nothing outlives the process that started them."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pixaris.endpoints.discovery import ManagedSource
from pixaris.exceptions import ConfigurationError, EndpointError, PixarisError, UnreachableError

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 5.0
_RESTART_SECONDS = 1.0
_LOG_LINES = 12


def free_ports(count: int) -> list[int]:
    """Different TCP ports of the loopback interface that nobody listens on now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def log_tail(path: Path, lines: int = _LOG_LINES) -> str:
    """The last lines of a log file, or "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 20_000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


@dataclass
class ServerProcess:
    """One server process, restarted on the same port when it dies.

    A thread of its own starts, watches and restarts it, because the kernel ties "end with your parent" to the thread that forked.

    Attributes:
        source: What to run.
        log_file: Where its output goes.
        ready: Called with the URL; returns once the server answers, raises EndpointError while it does not.
        port: The port it is given.
    """

    source: ManagedSource
    log_file: Path
    ready: Callable[[str], None]
    port: int
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _started: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, without waiting for it to answer.

        Raises:
            ConfigurationError: The command or its working directory does not exist.
        """
        command = self.source.command[0]
        folder = self.source.working_directory
        if folder and not Path(folder).is_dir():
            raise ConfigurationError(f"endpoints.managed.working_directory {folder!r} is not a folder")
        if shutil.which(command, path=None if os.sep in command else os.environ.get("PATH")) is None:
            raise ConfigurationError(
                f"endpoints.managed.command: {command!r} is not a program that can be run; give its full path"
            )
        self._thread = threading.Thread(target=self._watch, name=f"pixaris-server-{self.port}", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            UnreachableError: It ended, or did not answer within ``start_timeout`` seconds; the log's last lines are in the text.
        """
        deadline = time.monotonic() + self.source.start_timeout
        reason = "it did not start"
        while time.monotonic() < deadline:
            self._started.wait(self.source.start_timeout)
            if self.restarts > 0 or self._stop.is_set():
                reason = "it ended"
                break
            try:
                self.ready(self.url)
                return
            except EndpointError as error:
                reason = error.message
            time.sleep(0.05)
        name = " ".join(self.source.command).replace("{port}", str(self.port))
        raise UnreachableError(f"`{name}` is not ready: {reason}; its last lines:\n{log_tail(self.log_file)}", endpoint=self.url)

    def ask_to_stop(self) -> None:
        """Begin to end it and everything it started: SIGTERM to its group, after a grace SIGKILL."""
        self._stop.set()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS + 2)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._process = self._launch()
            self._started.set()
            while self._process.poll() is None and not self._stop.wait(0.1):
                pass
            if self._stop.is_set():
                break
            log.warning("server on port %d ended with code %s; starting it again", self.port, self._process.returncode)
            self.restarts += 1
            self._stop.wait(_RESTART_SECONDS)
        if self._process is not None:
            _end_group(self._process)

    def _launch(self) -> subprocess.Popen[bytes]:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            return subprocess.Popen(
                [part.replace("{port}", str(self.port)) for part in self.source.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.source.working_directory,
                env={**os.environ, **self.source.environment},
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )


class ServerProcesses:
    """The managed processes of one run; a context manager that stops them all.

    Args:
        sources: What to run.
        folder: Where their logs go.
        ready: As `ServerProcess.ready`.
    """

    def __init__(self, sources: list[ManagedSource], folder: Path, ready: Callable[[str], None]) -> None:
        replicas = [source for source in sources for _ in range(source.replicas)]
        self.processes = [
            ServerProcess(source, folder / f"endpoint-{number}.log", ready, port)
            for number, (source, port) in enumerate(zip(replicas, free_ports(len(replicas)), strict=True))
        ]

    def start(self) -> None:
        """Start them side by side and wait until each answers.

        Raises:
            ConfigurationError: A command cannot be run.
            UnreachableError: One did not come up; all are stopped then.
        """
        try:
            for process in self.processes:
                process.start()
            for process in self.processes:
                process.wait()
        except PixarisError:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop them all, side by side."""
        for process in self.processes:
            process.ask_to_stop()
        for process in self.processes:
            process.stop()

    def __enter__(self) -> ServerProcesses:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.stop()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, _STOP_SECONDS)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait()
