"""A cache in a folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.exceptions import ConfigurationError
from pixaris.files import write_bytes
from pixaris.images import EncodedImage

log = logging.getLogger(__name__)

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) *([kmgt]?)b", re.IGNORECASE)
_KEY = re.compile(r"[0-9a-f]{64}")
_AFTER_EVICTION = 0.9
"""How full the folder is left, so that not every image evicts another."""
_BETWEEN_COUNTS = 0.02
"""What part of the limit one process may add before it counts the folder anew."""
_HALF_WRITTEN_SECONDS = 3600.0


def size_of(text: str) -> int:
    """Bytes of a size that a person wrote: ``20 GB``, ``500MB``, ``1.5 TB``.

    Raises:
        ConfigurationError: It is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"must be a size such as 20 GB or 500 MB (got {text!r})")
    return int(float(match[1]) * _UNITS[match[2].lower()])


@dataclass(frozen=True)
class Entry:
    """An image in the folder.

    Attributes:
        path: Its file.
        size: Bytes.
        used: When it was used last, in Unix time.
    """

    path: Path
    size: int
    used: float


class LocalCache(CacheStore):
    """Images as files, one each: ``<folder>/<first two digits of the key>/<key>``.

    A file is the SHA-256 of what follows, a line of JSON (digest of the pixels, endpoint, seconds, cost, and
    digest and size of further images) and the PNG, with the further ones behind it. It is written beside and
    put in place whole, and read only if the sum agrees: a damaged file is removed and counts as missing. A
    file's modification time is when it was used last. Processes that share the folder need no lock: equal
    keys mean equal content, and when the limit is passed, each removes what was not used for longest.

    Args:
        folder: The folder; relative to the working folder of the process that makes the cache.
        limit: Bytes that the images may have in all; processes that write at the same time may pass it by a
            fiftieth each.
        make_folder: Whether a folder that is not there is made; else nothing is kept without it.
    """

    def __init__(
        self, folder: str | os.PathLike[str], limit: int = 20 * 10**9, *, make_folder: bool = True
    ) -> None:
        # absolute, because other processes have other working folders
        self.folder = Path(os.path.abspath(Path(folder).expanduser()))
        self.limit = limit
        self._make_folder = make_folder
        self._added = 0.0
        self._counted = False
        self._broken = False

    def __repr__(self) -> str:
        return f"LocalCache({str(self.folder)!r})"

    def get(self, key: str) -> CachedImage | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        made = _read(data)
        if made is None:
            log.warning("%s is damaged; it is removed, and its image is generated anew", path)
            _remove(path)
            return None
        try:
            os.utime(path)
        except OSError:  # a folder that may only be read still serves
            pass
        return made

    def put(self, key: str, made: CachedImage) -> None:
        if self._broken or not (self._make_folder or self.folder.is_dir()):
            return
        data = _written(made)
        try:
            write_bytes(self._path(key), data)
        except OSError as error:
            self._broken = True  # one warning, not one for each image
            log.warning(
                "images cannot be kept in %s (%s); the run goes on without",
                self.folder,
                error.strerror or error,
            )
            return
        self._added += len(data)
        if not self._counted or self._added > self.limit * _BETWEEN_COUNTS:
            self.prune()

    def entries(self) -> Iterator[Entry]:
        """Every image in the folder, in no order."""
        for path in self.folder.glob("??/*"):
            try:
                stat = path.stat()
            except OSError:  # another process has removed it
                continue
            if _KEY.fullmatch(path.name):
                yield Entry(path, stat.st_size, stat.st_mtime)
            elif path.suffix == ".part" and time.time() - stat.st_mtime > _HALF_WRITTEN_SECONDS:
                _remove(path)  # of a process that was killed

    def prune(self, limit: int | None = None, unused_since: float | None = None) -> tuple[int, int]:
        """Remove what was not used for longest.

        Args:
            limit: Bytes that may stay, by default a little less than the cache's limit, and nothing is
                removed below that.
            unused_since: Unix time; what was not used since goes whatever its size.

        Returns:
            How many images and how many bytes were removed.
        """
        self._added, self._counted = 0.0, True
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.size for entry in entries)
        allowed = limit
        if allowed is None:
            allowed = total if total <= self.limit else int(self.limit * _AFTER_EVICTION)
        count = removed = 0
        for entry in entries:
            old = unused_since is not None and entry.used < unused_since
            if total - removed <= allowed and not old:
                break
            _remove(entry.path)
            count, removed = count + 1, removed + entry.size
        return count, removed

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def _written(made: CachedImage) -> bytes:
    facts: dict[str, object] = {
        "digest": made.image.digest,
        "endpoint": made.endpoint,
        "seconds": made.seconds,
        "cost": made.cost,
    }
    if made.others:
        facts["others"] = [{"digest": image.digest, "bytes": len(image.data)} for image in made.others]
    images = b"".join(image.data for image in (made.image, *made.others))
    content = json.dumps(facts).encode() + b"\n" + images
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _read(data: bytes) -> CachedImage | None:
    total, _, content = data.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != total:
        return None
    line, _, images = content.partition(b"\n")
    try:
        facts = json.loads(line)
        digest, endpoint = facts["digest"], facts["endpoint"]
        seconds, cost = float(facts["seconds"]), facts["cost"]
        others: list[EncodedImage] = []
        for row in reversed(facts.get("others", [])):
            images, last = images[: -row["bytes"]], images[-row["bytes"] :]
            others.insert(0, EncodedImage(last, row["digest"]))
        charged = None if cost is None else float(cost)
        return CachedImage(EncodedImage(images, digest), endpoint, seconds, charged, tuple(others))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None  # whole, but not written by us


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s cannot be removed: %s", path, error)
