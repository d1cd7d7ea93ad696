"""Copies folders of results into a bucket while they grow. A copy never fails what it copies."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from pixaris.exceptions import PixarisError
from pixaris.gcp.storage import BucketPath
from pixaris.results.bucket.copies import RESULTS, Sent, push

log = logging.getLogger(__name__)

BETWEEN_COPIES = 20.0
"""Seconds from the end of one copy to the beginning of the next."""

# Somebody has pressed Ctrl-C and waits.
_HASTE_SECONDS = 2.0


class BucketCopies:
    """Copies folders, each to ``gs://<bucket>/<prefix>/<its parent's name>/<its name>``. Pickles without what
    is under way.

    Args:
        bucket: The bucket.
        project: The Google Cloud project; "": the credentials' own.
        prefix: The folder there.
    """

    def __init__(self, bucket: str, project: str, prefix: str = RESULTS) -> None:
        self.home = BucketPath(bucket, prefix)
        self.project = project
        self._copiers: dict[Path, _Copier] = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_copiers": {}}

    def keep(self, folder: Path) -> None:
        """Copy a folder from now on."""
        if folder not in self._copiers:
            self._copiers[folder] = _Copier(folder, self.home, self.project)

    def end(self, *, in_haste: bool = False) -> str:
        """Copy what is new, and copy no longer.

        Args:
            in_haste: Take no longer for it than two seconds.

        Returns:
            Where the copies are, or why they are not whole and how to send the rest, in a sentence; "" where
            nothing was copied.
        """
        if in_haste:
            seconds = _HASTE_SECONDS
        else:
            seconds = None
        # Taken out first: the same handler may keep further runs afterwards.
        copiers, self._copiers = list(self._copiers.values()), {}
        return "; ".join([copier.close(seconds) for copier in copiers])


class _Copier:
    """Copies a folder again and again, in a thread.

    Args:
        folder: The folder.
        home: Where it goes.
        project: The Google Cloud project.
    """

    def __init__(self, folder: Path, home: BucketPath, project: str) -> None:
        self._folder = folder
        self._home = home
        self._place = home / folder.parent.name / folder.name
        self._project = project
        self._sent: Sent = {}
        self._ending = threading.Event()
        self._problem = ""
        self._thread = threading.Thread(target=self._work, name="pixaris-copies", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._ending.wait(BETWEEN_COPIES):
            self._copy()
        self._copy()

    def _copy(self) -> None:
        try:
            push(self._folder, self._place, self._project, sent=self._sent)
        except PixarisError as error:
            self._tell(str(error))
        else:
            self._problem = ""

    def _tell(self, problem: str) -> None:
        # Once for each outage, not every twenty seconds.
        if not self._problem:
            log.warning("results are not copied to %s for now: %s", self._place, problem)
        self._problem = problem

    def close(self, seconds: float | None) -> str:
        """Copy what is new, and end; say where the copy is, or why not.

        Args:
            seconds: How long that may take, or None.
        """
        self._ending.set()
        self._thread.join(seconds)
        problem = self._problem
        if self._thread.is_alive():
            problem = problem or "there was no time"
        if not problem:
            return f"copied to {self._place}"
        return (
            f"not copied to the bucket: {problem}; everything is in {self._folder}, and this sends the"
            f" rest: pixaris results push {self._folder} {self._home}"
        )
