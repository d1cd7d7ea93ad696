"""Ray for one search: started in a thread, so that it comes up while the program imports what it needs
besides.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from types import TracebackType

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


def begins_here() -> bool:
    """Whether a search that starts now begins a Ray of its own, on this machine."""
    ray = sys.modules.get("ray")
    return not os.environ.get("RAY_ADDRESS") and not (ray is not None and ray.is_initialized())


class RaySession:
    """The session this process has, else the cluster of the environment, else a local Ray of our own, ended
    with the block.

    Attributes:
        on_cluster: Whether Ray has, or may get, other nodes than this machine; known from the start for a
            session that this process begins itself.
    """

    def __init__(self) -> None:
        self.on_cluster = bool(os.environ.get("RAY_ADDRESS"))
        self._thread: threading.Thread | None = None
        self._up, self._over = threading.Event(), threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> RaySession:
        os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
        import ray  # whole, before a second thread imports parts of it

        for name in ("ray", "ray.tune", "ray.train"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if ray.is_initialized():
            self.on_cluster = self.on_cluster or sum(bool(node["Alive"]) for node in ray.nodes()) > 1
        else:
            self._thread = threading.Thread(target=self._run, name="pixaris-ray", daemon=True)
            self._thread.start()
        return self

    def wait(self) -> None:
        """Return once Ray is up.

        Raises:
            Exception: Whatever keeps it from coming up.
        """
        if self._thread is not None:
            self._up.wait()
        if self._error is not None:
            raise self._error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread is not None:
            import ray

            self._up.wait()
            ray.shutdown()
            self._over.set()
            self._thread.join()

    def _run(self) -> None:
        try:
            _start()
        except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
            self._error = error
        self._up.set()
        self._over.wait()  # the kernel ends Ray's processes with the thread that started them


def _start() -> None:
    import ray

    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(_import_paths())  # of the processes Ray starts now
    try:
        address = None if os.environ.get("RAY_ADDRESS") else "local"
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _import_paths() -> list[str]:
    """Where this process finds the user's own modules; trial processes must find them too."""
    installed = tuple(os.path.abspath(prefix) for prefix in (sys.prefix, sys.base_prefix))
    paths = [os.path.abspath(path) for path in sys.path]
    return list(
        dict.fromkeys(path for path in paths if os.path.isdir(path) and not path.startswith(installed))
    )
