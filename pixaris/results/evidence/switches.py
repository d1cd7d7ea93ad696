"""``switches.jsonl``: endpoints that somebody wants a running search to use no more, or again."""

from __future__ import annotations

import time
from typing import get_args

from pixaris.endpoints.base import Use
from pixaris.files import append_json_line, read_json_lines, state_of, storing
from pixaris.results.paths import SearchPaths


def ask(paths: SearchPaths, url: str, use: Use) -> None:
    """Ask the process that runs a search to use an endpoint no more, or again.

    Args:
        paths: The search's.
        url: The endpoint's.
        use: What is wanted.

    Raises:
        StorageError: It cannot be written down.
    """
    with storing(paths.folder):
        append_json_line(paths.switches, {"url": url, "use": use, "at": time.time()}, make_folder=False)


class Switches:
    """What is wanted of endpoints; the file is read again only when it has changed.

    Args:
        paths: The search's.
    """

    def __init__(self, paths: SearchPaths) -> None:
        self._file = paths.switches
        self._state: tuple[int, int] | None = None
        self._uses: dict[str, Use] = {}

    def wanted(self) -> dict[str, Use]:
        """URL to what was asked for last."""
        state = state_of(self._file)
        if state != self._state:
            self._state = state
            for row in read_json_lines(self._file):
                if row.get("use") in get_args(Use) and isinstance(row.get("url"), str):
                    # The last word on each endpoint counts.
                    self._uses[row["url"]] = row["use"]
        return self._uses
