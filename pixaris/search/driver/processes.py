"""The processes of a search, while it runs: who they are, and what becomes of those that are stopped.

Whoever ends them when the driver is killed is told who they are. One that stays stopped is told of, and
ended, so that another takes over. A stopped process (SIGSTOP, a debugger that forgot it, a container that is
paused and resumed in part) is not dead: Ray waits for it for ever. A busy one, which answers nobody for a
minute, is not stopped: the system says so. And whoever judges must have been awake: a laptop that was
suspended has stopped everybody alike.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pixaris.threads import beside

log = logging.getLogger(__name__)

LIMIT_SECONDS = 30.0
_LOOK_SECONDS = 2.0
_FAR_SECONDS = 10.0
"""Between two looks at other machines, which take a process there."""
_ASLEEP_SECONDS = 10.0
"""Who looks so much later than it meant to has been asleep or starved itself, and starts to count anew."""

_WORDS = {
    "PoolActor": "the endpoint pool",
    "WorkerActor": "an endpoint worker",
    "ResourceTrainable": "a trial's process",
}


@dataclass(frozen=True)
class Process:
    """A process of the search.

    Attributes:
        node: Id of Ray's node that it runs on.
        pid: Its number there.
        role: What it does, in words.
    """

    node: str
    pid: int
    role: str


class StoppedProcesses:
    """Counts for how long processes have been stopped. Pure.

    Args:
        limit: Seconds after which one is given up.
    """

    def __init__(self, limit: float = LIMIT_SECONDS) -> None:
        self._limit = limit
        self._since: dict[Process, float] = {}
        self._looked: float | None = None

    def look(self, stopped: Iterable[Process], now: float) -> list[Process]:
        """Take in who is stopped now.

        Args:
            stopped: Processes that the system says are stopped.
            now: Seconds, monotonic.

        Returns:
            Those that have been stopped for the limit, each time somebody looked.
        """
        # Whoever counts was stopped itself: the machine slept, and nobody is to blame.
        if self._looked is not None and now - self._looked > _FAR_SECONDS + _ASLEEP_SECONDS:
            self._since.clear()
        self._looked = now
        self._since = {process: self._since.get(process, now) for process in stopped}
        return [process for process, since in self._since.items() if now - since >= self._limit]


@contextlib.contextmanager
def following_processes(
    emit: Callable[[str], object], here: Callable[[list[int]], object], limit: float = LIMIT_SECONDS
) -> Iterator[None]:
    """Follow this search's processes and end those that stay stopped, as long as the block runs.

    Args:
        emit: Is told of each that is ended.
        here: Is told which run on this machine, whenever that changes.
        limit: Seconds that one may be stopped.
    """
    node = ray.get_runtime_context().get_node_id()

    def watch(over: threading.Event) -> None:
        counts = StoppedProcesses(limit)
        told: list[int] = []
        while not over.wait(_LOOK_SECONDS):
            processes = list(_processes())
            local = sorted(process.pid for process in processes if process.node == node)
            # Told again only where it changes: each time a message goes to the janitor.
            if local != told:
                here(local)
                told = local
            for process in counts.look(_stopped(processes, node), time.monotonic()):
                _end(process)
                emit(
                    f"{process.role} (process {process.pid}) was stopped for {limit:g} s; it is ended, and"
                    " its work handed on"
                )

    with beside("pixaris-frozen", watch, _LOOK_SECONDS):
        yield


def _stopped(processes: Iterable[Process], here: str) -> list[Process]:
    """Those that are stopped, on all machines."""
    by_node: defaultdict[str, list[Process]] = defaultdict(list)
    for process in processes:
        by_node[process.node].append(process)
    found = [process for process in by_node.pop(here, []) if is_stopped(process.pid)]
    for node, others in by_node.items():
        stopped = _ask(node, _stopped_among, [process.pid for process in others]) or []
        found += [process for process in others if process.pid in stopped]
    return found


def has_trials() -> bool:
    """Whether Ray has given this search a place for any trial, though its process may be coming up yet."""
    alive = (row for row in _actors() if row.get("State") != "DEAD")
    return any(str(row.get("ActorClassName")).endswith("Trainable") for row in alive)


def _actors() -> list[Mapping[str, Any]]:
    """The actors of this job: Ray has no public way to list them without its dashboard."""
    from ray._private.state import actors

    job = ray.get_runtime_context().get_job_id()
    try:
        table: Mapping[str, Mapping[str, Any]] = actors()
    except Exception:
        # a private call, whose errors differ between Ray's versions; the caller asks again in a moment
        log.debug("Ray does not say which processes there are", exc_info=True)
        return []
    return [row for row in table.values() if row.get("JobID") == job]


def _processes() -> Iterator[Process]:
    for row in _actors():
        if row.get("State") == "ALIVE" and row.get("Pid"):
            role = _WORDS.get(str(row.get("ActorClassName")).rpartition(".")[2], "a helper process")
            yield Process(str(row["Address"]["NodeID"]), int(row["Pid"]), role)


def is_stopped(pid: int) -> bool:
    """Whether a process of this machine was stopped by a signal; False where that cannot be told."""
    try:
        # The name stands in brackets, and may hold brackets and spaces itself: the state follows the last
        # one.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except (OSError, IndexError):
        return False


def _end(process: Process) -> None:
    if process.node == ray.get_runtime_context().get_node_id():
        _kill(process.pid)
    else:
        _ask(process.node, _kill, process.pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _stopped_among(pids: list[int]) -> list[int]:
    return [pid for pid in pids if is_stopped(pid)]


def _ask(node: str, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  (what it returns)
    """Run a function on another machine; None where it does not answer: then nobody is judged."""
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=where)
    try:
        return ray.get(task.remote(*arguments), timeout=_ASLEEP_SECONDS)
    except (RayError, TimeoutError):
        log.debug("node %s does not answer", node, exc_info=True)
        return None
