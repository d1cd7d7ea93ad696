"""Results in a bucket: a folder copied there, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import BucketError, ConfigurationError, Problem
from pixaris.files import files_below, state_of, storing, write_bytes
from pixaris.gcp.storage import Bucket, BucketPath, Progress, checksum, side_by_side, unsafe
from pixaris.results.bucket.lease import LEASE
from pixaris.results.bucket.segments import Segments
from pixaris.results.paths import SearchPaths

RESULTS = "results"
"""The folder of a bucket that results are copied to, where nobody names another."""


JOURNAL = ".journal"
"""A search's folder in a bucket that has its journal in segments, where it is kept there while it runs."""

STORE = ".store"
"""The folder there that tells, in segments, which images the search has made."""


# Written out, because `wanted` imports from here.
_NO_RESULTS = (JOURNAL, STORE, LEASE, ".wanted.jsonl")
"""What lies beside a search's files in a bucket and is none of them: see `lease` and `wanted`."""


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
    left_out: Callable[[str], bool] = lambda name: False,
    bucket: Bucket | None = None,
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
        left_out: Whether a file is left out, by its name from the folder.
        bucket: That of the place, where it is open already.

    Raises:
        BucketError: The bucket cannot be written; what was sent is kept.
    """
    bucket = bucket or Bucket(place.bucket, project)
    if sent is None:
        before = {}
    else:
        before = sent
    # What was sent by this process needs no listing: one request less each second.
    if before:
        there = {}
    else:
        there = {one.name: one for one in bucket.objects(f"{place.prefix}/")}
    names = [name for name in files_below(folder) if not left_out(name)]
    # None: it went away since the folder was listed.
    fresh = [name for name in names if state_of(folder / name) not in (None, before.get(name))]
    sizes: list[int] = []

    def send(name: str) -> None:
        path, target = folder / name, f"{place.prefix}/{name}"
        # Before it is read: what changes while it is sent differs from this, and is sent again at the next
        # call.
        state, known = state_of(path), there.get(target)
        try:
            if known is None or known.crc32c != checksum(path):
                sizes.append(bucket.upload(path, target).size)
        except FileNotFoundError:
            return  # it was replaced or removed while the folder was copied
        except OSError as error:
            raise BucketError(
                f"{path} cannot be read, and is not copied: {error.strerror or error}"
            ) from None
        if state is not None:
            before[name] = state

    side_by_side(send, fresh, progress, kept=len(names) - len(fresh))
    return Copied(len(sizes), sum(sizes), len(names) - len(sizes))


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
    listed = {one.name.removeprefix(prefix): one for one in bucket.objects(prefix + inside)}
    found = {name: one for name, one in listed.items() if name and not name.endswith("/")}
    # What lies beside the results belongs to whoever runs the search there.
    found = {name: one for name, one in found.items() if name.split("/")[0] not in _NO_RESULTS}
    if not found:
        raise BucketError(f"{place} holds no results")
    # A name in a bucket may be `../../x`; anybody who may write there would write here.
    wrong = unsafe(list(found), folds_case=False)
    if wrong:
        raise ConfigurationError([Problem(repr(name), rule) for name, rule in wrong.items()], str(place))
    moved: list[int] = []

    def fetch(name: str) -> None:
        path, one = folder / name, found[name]
        # The size first: a checksum reads the whole file.
        same = path.is_file() and path.stat().st_size == one.size and checksum(path) == one.crc32c
        if not same:
            path.parent.mkdir(parents=True, exist_ok=True)
            bucket.download(one, path)
            moved.append(one.size)

    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        side_by_side(fetch, list(found), progress)
        if any(name.startswith(f"{JOURNAL}/") for name in listed):
            _join_journal(SearchPaths(folder).journal, Segments(bucket, f"{prefix}{JOURNAL}").read())
    return Copied(len(moved), sum(moved), len(found) - len(moved))


def _join_journal(path: Path, joined: bytes) -> None:
    """Write the journal of its segments, unless a file that was copied whole has more."""
    # What is here may have gone on from what is there.
    if not path.is_file() or path.stat().st_size < len(joined):
        write_bytes(path, joined)
