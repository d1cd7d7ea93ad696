"""``rejected.jsonl``: trials that somebody wants a running search to stop."""

from __future__ import annotations

import time

from pixaris.files import append_json_line, read_json_lines, storing
from pixaris.results.paths import SearchPaths


def reject(paths: SearchPaths, number: int, by: str) -> None:
    """Ask the process that runs a search to stop a trial.

    Args:
        paths: The search's.
        number: The trial's.
        by: Who asks.

    Raises:
        StorageError: It cannot be written down.
    """
    row = {"trial": number, "by": by, "at": time.time()}
    with storing(paths.folder):
        append_json_line(paths.rejected, row, make_folder=False)


class Rejected:
    """Trials that somebody wants to be stopped; the file is read again only when it has changed.

    Args:
        paths: The search's.
    """

    def __init__(self, paths: SearchPaths) -> None:
        self._file = paths.rejected
        self._size = -1
        self._by: dict[int, str] = {}

    def by(self, number: int) -> str | None:
        """Who wants a trial to be stopped; None if nobody does."""
        try:
            size = self._file.stat().st_size
        except OSError:
            return None
        # The file only grows, so its size is enough; asked for each item of each trial.
        if size != self._size:
            self._size = size
            for row in read_json_lines(self._file):
                if isinstance(row.get("trial"), int):
                    # Who asked first is named.
                    self._by.setdefault(row["trial"], str(row.get("by", "")))
        return self._by.get(number)
