"""Managed servers on a cluster: an actor for each, on the node that has the GPUs it asks for."""

from __future__ import annotations

import atexit
import itertools
import os
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayError

from pixaris.endpoints.clients import answers
from pixaris.endpoints.discovery import ManagedSource
from pixaris.endpoints.feeds import Down, Failed, Feed, Notice, Report, Told, Up, run_thread
from pixaris.endpoints.managed import Replica
from pixaris.endpoints.process import ServerProcess, free_ports
from pixaris.exceptions import UnreachableError

_COLLECT_SECONDS = 5.0
_LOOK_SECONDS = 0.25
_MAX_RESTARTS = 5
_STOP_SECONDS = 8.0


@dataclass(frozen=True)
class News:
    """What an actor has to report.

    Attributes:
        token: Of the actor's process: another one than before has started from nothing.
        notices: What happened since.
    """

    token: str
    notices: tuple[Notice, ...]


class ManagedServerActor:
    """Runs one managed server on the node where Ray places it. Threaded.

    The server ends with this process, however it ends: see `ServerProcess`.

    Args:
        name: The server's name among what the feeds bring up.
        source: What to run.
        log_file: Where its output goes; on a node where that cannot be, in a temporary folder.
        on_cluster: Whether it is reached from other nodes.
    """

    def __init__(self, name: str, source: ManagedSource, log_file: Path, on_cluster: bool) -> None:
        self._token = uuid.uuid4().hex
        self._notices: list[Notice] = []
        self._changed = threading.Condition()
        _undo_rays_environment(source)
        host = ray.util.get_node_ip_address() if on_cluster else "127.0.0.1"
        process = ServerProcess(source, _writable(log_file), answers, free_ports(1)[0], host=host)
        self._replica = Replica(name, process, self._report)
        atexit.register(self._replica.stop)
        self._replica.start()

    def collect(self, token: str, seen: int) -> News:
        """Wait for news, at most some seconds; who does not know this process yet is answered at once.

        Args:
            token: Of the news the caller has had.
            seen: How many notices it has had with that token.
        """
        with self._changed:
            if token != self._token:
                return News(self._token, tuple(self._notices))
            self._changed.wait_for(lambda: len(self._notices) > seen, timeout=_COLLECT_SECONDS)
            return News(self._token, tuple(self._notices[seen:]))

    def server_pid(self) -> int | None:
        """The server's process on its node."""
        return self._replica.process.pid

    def stop(self) -> None:
        """End the server, and wait until it has ended."""
        self._replica.stop()

    def _report(self, notice: Notice) -> None:
        with self._changed:
            self._notices.append(notice)
            self._changed.notify_all()


@dataclass
class _Placed:
    """One server as the driver sees it."""

    name: str
    source: ManagedSource
    actor: Any
    deadline: float
    token: str = ""
    seen: int = 0
    urls: set[str] = field(default_factory=set)
    said: bool = False
    late: bool = False

    def ask(self) -> ray.ObjectRef:
        return self.actor.collect.remote(self.token, self.seen)


