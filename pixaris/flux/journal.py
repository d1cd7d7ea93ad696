"""What was sent and is not done yet, on this machine's disk: a process that takes over from one that died
sends nothing twice.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from pixaris.files import read_json, write_json
from pixaris.flux.protocol import Task

Entry: TypeAlias = Task | Literal["sending"]


class Journal:
    """One small file for each request under way. Thread-safe; nothing in it is secret.

    Args:
        session: Unique for the pool whose requests they are; "" keeps nothing.
        parent: Where the session's folder is made; by default the folder for temporary files.
    """

    def __init__(self, session: str, parent: Path | None = None) -> None:
        self._folder = (
            (parent or Path(tempfile.gettempdir())) / f"pixaris-flux-{session}" if session else None
        )
        self.inherited = self._folder is not None and self._folder.is_dir()
        """Whether a process that is gone has kept it before: then what it does not name was not sent."""
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, exist_ok=True)

    def sending(self, request_id: str) -> None:
        """A request is about to be sent."""
        self._write(request_id, {"request": request_id})

    def accepted(self, request_id: str, task: Task) -> None:
        """The API has accepted it."""
        self._write(
            request_id,
            {"request": request_id, "task": task.id, "polling_url": task.polling_url, "cost": task.cost},
        )

    def done(self, request_id: str) -> None:
        """Its outcome is known."""
        if self._folder is not None:
            self._path(request_id).unlink(missing_ok=True)

    def find(self, request_id: str) -> Entry | None:
        """What is known of a request; None if it is not under way."""
        if self._folder is None or not self._path(request_id).is_file():
            return None
        row = read_json(self._path(request_id)) or {}
        if "task" in row:
            return Task(row["task"], row["polling_url"], row["cost"])
        return "sending"

    def under_way(self) -> tuple[str, ...]:
        """Every request that is."""
        if self._folder is None:
            return ()
        rows = [read_json(path) or {} for path in self._folder.glob("*.json")]
        return tuple(row["request"] for row in rows if "request" in row)

    def close(self) -> None:
        """Remove the folder, if nothing is under way."""
        if self._folder is not None:
            with suppress(OSError):
                self._folder.rmdir()

    def _path(self, request_id: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{json.dumps(request_id).strip(chr(34)).replace('/', '_')}.json"

    def _write(self, request_id: str, row: dict[str, object]) -> None:
        if self._folder is not None:
            write_json(self._path(request_id), row)
