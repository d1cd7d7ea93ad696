"""Managed servers on a cluster: an actor for each, on the node that has the GPUs it asks for."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import ray
from ray.exceptions import ActorUnavailableError, RayError

from pixaris.endpoints.discovery import Discovery, Down, Emitter, Event, Failed, Note, Up, run_thread
from pixaris.endpoints.ray.demand import Demand, most_gpus
from pixaris.endpoints.ray.messages import ActorHandle
from pixaris.endpoints.ray.nodes import this_node
from pixaris.endpoints.sources.base import ServerCommand
from pixaris.endpoints.sources.local_servers import Replica
from pixaris.endpoints.sources.process import ServerProcess, free_ports
from pixaris.exceptions import UnreachableError

_COLLECT_SECONDS = 5.0
_CHECK_SECONDS = 0.25
_MAX_RESTARTS = 5
_STOP_SECONDS = 8.0
_MOST_LOGGED = 1 << 18
"""Bytes of a log that travel at once."""


@dataclass(frozen=True)
class Events:
    """What happened to one server.

    Attributes:
        token: Of the actor's process: another one than before has started from nothing.
        events: What happened since it was asked before.
        log: What its log has more than the caller knows, where the log is on another machine than the
            driver's.
    """

    token: str
    events: tuple[Event, ...]
    log: bytes = b""


class ManagedServerActor:
    """Runs one managed server on the node where Ray places it. Threaded.

    The server ends with this process, however it ends: see `ServerProcess`.

    Args:
        name: The server's name among what discoveries bring up.
        server: What to run.
        log_file: Where its output goes on the driver's node; on others it goes to a temporary folder, and
            from there to the driver.
        on_cluster: Whether it is reached from other nodes.
        home: Id of the driver's node.
    """

    def __init__(self, name: str, server: ServerCommand, log_file: Path, on_cluster: bool, home: str) -> None:
        self._token = uuid.uuid4().hex
        self._events: list[Event] = []
        self._changed = threading.Condition()
        _undo_rays_environment(server)
        if on_cluster:
            host = ray.util.get_node_ip_address()
        else:
            host = "127.0.0.1"
        self._is_far = this_node() != home
        if self._is_far:
            log_file = Path(tempfile.mkdtemp(prefix="pixaris-")) / log_file.name
        self._log_file = log_file
        process = ServerProcess(server, log_file, server.probe, free_ports(1)[0], host=host)
        self._replica = Replica(name, process, self._emit)
        # For an end in order; where this process is killed, the server's guard ends it (see
        # `ServerProcess`).
        atexit.register(self._replica.stop)
        self._replica.start()

    def collect(self, token: str, seen: int, logged: int) -> Events:
        """Wait for events, at most some seconds; who does not know this process yet is answered at once.

        Args:
            token: Of the events the caller has had.
            seen: How many it has had with that token.
            logged: How many bytes of the log it has had with that token.
        """
        with self._changed:
            if token != self._token:
                return Events(self._token, tuple(self._events), self._logged(0))
            self._changed.wait_for(lambda: len(self._events) > seen, timeout=_COLLECT_SECONDS)
            return Events(self._token, tuple(self._events[seen:]), self._logged(logged))

    def server_pid(self) -> int | None:
        """The server's process on its node."""
        return self._replica.process.pid

    def stop(self, logged: int) -> bytes:
        """End the server, and wait until it has ended; gives the rest of its log, as `collect` does."""
        self._replica.stop()
        return self._logged(logged)

    def _logged(self, since: int) -> bytes:
        """What stands in the log of a far server after so many bytes."""
        if not self._is_far or not self._log_file.is_file():
            return b""
        with self._log_file.open("rb") as file:
            file.seek(since)
            return file.read(_MOST_LOGGED)

    def _emit(self, event: Event) -> None:
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()


@dataclass
class _Placed:
    """One server as the driver sees it."""

    name: str
    server: ServerCommand
    actor: ActorHandle
    deadline: float
    log_file: Path
    token: str = ""
    seen: int = 0
    logged: int = 0
    urls: set[str] = field(default_factory=set)
    said: bool = False
    late: bool = False

    def ask(self) -> ray.ObjectRef:
        return self.actor.collect.remote(self.token, self.seen, self.logged)

    def keep_log(self, data: bytes) -> None:
        """Append what a far server has written to its log on this machine."""
        self.logged += len(data)
        if data:
            with contextlib.suppress(OSError):  # a log is no reason to end a search
                self.log_file.parent.mkdir(parents=True, exist_ok=True)
                with self.log_file.open("ab") as file:
                    file.write(data)


