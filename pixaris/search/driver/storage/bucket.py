"""A search that is kept in a bucket: fetched before it goes on, copied there as it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pixaris.config import Config
from pixaris.files import safe_name
from pixaris.results.bucket.mirror import Mirror
from pixaris.results.bucket.stored import BucketHome
from pixaris.results.records import SearchResult
from pixaris.search.settings import Home

_HASTE_SECONDS = 10.0
"""How long the last copy may take of a search that was interrupted: a job is killed 30 s after that."""

Tell = Callable[[str], object]
"""Called with a sentence for the user."""


def bucket_home(home: Home) -> BucketHome | None:
    """Where a project's searches are kept; None where that is the results folder alone."""
    if home.storage is None:
        return None
    return BucketHome(home.storage / safe_name(home.project), Config.load().gcp_project_id)


def taken_names(home: Home) -> frozenset[str]:
    """The names that searches in the bucket have.

    Raises:
        BucketError: It cannot be listed.
    """
    kept = bucket_home(home)
    if kept is None:
        return frozenset()
    return kept.names()


def fetch_earlier(home: Home) -> str:
    """Bring the newest search of this name from the bucket, where it has one.

    Returns:
        What was done, in a sentence, or "".

    Raises:
        BucketError: It cannot be read.
        StorageError: The results folder cannot be written.
    """
    kept = bucket_home(home)
    if kept is None:
        newest = None
    else:
        newest = kept.newest(safe_name(home.name))
    if kept is None or newest is None:
        return ""
    return kept.fetch(home.project_folder / newest)


@contextlib.contextmanager
def mirrored(home: Home, folder: Path, tell: Tell) -> Iterator[Mirror | None]:
    """Hold a search in the bucket, and keep it there as it grows, as long as the block runs.

    Args:
        home: Says which bucket, if any.
        folder: The search's folder here.
        tell: Told what is waited for.

    Raises:
        ConfigurationError: Another process works at it.
        BucketError: The bucket cannot be used.
    """
    kept = bucket_home(home)
    if kept is None:
        yield None
        return
    with kept.held(folder, tell) as mirror:
        yield mirror


def kept_whole(mirror: Mirror | None, result: SearchResult, tell: Tell) -> SearchResult:
    """Copy the rest of a search that has ended; where that cannot be, that is the error that ended it.

    Args:
        mirror: What copies, or None.
        result: What was found.
        tell: Told where it is.
    """
    if mirror is None:
        return result
    error = mirror.close(_HASTE_SECONDS if result.status == "interrupted" else None)
    if error is None:
        tell(f"kept in {mirror.place}; from anywhere: pixaris show {mirror.place}")
        return result
    # What ended the search is worth more than that its rest could not be copied.
    if result.error is not None:
        return result
    return replace(result, error=error)


def forget(home: Home, folder: Path) -> None:
    """Remove from the bucket what is there of a search that has not begun anything.

    Raises:
        BucketError: It cannot be removed.
    """
    kept = bucket_home(home)
    if kept is not None:
        kept.remove(folder.name)