class ManagedServers(Feed):
    """Managed servers as actors: Ray finds each a node with the GPUs it asks for, and starts it elsewhere if
    its node dies.

    Ray must be up from `start` to `stop`.

    Args:
        sources: What to run.
        folder: Where their logs go, on nodes that can write there.
        on_cluster: Whether there are, or may be, other nodes: then servers are reached at their nodes'
            addresses.
        patience: Seconds since the last one was placed, after which the user is told what waits for GPUs.
    """

    def __init__(
        self,
        sources: Sequence[ManagedSource],
        folder: Path,
        *,
        on_cluster: bool = False,
        patience: float = 5.0,
    ) -> None:
        replicas = [source for source in sources for _ in range(source.replicas)]
        self._wanted = [(f"managed-{number}", source) for number, source in enumerate(replicas)]
        self._folder = folder
        self._on_cluster = on_cluster
        self._patience = patience
        self._placed: list[_Placed] = []
        self._last_placed = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._wanted)

    def start(self, report: Report) -> None:
        self._last_placed = time.monotonic()
        actor_class = ray.remote(num_cpus=0, max_concurrency=4, max_restarts=_MAX_RESTARTS)(
            ManagedServerActor
        )
        for name, source in self._wanted:
            log_file = (self._folder / f"{name}.log").resolve()
            if (
                source.working_directory is not None and not self._on_cluster
            ):  # else it is on the node, seen from the job's folder
                source = replace(source, working_directory=str(Path(source.working_directory).resolve()))
            actor = actor_class.options(num_gpus=source.num_gpus).remote(
                name, source, log_file, self._on_cluster
            )
            self._placed.append(_Placed(name, source, actor, time.monotonic() + source.start_timeout))
        self._thread = run_thread(self.names, lambda: self._follow(report), report)

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LOOK_SECONDS + 1.0)
        stopping = [one.actor.stop.remote() for one in self._placed if one.token]
        if stopping:
            ray.wait(stopping, num_returns=len(stopping), timeout=_STOP_SECONDS)
        for one in self._placed:
            ray.kill(one.actor)

    def server_pids(self) -> tuple[int | None, ...]:
        """The servers' processes, each on its node; of those that run on one."""
        pids: list[int | None] = ray.get([one.actor.server_pid.remote() for one in self._placed if one.token])
        return tuple(pids)

    def _follow(self, report: Report) -> None:
        asked = {one.ask(): one for one in self._placed}
        while asked and not self._stop.is_set():
            for ref in ray.wait(list(asked), num_returns=1, timeout=_LOOK_SECONDS)[0]:
                one = asked.pop(ref)
                if self._take(one, ref, report):
                    asked[one.ask()] = one
            if not self._stop.is_set():
                self._tell_what_waits(report, time.monotonic())

    def _take(self, one: _Placed, ref: ray.ObjectRef, report: Report) -> bool:
        """Report an actor's news; False once it does not come back."""
        try:
            news: News = ray.get(ref)
        except RayError as error:
            if self._stop.is_set():
                return False
            if isinstance(
                error, ActorUnavailableError
            ):  # Ray starts it again, or it cannot be reached just now
                self._stop.wait(_LOOK_SECONDS)
                return True
            _leave(one, report)
            reason = f"{one.name} is lost and is not started again: {' '.join(str(error).split())}"
            report(Failed(one.name, UnreachableError(reason)))
            return False
        if news.token != one.token:
            if one.token:
                _leave(one, report)
                report(Told(f"the process that kept {one.name} ended, or its node; Ray has started another"))
            one.token, one.seen, self._last_placed = news.token, 0, time.monotonic()
        one.seen += len(news.notices)
        for notice in news.notices:
            if isinstance(notice, Up):
                one.urls.add(notice.endpoint.url)
            elif isinstance(notice, Down):
                one.urls.discard(notice.url)
            if not self._stop.is_set():
                report(notice)
        return True

    def _tell_what_waits(self, report: Report, now: float) -> None:
        """Say which servers wait for GPUs. After its start-up time-out one has failed; it joins if it is
        placed after all.
        """
        waiting = [one for one in self._placed if not one.token and one.source.num_gpus]
        fresh = [
            one
            for one in waiting
            if not one.said and now - self._last_placed >= self._patience_with(one.source)
        ]
        for gpus, group in itertools.groupby(fresh, key=lambda one: one.source.num_gpus):
            some = list(group)
            count = f"{some[0].name} waits" if len(some) == 1 else f"{len(some)} managed servers wait"
            report(Told(f"{count} for num_gpus: {gpus:g}{' each' if len(some) > 1 else ''}; {_gpus()}"))
            for one in some:
                one.said = True
        for one in waiting:
            if not one.late and now > one.deadline:
                one.late = True
                wish = (
                    f"{one.name} has waited {one.source.start_timeout:g} s for num_gpus:"
                    f" {one.source.num_gpus:g}; {_gpus()}"
                )
                report(
                    Failed(
                        one.name, UnreachableError(f"{wish}; ask for fewer replicas or GPUs, or add nodes")
                    )
                )

    def _patience_with(self, source: ManagedSource) -> float:
        """Longer while none is placed although the cluster has the GPUs: then processes are still being
        started.
        """
        certain = (
            any(one.token for one in self._placed)
            or ray.cluster_resources().get("GPU", 0.0) < source.num_gpus
        )
        return self._patience if certain else 6 * self._patience


def _leave(one: _Placed, report: Report) -> None:
    for url in one.urls:
        report(Down(url))
    one.urls.clear()


def _gpus() -> str:
    """What the cluster has, in words."""
    total = ray.cluster_resources().get("GPU", 0.0)
    free = ray.available_resources().get("GPU", 0.0)
    return f"the cluster has {total:g} GPU(s), {free:g} of them free" if total else "the cluster has no GPU"


def _undo_rays_environment(source: ManagedSource) -> None:
    """Ray sets, for its own workers, what would slow a server down or hide the GPUs of one that asked for
    none in particular.
    """
    os.environ.pop("OMP_NUM_THREADS", None)
    if not source.num_gpus and os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        del os.environ["CUDA_VISIBLE_DEVICES"]


def _writable(log_file: Path) -> Path:
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        log_file.touch()
    except OSError:  # another node, which does not have the driver's folders
        return Path(tempfile.mkdtemp(prefix="pixaris-")) / log_file.name
    return log_file