class ManagedServers(Discovery):
    """Managed servers as actors: Ray finds each a node with the GPUs it asks for, and starts it elsewhere if
    its node dies.

    Ray must be up from `start` to `stop`.

    Args:
        servers: What to run.
        folder: Where their logs go, on this machine.
        on_cluster: Whether there are, or may be, other nodes: then servers are reached at their nodes'
            addresses.
        patience: Seconds since the last one was placed, after which the user is told what waits for GPUs.
        limits: Says which GPUs the cluster can have, as `most_gpus`.
    """

    def __init__(
        self,
        servers: Sequence[ServerCommand],
        folder: Path,
        *,
        on_cluster: bool = False,
        patience: float = 5.0,
        limits: Callable[[], tuple[float, float] | None] = most_gpus,
    ) -> None:
        self._wanted = [(f"managed-{number}", server) for number, server in enumerate(servers)]
        self._folder = folder
        self._on_cluster = on_cluster
        self._patience = patience
        self._limits = limits
        self._demand = Demand([server.num_gpus for server in servers])
        self._placed: list[_Placed] = []
        self._last_placed = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._wanted)

    def start(self, emit: Emitter) -> None:
        self._last_placed = time.monotonic()
        if self._on_cluster:
            # Ahead of the processes that wait for them: all of it at once.
            self._demand.ask(_total(), _free())
        actor_class = ray.remote(num_cpus=0, max_concurrency=4, max_restarts=_MAX_RESTARTS)(
            ManagedServerActor
        )
        for name, server in self._wanted:
            log_file = (self._folder / f"{name}.log").resolve()
            folder = server.working_directory
            if folder is not None and not self._on_cluster:
                # on a cluster it is on the node, seen from the job's folder
                server = replace(server, working_directory=str(Path(folder).resolve()))
            placing = actor_class.options(num_gpus=server.num_gpus)
            actor = placing.remote(name, server, log_file, self._on_cluster, this_node())
            deadline = time.monotonic() + server.start_timeout
            self._placed.append(_Placed(name, server, actor, deadline, log_file))
        self._thread = run_thread(self.names, lambda: self._follow(emit), emit)

    def stop(self) -> None:
        try:
            self._end()
        finally:
            self._demand.release()

    def _end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_CHECK_SECONDS + 1.0)
        # Only those that are placed: a call to one that still waits for GPUs would wait with it.
        stopping = {one.actor.stop.remote(one.logged): one for one in self._placed if one.token}
        if stopping:
            ended, _ = ray.wait(list(stopping), num_returns=len(stopping), timeout=_STOP_SECONDS)
            for ref in ended:
                with contextlib.suppress(RayError):  # it was lost with its node
                    stopping[ref].keep_log(ray.get(ref))
        for one in self._placed:
            ray.kill(one.actor)

    def server_pids(self) -> tuple[int | None, ...]:
        """The servers' processes, each on its node; of those that run on one."""
        pids: list[int | None] = ray.get([one.actor.server_pid.remote() for one in self._placed if one.token])
        return tuple(pids)

    def _follow(self, emit: Emitter) -> None:
        if self._on_cluster:
            self._tell_what_can_never_be(emit)
        asked = {one.ask(): one for one in self._placed}
        while asked and not self._stop.is_set():
            for ref in ray.wait(list(asked), num_returns=1, timeout=_CHECK_SECONDS)[0]:
                one = asked.pop(ref)
                if self._take(one, ref, emit):
                    asked[one.ask()] = one
            if all(one.token or one.late for one in self._placed):
                # Those that are placed hold their nodes themselves; a killed search leaves no demand behind.
                self._demand.release()
            if not self._stop.is_set():
                self._note_what_waits(emit, time.monotonic())

    def _take(self, one: _Placed, ref: ray.ObjectRef, emit: Emitter) -> bool:
        """Emit an actor's events; False once it does not come back."""
        try:
            collected: Events = ray.get(ref)
        except ActorUnavailableError:  # Ray starts it again, or it cannot be reached just now
            self._stop.wait(_CHECK_SECONDS)
            return not self._stop.is_set()
        except RayError as error:
            if not self._stop.is_set():
                _leave(one, emit)
                reason = f"{one.name} is lost and is not started again: {' '.join(str(error).split())}"
                emit(Failed(one.name, UnreachableError(reason)))
            return False
        if collected.token != one.token:
            if one.token:
                _leave(one, emit)
                emit(Note(f"the process that kept {one.name} ended, or its node; Ray has started another"))
            # The new process has told nothing yet: its events and its log count from 0.
            one.token, one.seen, one.logged = collected.token, 0, 0
            self._last_placed = time.monotonic()
        # Before the events are told: who reads of a failure looks into the log.
        one.keep_log(collected.log)
        one.seen += len(collected.events)
        for event in collected.events:
            if isinstance(event, Up):
                one.urls.add(event.endpoint.url)
            elif isinstance(event, Down):
                one.urls.discard(event.url)
            if not self._stop.is_set():
                emit(event)
        return True

    def _tell_what_can_never_be(self, emit: Emitter) -> None:
        """Say at once which servers no node can take that the autoscaler may start, nor any that is there."""
        limits = self._limits()
        if limits is None:
            return
        there = max(float(node["Resources"].get("GPU", 0.0)) for node in ray.nodes() if node["Alive"])
        largest, together = max(limits[0], there), max(limits[1], _total())
        for one in self._placed:
            if one.server.num_gpus > largest:
                one.said = one.late = True
                reason = (
                    f"{one.name} wants num_gpus: {one.server.num_gpus:g}, and no node of this cluster can"
                    f" have more than {largest:g}; ask for fewer, or add a worker group that has them"
                )
                emit(Failed(one.name, UnreachableError(reason)))
        wanted = sum(one.server.num_gpus for one in self._placed if not one.late)
        if wanted > together:
            emit(
                Note(
                    f"managed servers want {wanted:g} GPUs, and this cluster can have {together:g} at most;"
                    " the others wait: ask for fewer replicas, or raise the limits of the worker groups"
                )
            )

    def _note_what_waits(self, emit: Emitter, now: float) -> None:
        """Say which servers wait for GPUs. After its start-up time-out one has failed; it joins if it is
        placed after all.
        """
        waiting = [one for one in self._placed if not one.token and one.server.num_gpus]
        quiet = now - self._last_placed
        fresh = [one for one in waiting if not one.said and quiet >= self._patience_with(one.server)]
        for gpus, group in itertools.groupby(fresh, key=lambda one: one.server.num_gpus):
            some = list(group)
            several = len(some) > 1
            if several:
                count = f"{len(some)} managed servers wait"
            else:
                count = f"{some[0].name} waits"
            emit(Note(f"{count} for num_gpus: {gpus:g}{' each' if several else ''}; {_gpus()}"))
            for one in some:
                one.said = True
        for one in waiting:
            if not one.late and now > one.deadline:
                one.late = True
                emit(Failed(one.name, self._too_late(one)))

    @staticmethod
    def _too_late(one: _Placed) -> UnreachableError:
        wish = f"{one.name} has waited {one.server.start_timeout:g} s for num_gpus: {one.server.num_gpus:g}"
        return UnreachableError(f"{wish}; {_gpus()}; ask for fewer replicas or GPUs, or add nodes")

    def _patience_with(self, server: ServerCommand) -> float:
        """Longer while none is placed although the cluster has the GPUs: then processes are still being
        started.
        """
        certain = (
            any(one.token for one in self._placed)
            or ray.cluster_resources().get("GPU", 0.0) < server.num_gpus
        )
        if certain:
            return self._patience
        return 6 * self._patience


def _leave(one: _Placed, emit: Emitter) -> None:
    for url in one.urls:
        emit(Down(url))
    one.urls.clear()


def _total() -> float:
    """GPUs that the cluster has."""
    return float(ray.cluster_resources().get("GPU", 0.0))


def _free() -> float:
    """Those of them that nobody uses."""
    return float(ray.available_resources().get("GPU", 0.0))


def _gpus() -> str:
    """What the cluster has, in words."""
    total = _total()
    if total:
        return f"the cluster has {total:g} GPU(s), {_free():g} of them free"
    return "the cluster has no GPU"


def _undo_rays_environment(server: ServerCommand) -> None:
    """Ray sets, for its own workers, what would slow a server down or hide the GPUs of one that asked for
    none in particular.
    """
    os.environ.pop("OMP_NUM_THREADS", None)
    if not server.num_gpus and os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        del os.environ["CUDA_VISIBLE_DEVICES"]
