"""The prompts that have ended, the newest ones. Every method may be called from any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from pixaris.files import JsonObject

MAX_HISTORY = 10_000


class History:
    """Rows by prompt id, oldest first; one of an id that ended twice keeps its turn.

    Args:
        lock: The queue's: a prompt moves from there to here in one step.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._rows: dict[str, JsonObject] = {}

    def add(self, prompt_id: str, row: JsonObject) -> None:
        """Add a row; of too many, the oldest goes."""
        with self._lock:
            if len(self._rows) >= MAX_HISTORY:
                self._rows.pop(next(iter(self._rows)))
            self._rows[prompt_id] = row

    def rows(self, max_items: int | None = None, offset: int = -1) -> JsonObject:
        """Return rows by id, oldest first: the newest ``max_items``, or so many from ``offset`` on."""
        with self._lock:
            if offset < 0 and max_items is not None:
                offset = len(self._rows) - max_items
            if offset < len(self._rows):
                rows = list(self._rows.items())[max(offset, 0) :]
            else:
                rows = []
            return dict(rows if max_items is None else rows[: max(max_items, 0)])

    def row(self, prompt_id: str) -> JsonObject | None:
        """Return one row."""
        with self._lock:
            return self._rows.get(prompt_id)

    def delete(self, prompt_ids: Iterable[str]) -> None:
        """Remove rows; those that are not there are none."""
        with self._lock:
            for prompt_id in prompt_ids:
                self._rows.pop(prompt_id, None)

    def clear(self) -> None:
        """Remove all rows."""
        with self._lock:
            self._rows.clear()
