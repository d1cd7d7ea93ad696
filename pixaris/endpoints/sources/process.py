"""Server processes: start, await, watch, restart and stop them. Nothing outlives the process that started
them.
"""

from __future__ import annotations

import contextlib
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from pixaris.endpoints.sources.base import ServerCommand
from pixaris.exceptions import ConfigurationError, EndpointError, Problem, UnreachableError

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
# loaded before any fork: a forked child must not load libraries
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_RESTART_SECONDS = 1.0
_LONGEST_RESTART_SECONDS = 30.0
_STEADY_SECONDS = 60.0
"""Up for so long, a process has not failed to start: it is restarted at once, and as often as it takes."""
_LOG_LINES = 12
_EVENT_LINES = 5

# Reads from a pipe that only the process which started the servers holds open. A line: the server was ended
# in order. The end of the pipe: that process is gone, however it went; the server's group goes too, with what
# a script started or ignores SIGTERM.
_GUARD = """
read -r line && exit
kill -s TERM -- "-$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do kill -s 0 -- "-$1" || exit; sleep 0.1; done
kill -s KILL -- "-$1"
"""


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

    A thread of its own starts, watches and restarts it, because the kernel ties "end with your parent" to the
    thread that forked.

    Attributes:
        server: What to run.
        log_file: Where its output goes.
        ready: Called with the URL; returns once the server answers, raises EndpointError while it does not.
        port: The port it is given.
        grace: Seconds between SIGTERM and SIGKILL.
        restarts: How often it has died.
        host: The address it is reached at.
        max_restarts: Deaths in a row, each soon after its start, after which it is not started again.
        signals: Sent to its group one after the other to end it, before SIGKILL.
        died: Told of each death, with what follows and the log's last lines.
        given_up: Whether it is not started again.
    """

    server: ServerCommand
    log_file: Path
    ready: Callable[[str], None]
    port: int
    grace: float = 5.0
    restarts: int = 0
    host: str = "127.0.0.1"
    max_restarts: int = 8
    signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    died: Callable[[str], None] = log.warning
    given_up: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _ended: str = ""
    _deadline: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _started: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        if process is not None and process.returncode is None:
            return process.pid
        return None

    def start(self) -> None:
        """Start it, without waiting for it to answer.

        Raises:
            ConfigurationError: The command or its working directory does not exist.
        """
        if problem := command_problem(self.server):
            raise ConfigurationError(problem)
        self._deadline = time.monotonic() + self.server.start_timeout
        self._thread = threading.Thread(target=self._watch, name=f"pixaris-server-{self.port}", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            UnreachableError: It ended, or did not answer within ``start_timeout`` seconds; the log's last
                lines are in the text.
        """
        reason = "it did not start"
        self._started.wait(self.server.start_timeout)
        while not (self._ended or self._stop.is_set()) and time.monotonic() < self._deadline:
            try:
                self.ready(self.url)
                if self.pid is not None:
                    return
            except EndpointError as error:
                reason = error.message
            self._stop.wait(0.05)
        reason = self._ended or ("it was stopped" if self._stop.is_set() else reason)
        name = " ".join(self._command())
        raise UnreachableError(f"`{name}` is not ready: {reason}; its last lines:\n{log_tail(self.log_file)}")

    def comes_up(self) -> bool:
        """Wait until it answers, however long that takes; False once it is stopped or not started again."""
        while not self._stop.wait(_RESTART_SECONDS) and not self.given_up:
            with contextlib.suppress(EndpointError):
                self.ready(self.url)
                if self.pid is not None:
                    return True
        return False

    def ask_to_stop(self) -> None:
        """Begin to end it and everything it started: SIGTERM to its group, after a grace SIGKILL."""
        self._stop.set()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(self.grace + 2)

    def _watch(self) -> None:
        deaths = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._run()
            except OSError as error:
                self._ended = f"it cannot be run: {error}"
            self._started.set()
            if self._stop.is_set():
                break
            self.restarts += 1
            if time.monotonic() - began > _STEADY_SECONDS:
                deaths = 1
            else:
                deaths = deaths + 1
            self.given_up = deaths > self.max_restarts
            if self.given_up:
                follows = f"after {deaths} times in a row it is not started again"
            else:
                follows = "it is started again"
            self.died(
                f"{self.url}: {self._ended}; {follows}; its last"
                f" lines:\n{log_tail(self.log_file, _EVENT_LINES)}"
            )
            if self.given_up:
                break
            self._stop.wait(min(_RESTART_SECONDS * 2.0 ** (deaths - 1), _LONGEST_RESTART_SECONDS))

    def _run(self) -> None:
        """Run it until it ends or is to be stopped; nothing it started is left then."""
        process = self._process = self._launch()
        try:
            with _guarding(process.pid):
                self._started.set()
                while process.poll() is None and not self._stop.wait(0.1):
                    pass
                if process.returncode is not None:
                    self._ended = f"it ended with code {process.returncode}"
                _end_group(process, self.grace, self.signals)
        except BaseException:
            # Ctrl-C among them: a server must not outlive who started it
            _end_group(process, 0.0)
            raise

    def _command(self) -> list[str]:
        return [
            part.replace("{port}", str(self.port)).replace("{host}", self.host)
            for part in self.server.command
        ]

    def _launch(self) -> subprocess.Popen[bytes]:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        parent = os.getpid()
        with self.log_file.open("ab") as output:
            return subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.server.working_directory,
                env={**os.environ, **self.server.environment},
                start_new_session=True,
                preexec_fn=(lambda: _die_with(parent)) if _LIBC is not None else None,
            )


class ServerProcesses:
    """The managed processes of one run; a context manager that stops them all.

    Args:
        servers: What to run.
        folder: Where their logs go.
        ready: As `ServerProcess.ready`; by default each is probed as what its command says it is.
    """

    def __init__(
        self, servers: Sequence[ServerCommand], folder: Path, ready: Callable[[str], None] | None = None
    ) -> None:
        ports = free_ports(len(servers))
        self.processes = [
            ServerProcess(server, folder / f"endpoint-{number}.log", ready or server.probe, port)
            for number, (server, port) in enumerate(zip(servers, ports, strict=True))
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
        except BaseException:  # Ctrl-C among them: loading models takes a while
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def command_problem(server: ServerCommand) -> Problem | None:
    """What keeps a command from being run on this machine, if anything."""
    folder = server.working_directory
    if folder and not Path(folder).is_dir():
        return Problem("", f"{folder!r} is not a folder", "endpoints.managed.working_directory")
    if server.command:
        command = server.command[0]
    else:
        command = ""
    if not _can_run(command, folder, server.environment.get("PATH")):
        message = f"{command!r} is not a program that can be run; give its full path"
        return Problem("", message, "endpoints.managed.command")
    return None


def _can_run(command: str, folder: str | None, path: str | None) -> bool:
    if os.sep in command:
        # it is looked up from its working directory
        return shutil.which(os.path.join(folder or "", command)) is not None
    return bool(command) and shutil.which(command, path=path) is not None


def _die_with(parent: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # it died before it could be asked to take us along


@contextlib.contextmanager
def _guarding(group: int) -> Iterator[None]:
    """A small process that ends a process group when this process is gone without having done so."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "pixaris-guard", str(group)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            guard.communicate(b"\n", timeout=1.0)


def _end_group(
    process: subprocess.Popen[bytes], grace: float, signals: Sequence[signal.Signals] = (signal.SIGTERM,)
) -> None:
    """Signals to a server's process group and, once the server has ended or the grace is over, SIGKILL to
    what is left of it.
    """
    for number in signals:
        if process.returncode is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace / len(signals))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
