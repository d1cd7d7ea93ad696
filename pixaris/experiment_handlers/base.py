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

    def search_started(self, folder: Path) -> None:  # noqa: B027  (optional to implement)
        """A search begins whose books and runs go to this folder; called where it was started, on another
        copy of this handler than the trials'.
        """

    def search_ended(self) -> str:
        """The search that was started has ended.

        Returns:
            What is to be told of it, in a sentence, or "".
        """
        return ""

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

    def search_started(self, folder: Path) -> None:
        for handler in self.handlers:
            handler.search_started(folder)

    def search_ended(self) -> str:
        told = [handler.search_ended() for handler in self.handlers]
        return "; ".join(sentence for sentence in told if sentence)

    def close(self) -> None:
        for handler in self.handlers:
            handler.close()
