"""The seam for results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from pixaris.types import RunRecord


class ExperimentHandler(ABC):
    """Keeps the results of experiment runs.

    Implement `store_results`. It is called in the process that runs the experiment, from one thread at a
    time, several times for one run: after every step with ``status == "running"`` and at the end with the
    final status. Store what is new since the last call for the same ``run.id``. A call may come again with
    nothing new (a resumed search), and must then change nothing. Handlers must pickle; open files and
    connections lazily.
    """

    @abstractmethod
    def store_results(self, run: RunRecord) -> None:
        """Store a run as it stands.

        Raises:
            PixarisError: It cannot be stored; the run ends with that error.
        """

    @property
    def results_dir(self) -> Path | None:
        """The folder under which it keeps files, if it does: a search then puts its own books beside them."""
        return None

    def close(self) -> None:  # noqa: B027  (optional to implement)
        """Write what is buffered and let go of files. Called once, after the last run of a process."""


class ExperimentHandlers(ExperimentHandler):
    """Several handlers as one: each run is stored with each, in order."""

    def __init__(self, handlers: Sequence[ExperimentHandler]) -> None:
        self.handlers = tuple(handlers)

    def store_results(self, run: RunRecord) -> None:
        for handler in self.handlers:
            handler.store_results(run)

    @property
    def results_dir(self) -> Path | None:
        return next(
            (folder for handler in self.handlers if (folder := handler.results_dir) is not None), None
        )

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()
