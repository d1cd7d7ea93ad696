"""A cache in a bucket, which searches on any machine share."""

from __future__ import annotations

import hashlib
import json
import logging

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.exceptions import BucketChangedError, PixarisError
from pixaris.gcp.storage import Bucket, BucketPath
from pixaris.images import EncodedImage

log = logging.getLogger(__name__)

_SECONDS = 10.0
"""How long one request may take: an image that is waited for longer is made sooner."""


class BucketCache(CacheStore):
    """Images as objects, ``<prefix>/<first two digits of the key>/<key>``, behind a store of this machine:
    what that one has is not asked for, and what comes from the bucket is kept in it.

    An object is one line of JSON (endpoint, seconds, cost; of each image its digest, the SHA-256 of its file
    and its bytes), and after it the images. It is only ever created: of two who make the same image at once,
    the first one's stays, and everybody who comes later is given that. Whoever reads it compares the sums.
    What is in the bucket has no limit of ours: a lifecycle rule of the bucket's removes what is old.

    Where the bucket does not answer, or may not be used, one warning says so, and this process goes on with
    its own store.

    Args:
        place: ``gs://bucket/prefix``.
        near: The store of this machine.
        gcp_project: The Google Cloud project; "": the credentials' own.
    """

    def __init__(self, place: BucketPath, near: CacheStore, gcp_project: str = "") -> None:
        self.place = place
        self.near = near
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
