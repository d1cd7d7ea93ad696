"""Searches that are kept in a bucket: begun there, fetched from there, gone on with on any machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import BucketError, PixarisError, nearest
from pixaris.files import storing, write_json
from pixaris.gcp.storage import Bucket, BucketPath, Progress
from pixaris.results.bucket.copies import JOURNAL, STORE, pull
from pixaris.results.bucket.lease import Lease, is_silent
from pixaris.results.bucket.mirror import Mirror
from pixaris.results.bucket.segments import Segments
from pixaris.results.paths import RunPaths, SearchPaths, number_of, recheck_name

_MOST_NAMED = 12


@dataclass(frozen=True)
class BucketHome:
    """Where a project's searches are kept.

    Attributes:
        place: ``gs://bucket/prefix/PROJECT``.
        gcp_project: The Google Cloud project; "": the credentials' own.
    """

    place: BucketPath
    gcp_project: str = ""

    @property
    def bucket(self) -> Bucket:
        """The bucket."""
        return Bucket(self.place.bucket, self.gcp_project)

    def names(self) -> frozenset[str]:
        """The names of the searches' folders.

        Raises:
            BucketError: They cannot be listed.
        """
        return frozenset(self.bucket.folders(f"{self.place.prefix}/"))

    def newest(self, name: str) -> str | None:
        """The folder's name of the newest search of a name; None where there is none.

        Raises:
            BucketError: They cannot be listed.
        """
        numbers = {found: folder for folder in self.names() if (found := number_of(folder, name)) is not None}
        if numbers:
            return numbers[max(numbers)]
        return None

    def fetch(self, folder: Path) -> str:
        """Bring a search here, unless what is here goes on from what is there.

        Args:
            folder: Where it goes, by its name there; a folder that has gone another way is moved aside.

        Returns:
            What was done, in a sentence, or "".

        Raises:
            BucketError: The bucket cannot be read.
            StorageError: The folder cannot be written.
        """
        bucket, place = self.bucket, self.place / folder.name
        if bucket.find(f"{place.prefix}/{SearchPaths.HEAD}") is None:
            return ""
        # Journals only grow: whichever begins with the other is the later state of the same search.
        there = Segments(bucket, f"{place.prefix}/{JOURNAL}").read()
        if SearchPaths(folder).head.is_file():
            here = _journal_of(folder)
            if here.startswith(there):
                return ""
            if not there.startswith(here):
                with storing(folder.parent):
                    # Both went on by themselves. What is in the bucket counts; nothing of what was here is
                    # lost.
                    os.replace(folder, folder.with_name(f".{folder.name}.before-{time.time_ns()}"))
        done = pull(place, folder, self.gcp_project)
        with storing(folder):
            _restore_store(SearchPaths(folder), Segments(bucket, f"{place.prefix}/{STORE}").read())
        return f"fetched {place}: {done.files} files"

    @contextlib.contextmanager
    def held(self, folder: Path, tell: Callable[[str], object]) -> Iterator[Mirror]:
        """Hold the place of a search's folder, and keep the folder there, until the block ends.

        Args:
            folder: The folder; what has come to the place since it was fetched is fetched.
            tell: Told what is waited for.

        Raises:
            ConfigurationError: Another process works at it.
            BucketError: The bucket cannot be read or written.
        """
        place, bucket = self.place / folder.name, self.bucket
        lease = Lease(place, bucket)
        lease.take(tell)
        try:
            # Once more, now that nobody else can write there.
            self.fetch(folder)
            mirror = Mirror(folder, place, bucket, lease)
        except PixarisError:
            lease.release()
            raise
        try:
            yield mirror
        finally:
            mirror.close(0.0)  # whoever wants to know how it ended has closed it

    def remove(self, name: str) -> None:
        """Remove what is kept of a search that has not begun anything.

        Raises:
            BucketError: It cannot be removed.
        """
        bucket = self.bucket
        for one in list(bucket.objects(f"{self.place.prefix}/{name}/")):
            bucket.delete(one)


def download(
    place: BucketPath, folder: Path, gcp_project: str = "", progress: Progress | None = None
) -> None:
    """Bring a search here to be looked at, with its newest re-check; what is here already is not read again.

    Args:
        place: Where it is kept, or was copied to.
        folder: Where it goes.
        gcp_project: The Google Cloud project; "": the credentials' own.
        progress: Called while files arrive.

    Raises:
        BucketError: The bucket cannot be read, or has no search there.
        StorageError: The folder cannot be written.
    """
    home = BucketHome(place.parent, gcp_project)
    known = home.names()
    name = place.prefix.rpartition("/")[2]
    if name not in known:
        there = ", ".join(sorted(known)[:_MOST_NAMED]) or "nothing"
        raise BucketError(
            f"there is no search {place}{nearest(name, known)}; in {place.parent} there is: {there}"
        )
    pull(place, folder, gcp_project, progress)
    newest = home.newest(recheck_name(folder.name))
    if newest is not None:
        pull(home.place / newest, folder.with_name(newest), gcp_project, progress)
    with storing(folder):
        if is_silent(place, home.bucket, time.time()):
            SearchPaths(folder).lock.touch()  # nobody holds it: a search that says it runs was killed
        else:
            SearchPaths(folder).lock.unlink(missing_ok=True)


def _journal_of(folder: Path) -> bytes:
    try:
        return SearchPaths(folder).journal.read_bytes()
    except OSError:
        return b""


def _restore_store(paths: SearchPaths, lines: bytes) -> None:
    """Make the search's own store of images anew, of the images in the trials' folders, so that none is made
    again. An image that no trial has stored is left out.

    Raises:
        OSError: It cannot be written.
    """
    files = {}
    for path in paths.folder.glob(f"trial_*/{RunPaths.IMAGES}/**/*.png"):
        files[hashlib.sha256(path.read_bytes()).hexdigest()] = path
    for line in lines.splitlines():
        row = json.loads(line)
        facts = paths.store / row["file"]
        sums = [image["sha256"] for image in row["facts"]["images"]]
        # The name comes from a bucket: it must not lead out of the store. And an image that is missing would
        # be taken for one that is there.
        if facts.parent.parent != paths.store or not all(one in files for one in sums):
            continue
        for one in sums:
            target = facts.with_name(f"{facts.stem}.{one[:16]}.png")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                # A link: the store has the same bytes as the results, and need not take their room twice.
                os.link(files[one], target)
        write_json(facts, row["facts"])
