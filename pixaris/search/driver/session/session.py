"""Ray for one search: started in a thread, so that it comes up while the program imports what it needs.

What Ray says of its own troubles is for those who develop it. Here it becomes one line with a way out.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from types import TracebackType

from pixaris.exceptions import ClusterError, PixarisError
from pixaris.search.driver.session import address, head

log = logging.getLogger(__name__)

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
}

START_SECONDS = 60.0
"""How long a Ray of our own may take to come up, a second try among them."""

JOIN_SECONDS = 30.0
"""How long a cluster may take to answer."""

_LOOK_SECONDS = 0.2

_END_SECONDS = 20.0
"""How long a search may take to end after its Ray has. Most end within ten seconds; what stands in a call to
the Ray that is gone cannot be called back, and is ended by Ray itself after a minute, without a word.
"""


def begins_here() -> bool:
    """Whether a search that starts now begins a Ray of its own, on this machine."""
    ray = sys.modules.get("ray")
    return not address.named() and not (ray is not None and ray.is_initialized())


class RaySession:
    """The session this process has, else the cluster of the environment, else a local Ray of our own, ended
    with the block.

    Attributes:
        on_cluster: Whether Ray has, or may get, other nodes than this machine; known from the start for a
            session that this process begins itself.
    """

    def __init__(self) -> None:
        self._address = address.named()
        self.on_cluster = bool(self._address)
        self._head = head.Head()
        self._thread: threading.Thread | None = None
        self._imported, self._up, self._over = threading.Event(), threading.Event(), threading.Event()
        self._ended = threading.Event()
        self._last_words: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> RaySession:
        """Begin to start Ray.

        Raises:
            ConfigurationError: The address is none that a search can run on.
        """
        address.check(self._address)
        os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
        _silence()
        ray = sys.modules.get("ray")
        if ray is not None and ray.is_initialized():
            self._imported.set()
            nodes = sum(bool(node["Alive"]) for node in ray.nodes())
            self.on_cluster = self.on_cluster or nodes > 1 or not head.is_own()
        else:
            self._thread = threading.Thread(target=self._run, name="pixaris-ray", daemon=True)
            self._thread.start()
        return self

    def wait_for_import(self) -> None:
        """Return once Ray is imported whole: this thread may import parts of it then."""
        self._imported.wait()

    def wait(self) -> None:
        """Return once Ray is up.

        Raises:
            ClusterError: It does not come up, or cannot be reached.
        """
        if self._thread is None:
            return
        if self._address:
            limit = JOIN_SECONDS
        else:
            limit = START_SECONDS
        deadline = time.monotonic() + limit
        while not self._up.wait(_LOOK_SECONDS):  # in pieces: a signal's handler runs in between
            if time.monotonic() > deadline:
                raise ClusterError(address.too_late(self._address, limit))
        if isinstance(self._error, PixarisError):
            raise self._error
        if self._error is not None:
            raise ClusterError(address.explained(self._error, self._address)) from self._error

    def fault(self) -> str:
        """Why Ray has ended although nobody asked it to; "" while it runs, or where that cannot be told."""
        if not self._up.is_set() or self._address:
            return ""
        lost = self._head.fault()
        if lost and self._last_words is None:
            self._last_words = threading.Thread(target=self._end_by_force, args=(lost,), daemon=True)
            self._last_words.start()
        return lost

    def _end_by_force(self, lost: str) -> None:
        """End this process, with its last words, where the session does not end in order.

        Args:
            lost: Why Ray has ended.
        """
        if self._ended.wait(_END_SECONDS):
            return
        sys.stdout.flush()
        sys.stderr.write(f"error: {lost}\nresume with: the same command and --resume\n")
        sys.stderr.flush()
        # No exception reaches a thread that stands in Ray; and Ray would end the process without its words.
        os._exit(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._end()
        finally:
            self._ended.set()

    def _end(self) -> None:
        if self._thread is None:
            return
        if self._up.is_set():
            import ray

            ray.shutdown()
            # The thread that started Ray may end now, and not before: see `_run`.
            self._over.set()
            self._thread.join()
        self._head.end_leftovers()

    def _run(self) -> None:
        try:
            self._import()
            if self._address:
                _join()
            else:
                self._head.start()
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            self._error = error
        self._up.set()
        self._over.wait()  # the kernel ends Ray's processes with the thread that started them

    def _import(self) -> None:
        try:
            import ray  # noqa: F401  (here, as it takes a second)

            _silence()  # importing it makes its loggers anew
        finally:
            self._imported.set()


def _silence() -> None:
    """Keep Ray's own words from the terminal."""
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _join() -> None:
    """Join the cluster of the environment."""
    import ray

    with head.import_paths():
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    head.keep_quiet()
