"""A cache in a bucket, which searches on any machine share."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.exceptions import BucketChangedError, PixarisError
from pixaris.gcp.storage import Bucket, BucketObject, BucketPath, side_by_side
from pixaris.images import EncodedImage
from pixaris.words import size

log = logging.getLogger(__name__)

_SECONDS = 10.0
"""How long one request may take: an image that is waited for longer is made sooner."""

_KEY = re.compile(r"[0-9a-f]{64}")
_BATCH = 1000
"""Images that are removed between two looks at the clock."""

_TRIM_SECONDS = 30.0
_AFTER_TRIM = 0.9
"""How full the bucket is left, so that not every search has to make room."""


class BucketCache(CacheStore):
    """Images as objects, ``<prefix>/<first two digits of the key>/<key>``, behind a store of this machine:
    what that one has is not asked for, and what comes from the bucket is kept in it.

    An object is one line of JSON (endpoint, seconds, cost; of each image its digest, the SHA-256 of its file
    and its bytes), and after it the images. It is only ever created: of two who make the same image at once,
    the first one's stays, and everybody who comes later is given that. Whoever reads it compares the sums.

    Nobody counts what the bucket has while images are made. Where there is a limit, `trim` lists it and
    removes what was stored first: a bucket does not know when an object was read last, and noting it would
    cost a request of the dear kind for each image. What is removed though it is wanted is made, and stored,
    anew.

    Where the bucket does not answer, or may not be used, one warning says so, and this process goes on with
    its own store.

    Args:
        place: ``gs://bucket/prefix``.
        near: The store of this machine.
        gcp_project: The Google Cloud project; "": the credentials' own.
        limit: Bytes that the images there may have in all after `trim`; None: a lifecycle rule of the
            bucket's, if any, removes what is old.
    """

    def __init__(
        self, place: BucketPath, near: CacheStore, gcp_project: str = "", limit: int | None = None
    ) -> None:
        self.place = place
        self.near = near
        self.limit = limit
        self._bucket = Bucket(place.bucket, gcp_project, _SECONDS)
        self._broken = False

    def __repr__(self) -> str:
        return f"BucketCache('{self.place}')"

    def get(self, key: str) -> CachedImage | None:
        made = self.near.get(key)
        if made is not None or self._broken:
            return made
        try:
            found = self._bucket.find(self._name(key))
            if found is None:
                data = None
            else:
                data = self._bucket.read(found)
        except BucketChangedError:  # it was removed meanwhile
            return None
        except PixarisError as error:
            self._give_up(error)
            return None
        if data is None:
            made = None
        else:
            made = _unpacked(data)
        if made is None:
            return None
        return self.near.put(key, made) or made

    def put(self, key: str, made: CachedImage) -> CachedImage | None:
        kept = self.near.put(key, made)
        if not self._broken:
            try:
                self._bucket.write(_packed(made), self._name(key), replacing=0)
            except BucketChangedError:
                log.debug("%s was there already", key)
            except PixarisError as error:
                self._give_up(error)
        return kept

    def entries(self) -> list[BucketObject]:
        """The images there, in order of their names; one request for 1000. Other objects are left out.

        Raises:
            BucketError: They cannot be listed.
        """
        found = self._bucket.objects(f"{self.place.prefix}/".lstrip("/"))
        return [one for one in found if self._is_ours(one.name)]

    def prune(
        self, limit: int | None = None, stored_since: float = 0.0, seconds: float | None = None
    ) -> tuple[int, int]:
        """Remove what was stored first. Two who do that at once remove the same.

        Args:
            limit: Bytes that may stay; None: all.
            stored_since: Unix time; what was stored before goes whatever its size.
            seconds: How long that may take; what is left then goes the next time. None: as long as it takes.

        Returns:
            How many images and how many bytes were removed.

        Raises:
            BucketError: The bucket cannot be used; what was removed is gone.
        """
        began = time.monotonic()
        going = self._surplus(limit, stored_since)
        names = list(going)
        removed: list[int] = []

        def remove(name: str) -> None:
            self._bucket.delete(going[name])
            removed.append(going[name].size)

        while names and (seconds is None or time.monotonic() - began < seconds):
            side_by_side(remove, names[:_BATCH])
            names = names[_BATCH:]
        return len(removed), sum(removed)

    def _surplus(self, limit: int | None, stored_since: float) -> dict[str, BucketObject]:
        """Name to object of what has to go, what was stored first before the others."""
        entries = sorted(self.entries(), key=lambda one: (one.stored, one.generation))
        surplus = 0
        if limit is not None:
            surplus = sum(one.size for one in entries) - limit
        going = {}
        for one in entries:
            if surplus <= 0 and one.stored >= stored_since:
                break
            going[one.name] = one
            surplus -= one.size
        return going

    def trim(self) -> str:
        if self.limit is None or self._broken:
            return ""
        try:
            total = sum(one.size for one in self.entries())
            if total <= self.limit:
                return ""
            count, removed = self.prune(int(self.limit * _AFTER_TRIM), seconds=_TRIM_SECONDS)
        except PixarisError as error:
            return f"the cache {self.place} is not kept within {size(self.limit)}: {error}"
        left = size(total - removed)
        return f"the cache {self.place} was over {size(self.limit)}: {count} images removed, {left} are left"

    def _is_ours(self, name: str) -> bool:
        key = name.rpartition("/")[2]
        return _KEY.fullmatch(key) is not None and name == self._name(key)

    def _name(self, key: str) -> str:
        return f"{self.place.prefix}/{key[:2]}/{key}".lstrip("/")

    def _give_up(self, error: PixarisError) -> None:
        self._broken = True  # one warning, and one wait, not one for each image
        log.warning("the cache %s is not used any more: %s; the run goes on without", self.place, error)


def _packed(made: CachedImage) -> bytes:
    images = (made.image, *made.others)
    rows = [{"digest": one.digest, "sha256": one.sha256, "bytes": len(one.data)} for one in images]
    facts = {"endpoint": made.endpoint, "seconds": made.seconds, "cost": made.cost, "images": rows}
    return b"".join([json.dumps(facts).encode(), b"\n", *(one.data for one in images)])


def _unpacked(data: bytes) -> CachedImage | None:
    """The images of an object; None if anything is not as it was written."""
    line, _, rest = data.partition(b"\n")
    try:
        facts = json.loads(line)
        images = []
        for row in facts["images"]:
            piece, rest = rest[: row["bytes"]], rest[row["bytes"] :]
            if hashlib.sha256(piece).hexdigest() != row["sha256"]:
                return None
            images.append(EncodedImage(piece, str(row["digest"])))
        if facts["cost"] is None:
            cost = None
        else:
            cost = float(facts["cost"])
        return CachedImage(
            images[0], str(facts["endpoint"]), float(facts["seconds"]), cost, tuple(images[1:])
        )
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None
