"""Feedback in a folder of this machine: SQLite, safe for several processes at once."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pixaris.feedback_handlers import tables
from pixaris.feedback_handlers.base import (
    AnyEntry,
    FeedbackHandler,
    FeedbackImage,
    Iteration,
    IterationKey,
    Log,
    check_iteration,
)
from pixaris.feedback_handlers.database import explained, is_far, open_database, writing
from pixaris.feedback_handlers.earlier import FOLDER, files_of, read_earlier
from pixaris.files import link_or_write, safe_name
from pixaris.images import decode, digest, read_image_file

DATABASE = "feedback.sqlite"


class LocalFeedbackHandler(FeedbackHandler):
    """Keeps feedback below a folder, that of the results by default::

        <local_feedback_directory>/
          feedback.sqlite                                     iterations, and everything that was said
          <project>/feedback_iterations/<iteration>/          the images, as links where that can be

    What the first Pixaris wrote there (``feedback_tracking.jsonl``) is taken in when it is seen, and again
    when it has grown; the file stays as it is.

    Args:
        local_feedback_directory: The folder; relative to the working folder of the process that makes the
            handler.
    """

    is_local = True

    def __init__(self, local_feedback_directory: str | os.PathLike[str] = "local_results") -> None:
        self.root = Path(os.path.abspath(local_feedback_directory))
        self._open()

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.root = state["root"]
        self._open()

    def _open(self) -> None:
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._taken_in: dict[Path, tuple[int, int]] = {}

    @property
    def file(self) -> Path:
        """The database."""
        return self.root / DATABASE

    @property
    def has_begun(self) -> bool:
        """Whether there is a database, or feedback of the first Pixaris."""
        return self.file.exists() or bool(files_of(self.root))

    @property
    def notes(self) -> list[str]:
        """What whoever starts a page on it should know."""
        if not is_far(self.root):
            return []
        words = "several machines may write to it only if that drive keeps locks, and votes take longer"
        return [f"{self.file} lies on a network drive: {words}"]

    def create(self, iteration: Iteration) -> Iteration:
        """Keep a new iteration; its images are linked, or copied where that cannot be."""
        check_iteration(iteration)
        with self._database() as database:
            tables.require_free(database, iteration.key)
        images = [self._kept(iteration.key, image) for image in iteration.images]
        kept = replace(iteration, images=tuple(images))
        with self._database() as database, writing(database):
            tables.insert(database, kept, self.root)
        return kept

    def extend(self, key: IterationKey, images: Sequence[FeedbackImage]) -> None:
        """Add images to an iteration."""
        kept = [self._kept(key, image) for image in images]
        with self._database() as database, writing(database):
            tables.extend(database, key, kept, self.root)

    def iterations(self) -> Sequence[IterationKey]:
        """All there are, those of the first Pixaris too."""
        self._take_in_earlier()
        with self._database() as database:
            return tables.keys(database)

    def load(self, key: IterationKey) -> Iteration:
        """An iteration with its images' files."""
        self._take_in_earlier()
        with self._database() as database:
            return tables.load(database, key, self.root)

    def write(self, key: IterationKey, entry: AnyEntry) -> None:
        """Keep what a person said."""
        with self._database() as database:
            number = tables.number_of(database, key)
            tables.require_images(database, number, entry)
            with writing(database):
                tables.append(database, number, entry)

    def read(self, key: IterationKey, after: int = 0) -> Log:
        """What was said of an iteration."""
        with self._database() as database:
            return tables.read(database, tables.number_of(database, key), after)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile; as many are kept as were ever used at once."""
        with explained(self.file):
            with self._lock:
                if self._idle:
                    connection = self._idle.pop()
                else:
                    connection = None
            connection = connection or open_database(self.file)
            try:
                yield connection
            finally:
                with self._lock:
                    self._idle.append(connection)

    def _kept(self, key: IterationKey, image: FeedbackImage) -> FeedbackImage:
        """An image, with its file where the iteration's images lie, named after its pixels: its own name may
        say what made it.
        """
        data = read_image_file(image.file)
        pixels = digest(decode(data, image.name))
        folder = self.root / safe_name(key.project) / FOLDER / safe_name(key.name)
        file = folder / f"{pixels[:24]}{image.file.suffix.lower() or '.png'}"
        with explained(self.file):
            link_or_write(file, data, image.file)
        return replace(image, file=file, digest=pixels)

    def _take_in_earlier(self) -> None:
        """Take in what the first Pixaris wrote, where it is new or has grown."""
        for file in files_of(self.root):
            try:
                state = file.stat()
            except OSError:
                continue  # gone since it was listed
            mark = (state.st_size, state.st_mtime_ns)
            if self._taken_in.get(file) == mark:
                continue
            with self._database() as database:
                for earlier in read_earlier(file):
                    with writing(database):
                        tables.merge(database, earlier.iteration, earlier.entries, self.root)
            self._taken_in[file] = mark
