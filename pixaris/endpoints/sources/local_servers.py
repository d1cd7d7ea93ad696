"""Managed servers as processes of this machine: each joins the pool when it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pixaris.endpoints.discovery import Discovery, Down, Emitter, Failed, Note, Up, run_thread
from pixaris.endpoints.sources.base import ServerCommand
from pixaris.endpoints.sources.process import ServerProcess, ServerProcesses
from pixaris.exceptions import ConfigurationError, EndpointError, PixarisError, UnreachableError

_LOOPBACK = "127.0.0.1"


class Replica:
    """One managed server: its process is started and awaited, and what becomes of it is emitted.

    Args:
        name: Its name among what discoveries bring up.
        process: The process, not yet started.
        emit: Takes every event.
    """

    def __init__(self, name: str, process: ServerProcess, emit: Emitter) -> None:
        self._name = name
        self._emit = emit
        self._thread: threading.Thread | None = None
        self._joined = False
        self._stopped = False
        self.process = process
        process.died = self._died

    def start(self) -> None:
        """Start it, without waiting for it to answer."""
        try:
            self.process.start()
        except ConfigurationError as error:
            self._fail(error)
            return
        self._thread = run_thread((self._name,), self._await, self._emit)

    def ask_to_stop(self) -> None:
        """Begin to end it; nothing is emitted afterwards."""
        self._stopped = True
        self.process.ask_to_stop()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.ask_to_stop()
        self.process.stop()
        if self._thread is not None:
            self._thread.join(1.0)

    def _await(self) -> None:
        process = self.process
        try:
            process.wait()
        except EndpointError as error:
            self._fail(self._explained(error))
            if not process.comes_up():
                return
        if not self._stopped:
            self._joined = True
            self._emit(Up(self._name, process.server.endpoint(process.url)))

    def _fail(self, error: PixarisError) -> None:
        if not self._stopped:
            self._emit(Failed(self._name, error))

    def _died(self, sentence: str) -> None:
        if self._stopped or not self._joined:
            return  # why it does not come up is told once, by who waits for it
        self._emit(Note(sentence))
        if self.process.given_up:
            self._emit(Down(self.process.url))

    def _explained(self, error: EndpointError) -> EndpointError:
        """On a cluster, a server that listens on the loopback interface alone is up and cannot be reached."""
        process = self.process
        if process.host == _LOOPBACK or process.pid is None:
            return error
        try:
            process.ready(f"http://{_LOOPBACK}:{process.port}")
        except EndpointError:
            return error
        hint = (
            f"it answers on {_LOOPBACK} only; let it listen on {{host}}, as ComfyUI does with --listen"
            " {host}"
        )
        return UnreachableError(f"{error.message}\n{hint}", endpoint=error.endpoint)


class LocalServers(Discovery):
    """Managed servers on this machine.

    Args:
        servers: What to run.
        folder: Where their logs go.
        ready: As for `ServerProcesses`.
    """

    def __init__(
        self, servers: Sequence[ServerCommand], folder: Path, ready: Callable[[str], None] | None = None
    ) -> None:
        self._processes = ServerProcesses(servers, folder, ready).processes
        self._replicas: list[Replica] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(process.log_file.stem for process in self._processes)

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """The processes, in the order of their commands."""
        return tuple(self._processes)

    def start(self, emit: Emitter) -> None:
        for name, process in zip(self.names, self._processes, strict=True):
            self._replicas.append(Replica(name, process, emit))
            self._replicas[-1].start()

    def stop(self) -> None:
        for replica in self._replicas:
            replica.ask_to_stop()
        for replica in self._replicas:
            replica.stop()
