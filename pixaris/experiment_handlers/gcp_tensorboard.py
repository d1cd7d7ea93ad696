"""Results and TensorBoard events as files here, and as copies in a bucket of Google Cloud Storage."""

from __future__ import annotations

import os
from pathlib import Path

from pixaris.experiment_handlers.base import ExperimentHandler, ExperimentHandlers
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.experiment_handlers.tensorboard import TensorboardHandler, write_stops
from pixaris.results.bucket.copier import BucketCopies
from pixaris.results.paths import SearchPaths
from pixaris.types import RunRecord


class GCPTensorboardHandler(ExperimentHandler):
    """Keeps runs as `LocalExperimentHandler` does, TensorBoard events beside them, and copies both into a
    bucket while they grow::

        gs://<bucket>/results/<project>/<search, or dataset>/<run name>/…
        gs://<bucket>/results/<project>/<search, or dataset>/tensorboard/<run name>/…

    The files here are the first copy: where the bucket cannot be written, the run goes on, a warning says so,
    and ``pixaris results push`` sends the rest later. Copies are made in a thread: of a search where it was
    started, of a single run where it runs. Either waits for its last copy at its end.

    Args:
        gcp_project_id: The Google Cloud project; "": the credentials' own.
        location: Its region.
        bucket_name: The bucket; None: files here only.
        local_results_folder: The root of the files here.
    """

    def __init__(
        self,
        gcp_project_id: str,
        location: str,
        bucket_name: str | None = None,
        local_results_folder: str | os.PathLike[str] = "local_results",
    ) -> None:
        self.gcp_project_id = gcp_project_id
        self.location = location
        self.bucket_name = bucket_name
        self._files = LocalExperimentHandler(local_results_folder)
        self._handlers: dict[Path, ExperimentHandlers] = {}
        self._search: Path | None = None
        self._copies = BucketCopies(bucket_name, gcp_project_id) if bucket_name else None

    def store_results(self, run: RunRecord) -> None:
        """Store a run as it stands.

        Raises:
            StorageError: The files here cannot be written.
        """
        folder = self._files.search_folder(run)
        if folder not in self._handlers:
            events = TensorboardHandler(SearchPaths(folder).tensorboard)
            self._handlers[folder] = ExperimentHandlers([self._files, events])
        self._handlers[folder].store_results(run)
        if self._copies is not None and not run.search:
            self._copies.keep(folder)

    @property
    def results_dir(self) -> Path:
        """The root of the files here."""
        return self._files.results_dir

    def search_started(self, folder: Path) -> None:
        """Copy the search's folder while it grows."""
        self._search = folder
        if self._copies is not None:
            self._copies.keep(folder)

    def search_ended(self, *, in_haste: bool) -> str:
        """Copy the rest, and say where it is, or why not."""
        told = []
        if self._search is not None:
            told.append(write_stops(SearchPaths(self._search).tensorboard, self._search))
        if self._copies is not None:
            told.append(self._copies.end(in_haste=in_haste))
        return "; ".join(filter(None, told))

    def close(self) -> None:
        """Write what is buffered, and copy what is new."""
        for handler in self._handlers.values():
            handler.close()
        self._handlers = {}
        if self._copies is not None:
            self._copies.end()
