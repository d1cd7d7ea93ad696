"""Keeps a running search's folder in a bucket: what the search writes here is there within seconds."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from pixaris.exceptions import BucketChangedError, PixarisError, StorageError
from pixaris.files import read_json
from pixaris.gcp.storage import Bucket, BucketPath
from pixaris.results.bucket.copies import JOURNAL, STORE, Sent, push
from pixaris.results.bucket.lease import Lease
from pixaris.results.bucket.segments import Segments
from pixaris.results.bucket.wanted import Wishes
from pixaris.results.paths import SearchPaths

BETWEEN_SECONDS = 1.0
"""From the end of one round to the beginning of the next, at the least."""

_SHARE = 10
"""A round that takes this process long to look through a large folder is waited for as many times as long."""

SELDOM_SECONDS = 20.0
"""Between two copies of what changes all the time and can be made again, or is only looked at."""

PATIENCE_SECONDS = 60.0
"""How long the bucket may be out of reach; every request is tried for as long before that."""


class Mirror:
    """Copies a search's folder into a bucket, round by round, in a thread, from now until `close`.

    What a line of the journal tells of is there before the line: each round looks how long the journal is,
    copies the files that have changed, and then the journal up to there, as the next of its segments. So the
    bucket always has a whole search, which any machine can go on with; what it lacks is what was done since
    the last round began.

    Args:
        folder: The folder.
        place: Where it goes.
        bucket: That place's.
        lease: This process's hold of that place; it is released in the end.
        patience: Seconds after which a bucket that is out of reach ends the search; by default
            `PATIENCE_SECONDS`.

    Attributes:
        failed: Why nothing is copied any more, or None.
    """

    def __init__(
        self,
        folder: Path,
        place: BucketPath,
        bucket: Bucket,
        lease: Lease,
        patience: float | None = None,
    ) -> None:
        self.place = place
        self.failed: PixarisError | None = None
        self._paths = SearchPaths(folder)
        self._bucket = bucket
        self._lease = lease
        if patience is None:
            self._patience = PATIENCE_SECONDS
        else:
            self._patience = patience
        self._journal = Segments(bucket, f"{place.prefix}/{JOURNAL}")
        self._facts = Segments(bucket, f"{place.prefix}/{STORE}")
        # Bytes of the journal that are there. The folder has been fetched, so they are its first ones here
        # too.
        self._written = len(self._journal.read())
        self._known = _facts_of(self._facts.read())
        self._wishes = Wishes(place, bucket, self._paths)
        self._sent: Sent = {}
        # So that the first round has them all.
        self._seldom_at = -SELDOM_SECONDS
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pixaris-mirror", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        # When the bucket was last written; one failed round is no reason to stop a search of hours.
        good, pause = time.monotonic(), BETWEEN_SECONDS
        while not self._ending.wait(pause):
            # This thread's own work: waiting for the network burdens nobody.
            began = time.thread_time()
            if self._lease.lost is not None:
                self.failed = self._lease.lost
                return
            try:
                self._round()
                self._wishes.look(time.monotonic())
                good = time.monotonic()
            except BucketChangedError as error:
                self.failed = self._unkept(f"another process writes there ({error})")
                return
            except PixarisError as error:
                if time.monotonic() - good > self._patience:
                    self.failed = self._unkept(str(error))
                    return
            pause = max(BETWEEN_SECONDS, _SHARE * (time.thread_time() - began))

    def _unkept(self, reason: str) -> StorageError:
        return StorageError(
            f"the search cannot be kept in {self.place}: {reason}; everything is in {self._paths.folder}:"
            " resume it there when the bucket can be written again"
        )

    def _round(self, *, last: bool = False) -> None:
        """Copy what is new.

        Raises:
            BucketError: Not all of it is there.
        """
        now = time.monotonic()
        seldom = last or now - self._seldom_at >= SELDOM_SECONDS
        # Before the files: what a line tells of must be there before the line is, and files that came later
        # do no harm.
        lines = self._lines()
        push(
            self._paths.folder,
            self.place,
            sent=self._sent,
            bucket=self._bucket,
            left_out=lambda name: self._elsewhere(name) or (not seldom and self._changes_often(name)),
        )
        if seldom:
            self._seldom_at = now
        facts = self._new_facts()
        # After the images that they tell of, before the lines that go by them.
        if facts:
            self._facts.append("".join(f"{line}\n" for line in facts.values()).encode())
            self._known |= facts.keys()
        if lines:
            self._journal.append(lines)
            self._written += len(lines)

    def _lines(self) -> bytes:
        """The journal's whole lines that are not there yet."""
        try:
            with self._paths.journal.open("rb") as file:
                file.seek(self._written)
                data = file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StorageError(f"{self._paths.journal} cannot be read: {error.strerror}") from None
        # The last line may be under way: it waits for its end.
        return data[: data.rfind(b"\n") + 1]

    def _elsewhere(self, name: str) -> bool:
        return name == self._paths.journal.name

    def _changes_often(self, name: str) -> bool:
        paths = self._paths
        files = (paths.report, paths.endpoints, paths.events, paths.trials, paths.comparison)
        return name in {path.name for path in files} or name.split("/")[0] in (
            paths.tensorboard.name,
            paths.logs.name,
        )

    def _new_facts(self) -> dict[str, str]:
        """Of the images in the search's own store, what is known of each: the images are in the trials'
        folders.
        """
        found = {}
        for path in self._paths.store.glob("??/*.json"):
            name = f"{path.parent.name}/{path.name}"
            if name in self._known:
                facts = None
            else:
                facts = read_json(path)
            if facts is not None:
                found[name] = json.dumps({"file": name, "facts": facts})
        return found

    def close(self, seconds: float | None = None) -> PixarisError | None:
        """Copy what is new, and copy no longer.

        Args:
            seconds: How long that may take, or None.

        Returns:
            Why not everything is there; None if it is.
        """
        # Closed once already, by whoever wanted to know how it ended.
        if self._ending.is_set():
            return self.failed
        ended: list[PixarisError | None] = []
        self._ending.set()
        # A thread of its own, as a request cannot be interrupted when the time is over.
        worker = threading.Thread(target=lambda: ended.append(self._last()), daemon=True)
        worker.start()
        worker.join(seconds)
        if ended:
            return ended[0]
        return self._unkept("there was no time")

    def _last(self) -> PixarisError | None:
        self._thread.join()
        try:
            if self.failed is None:
                self._round(last=True)
        except PixarisError as error:
            self.failed = self._unkept(str(error))
        # Also where not all was copied: nobody will copy the rest from here.
        self._lease.release()
        return self.failed


def _facts_of(lines: bytes) -> set[str]:
    """The names of the files that are told already."""
    return {str(json.loads(line)["file"]) for line in lines.splitlines()}
