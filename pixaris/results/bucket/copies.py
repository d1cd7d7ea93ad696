"""Results in a bucket: a folder copied there, and back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import BucketError, ConfigurationError, Problem
from pixaris.files import storing
from pixaris.gcs import Bucket, BucketPath, checksum, side_by_side, unsafe

RESULTS = "results"
"""The folder of a bucket that results are copied to, where nobody names another."""

Progress = Callable[[int, int], object]
"""Called with how many files are there, and how many there are."""


@dataclass(frozen=True)
class Copied:
    """What a copy did.

    Attributes:
        files: How many files were transferred.
        size: Their bytes.
        kept: How many were there already.
    """

    files: int
    size: int
    kept: int


Sent = dict[str, tuple[int, int]]
"""A file's name to its size and time of change when it was sent."""


def push(
    folder: Path,
    place: BucketPath,
    project: str = "",
    progress: Progress | None = None,
    sent: Sent | None = None,
) -> Copied:
    """Copy a folder of results into a bucket; what is there already with the same content is not sent again.

    Hidden files stay here: they are stores of images that the results have too, locks, and parts of files.
    The folder may grow meanwhile: a later call sends what came then. What is there and not here is left
    alone.

    Args:
        folder: The folder.
        place: Where its files go, under their names from the folder.
        project: The Google Cloud project; "": the credentials' own.
        progress: Called while files are sent.
        sent: What an earlier call has sent, which is not looked at again; what this one sends is added.

    Raises:
        BucketError: The bucket cannot be written; what was sent is kept.
    """
    bucket = Bucket(place.bucket, project)
    before = {} if sent is None else sent
    there = {} if before else {one.name: one for one in bucket.objects(f"{place.prefix}/")}
    names = visible_files(folder)
    fresh = [name for name in names if _stat(folder / name) not in (None, before.get(name))]
    sizes: list[int] = []
    counter = _Counter(len(names), len(names) - len(fresh), progress)

    def send(name: str) -> None:
        path, target = folder / name, f"{place.prefix}/{name}"
        stat, known = _stat(path), there.get(target)
        try:
            same = known is not None and known.crc32c == checksum(path)
            if not same:
                sizes.append(bucket.upload(path, target).size)
        except FileNotFoundError:
            return  # it was replaced or removed while the folder was copied
        if stat is not None:
            before[name] = stat
        counter.add()

    side_by_side(send, fresh)
    return Copied(len(sizes), sum(sizes), len(names) - len(sizes))


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def pull(
    place: BucketPath,
    folder: Path,
    project: str = "",
    progress: Progress | None = None,
    inside: str = "",
) -> Copied:
    """Copy results from a bucket into a folder; what is there already with the same content is not read
    again.

    Args:
        place: Where they are.
        folder: The folder.
        project: The Google Cloud project; "": the credentials' own.
        progress: Called while files arrive.
        inside: Only names that begin so.

    Raises:
        BucketError: The bucket cannot be read, or has nothing there.
        ConfigurationError: A name there cannot be a file here.
        StorageError: The folder cannot be written.
    """
    bucket = Bucket(place.bucket, project)
    prefix = f"{place.prefix}/"
    found = {one.name.removeprefix(prefix): one for one in bucket.objects(prefix + inside)}
    found = {name: one for name, one in found.items() if name and not name.endswith("/")}
    if not found:
        raise BucketError(f"{place} holds no results")
    wrong = unsafe(list(found), folds_case=False)
    if wrong:
        raise ConfigurationError([Problem(repr(name), rule) for name, rule in wrong.items()], str(place))
    moved: list[int] = []
    counter = _Counter(len(found), 0, progress)

    def fetch(name: str) -> None:
        path, one = folder / name, found[name]
        same = path.is_file() and path.stat().st_size == one.size and checksum(path) == one.crc32c
        if not same:
            path.parent.mkdir(parents=True, exist_ok=True)
            bucket.download(one, path)
            moved.append(one.size)
        counter.add()

    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        side_by_side(fetch, found)
    return Copied(len(moved), sum(moved), len(found) - len(moved))


def visible_files(folder: Path) -> list[str]:
    """Names of the files below a folder, without hidden ones, in order."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(where).relative_to(folder)
        found += [(inside / name).as_posix() for name in sorted(files) if not name.startswith(".")]
    return found


class _Counter:
    """Counts files, from several threads.

    Args:
        total: How many there are.
        done: How many need nothing.
        progress: Told of each.
    """

    def __init__(self, total: int, done: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._done = done
        self._lock = threading.Lock()

    def add(self) -> None:
        """One more is there."""
        with self._lock:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
