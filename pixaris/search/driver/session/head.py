"""A local Ray of our own: started with one retry, watched, and ended without leaving processes behind."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

log = logging.getLogger(__name__)

_LONGEST_TEMP = 36
"""Ray puts sockets below the folder for temporary files, in paths of which the kernel takes 107 bytes."""

_SHORT_TEMP = "/tmp"

_MAIN = ("gcs_server", "raylet")
"""The processes without which Ray does nothing."""


class Head:
    """Ray's processes on this machine."""

    def __init__(self) -> None:
        self._before = set(_children())
        self._main: dict[str, int] = {}

    def start(self) -> None:
        """Start Ray; once more, where the first try fails: a busy machine often takes longer than Ray waits.

        Raises:
            Exception: Whatever keeps it from coming up, the second time.
        """
        import ray

        for again in (False, True):
            try:
                with import_paths(), _environment(), _lean():
                    ray.init(
                        address="local",
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                    )
                break
            except Exception:
                # Ray has no one class of error for a start that fails; the second one is raised
                log.debug("Ray did not start", exc_info=True)
                ray.shutdown()
                self.end_leftovers()
                if again:
                    raise
        keep_quiet()
        self._main = {name: pid for pid, name in _children().items() if name in _MAIN}

    def fault(self) -> str:
        """Why it has ended; "" while it runs, or where that cannot be told.

        Where only the process that knows of all others has ended, those are ended here: they would ask for it
        for a minute, and so would this process, which Ray ends then.
        """
        lost = [name for name, pid in self._main.items() if not _is_alive(pid)]
        if not lost:
            return ""
        _let_nothing_call()
        if lost == ["gcs_server"]:
            self.end_leftovers()
        return (
            "Ray has ended unexpectedly: its main process was killed, for instance because the machine had no"
            " memory left; free some, and resume"
        )

    def end_leftovers(self) -> None:
        """End what a start that failed, or an end that came too early, has left running: Ray's processes, and
        those that they have started.
        """
        parents = _parents()
        leftovers = {pid for pid in _children() if pid not in self._before and _is_of_ray(pid)}
        ended: set[int] = set()
        while leftovers:
            ended |= leftovers
            for pid in leftovers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # By the parents as they were before anybody was ended: orphans get another parent.
            leftovers = {pid for pid, parent in parents.items() if parent in leftovers} - ended


def _let_nothing_call() -> None:
    """Keep what Tune leaves behind from calling a Ray that has ended, whenever it is collected: such a call
    waits for a minute, in whichever thread it happens to come.
    """
    from ray.air.execution.resources.placement_group import PlacementGroupResourceManager

    PlacementGroupResourceManager.__del__ = lambda manager: None


def is_own() -> bool:
    """Whether the Ray of this process was started by it, and is not a cluster that it has joined."""
    from ray._private import worker

    node = worker._global_node
    return node is not None and bool(node.is_head())


@contextlib.contextmanager
def import_paths() -> Iterator[None]:
    """Let the processes that Ray starts now find the user's own modules, as this process does."""
    before = os.environ.get("PYTHONPATH")
    installed = tuple(os.path.abspath(prefix) for prefix in (sys.prefix, sys.base_prefix))
    paths = dict.fromkeys(os.path.abspath(path) for path in sys.path)
    own = [path for path in paths if os.path.isdir(path) and not path.startswith(installed)]
    os.environ["PYTHONPATH"] = os.pathsep.join(own)
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """What a Ray of our own is started with: a token of its own, and a short path for its sockets.

    Ray makes a token where none is set, and writes it into the home folder, which may be read-only.
    """
    given = {}
    token_file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", Path.home() / ".ray" / "auth_token"))
    if "RAY_AUTH_TOKEN" not in os.environ and not token_file.is_file():
        given["RAY_AUTH_TOKEN"] = secrets.token_hex(16)
    temp = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(temp) > _LONGEST_TEMP and os.access(_SHORT_TEMP, os.W_OK | os.X_OK):
        given["RAY_TMPDIR"] = _SHORT_TEMP
    os.environ.update(given)
    yield


@contextlib.contextmanager
def _lean() -> Iterator[None]:
    """Start Ray without what nobody asks for here: the autoscaler's monitor, the log monitor, and the server
    of the dashboard. `ray start` has flags for them (``--no-monitor``); `ray.init` has none, so that it is
    given other parameters. They cost a second of CPU each.

    And start it in a process group of its own: what is sent to the search's whole group (by `timeout`, by a
    shell's `kill -- -PID`, by a batch system) would end Ray before the search can stop in order.
    """
    from ray._private import parameter, services

    class Parameters(parameter.RayParams):
        def __init__(self, **given: object) -> None:
            super().__init__(**{**given, "no_monitor": True, "include_log_monitor": False})

    before = parameter.RayParams, services.start_api_server, services.ConsolePopen
    own_group = partial(services.ConsolePopen, process_group=0)
    parameter.RayParams, services.start_api_server = Parameters, lambda *given, **options: (None, None)
    services.ConsolePopen = own_group
    try:
        yield
    finally:
        parameter.RayParams, services.start_api_server, services.ConsolePopen = before


def keep_quiet() -> None:
    """Send what Ray prints of its own processes' troubles to the log, where those who ask for it find it."""
    from ray._private import worker

    worker.print_to_stdstream = _to_log


def _to_log(data: Mapping[str, object], *more: object, **options: object) -> None:
    log.debug("Ray says: %s", data.get("lines"))


def _children() -> dict[int, str]:
    """Process id to name of this process's own children; none where the system does not tell."""
    return {pid: name for pid, (name, parent) in _processes().items() if parent == os.getpid()}


def _parents() -> dict[int, int]:
    """Process id to that of the process that started it, of all there are."""
    return {pid: parent for pid, (_, parent) in _processes().items()}


def _processes() -> dict[int, tuple[str, int]]:
    """Process id to name and parent."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = entry.read_text().partition("(")[2].rpartition(")")
        except OSError:  # it has ended meanwhile
            continue
        found[int(entry.parent.name)] = name, int(rest.split()[1])
    return found


def _is_alive(pid: int) -> bool:
    try:
        # A zombie has ended; only its parent has not asked how.
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def _is_of_ray(pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"/ray/" in command or command.startswith(b"ray::")
