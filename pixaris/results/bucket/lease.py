"""Who works at a search in a bucket: one process at a time, on whatever machine."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable

from pixaris.exceptions import BucketChangedError, BucketError, ConfigurationError, StorageError
from pixaris.gcp.storage import Bucket, BucketObject, BucketPath

LEASE = ".driver.json"
"""The object beside a search's files."""

# Each is one small request, as long as the search runs; a takeover waits for four of them.
BEAT_SECONDS = 5.0
"""How often the process says that it is there."""

SILENT_SECONDS = 4 * BEAT_SECONDS
"""Who has not said so for so long is gone."""

_LOOK_SECONDS = 1.0
_GLANCE_SECONDS = 120.0
"""As `SILENT_SECONDS`, where clocks are compared, which may differ."""


class Lease:
    """Holds a search in a bucket, by an object that is written anew every few seconds as long as the process
    lives. Nobody compares clocks: whoever wants the search looks whether the object changes.

    Args:
        place: Where the search is.
        bucket: Its bucket.
        silent: Seconds without a change after which its holder is gone.
    """

    def __init__(self, place: BucketPath, bucket: Bucket, silent: float = SILENT_SECONDS) -> None:
        self._place = place
        self._bucket = bucket
        self._name = f"{place.prefix}/{LEASE}"
        self._silent = silent
        self._id = uuid.uuid4().hex
        self._held: BucketObject | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pixaris-lease", daemon=True)
        self.lost: StorageError | None = None

    def take(self, tell: Callable[[str], object]) -> None:
        """Take the search, after its holder, if there is one, was silent for long enough.

        Args:
            tell: Told what is waited for.

        Raises:
            ConfigurationError: Somebody works at it.
            BucketError: The bucket cannot be read or written.
        """
        found = self._bucket.find(self._name)
        if found is not None and not self._is_free(found):
            tell(f"waiting {self._silent:.0f} s, whether another process works at {self._place}")
            self._wait_for_silence(found)
        try:
            # Only if nobody has written since: the bucket decides between two that come at once.
            self._held = self._write(over=False, replacing=0 if found is None else found.generation)
        except BucketChangedError:
            raise ConfigurationError(self._taken()) from None
        self._thread.start()

    def _is_free(self, found: BucketObject) -> bool:
        try:
            return bool(json.loads(self._bucket.read(found)).get("over"))
        except BucketChangedError:
            raise ConfigurationError(self._taken()) from None
        except (ValueError, AttributeError):  # not ours: whoever wrote it may be there
            return False

    def _wait_for_silence(self, found: BucketObject) -> None:
        deadline = time.monotonic() + self._silent
        while time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            # Any change is a sign of life, whatever the clock of the other machine says.
            now = self._bucket.find(self._name)
            if now is None or now.generation != found.generation:
                raise ConfigurationError(self._taken())

    def _taken(self) -> str:
        return f"the search in {self._place} is still running, on some machine; wait for its end, or stop it"

    def _write(self, *, over: bool, replacing: int) -> BucketObject:
        row = {"process": self._id, "at": time.time(), "over": over}
        return self._bucket.write(json.dumps(row).encode(), self._name, replacing)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            assert self._held is not None
            try:
                self._held = self._write(over=False, replacing=self._held.generation)
            except BucketChangedError:
                # Not raised: this is a thread of its own. The mirror looks at it each round.
                self.lost = StorageError(
                    f"another process goes on with the search in {self._place}; this one has stopped"
                )
                return
            except BucketError:
                continue  # whether that lasts too long is told by what is to be stored

    def release(self) -> None:
        """Let the next one have it at once; where the bucket cannot be written, that one has to wait."""
        if self._held is None:
            return
        # The thread first: a beat after the last word would take the search again.
        self._over.set()
        self._thread.join()
        if self.lost is None:
            with contextlib.suppress(BucketError):
                self._write(over=True, replacing=self._held.generation)


def is_silent(place: BucketPath, bucket: Bucket, now: float) -> bool:
    """Whether nobody works at a search, as far as a glance tells: it compares this machine's clock with the
    holder's, and is good for showing only.

    Raises:
        BucketError: The bucket cannot be read.
    """
    found = bucket.find(f"{place.prefix}/{LEASE}")
    if found is None:
        return False  # it was copied there, and may run where it came from
    try:
        row = json.loads(bucket.read(found))
        return bool(row["over"]) or now - float(row["at"]) > _GLANCE_SECONDS
    except (BucketChangedError, ValueError, KeyError, TypeError):
        return False
