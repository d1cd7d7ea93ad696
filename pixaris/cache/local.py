"""A cache in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pixaris.cache.base import CachedImage, CacheStore
from pixaris.cache.old_entries import read_old
from pixaris.exceptions import ConfigurationError
from pixaris.files import link_or_write, write_bytes
from pixaris.images import EncodedImage

log = logging.getLogger(__name__)

NO_LIMIT = 2**62
"""Bytes that no cache has."""

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
    """An image in the folder, with all that belongs to it.

    Attributes:
        files: Its files, the one that makes it an entry first.
        size: Bytes of all of them.
        used: When it was used last, in Unix time.
    """

    files: tuple[Path, ...]
    size: int
    used: float


class LocalCache(CacheStore):
    """Images as plain PNG files, with a JSON file of facts: ``<folder>/<first two digits of the
    key>/<key>.…``.

    ``<key>.json`` makes the entry and is written last: endpoint, seconds, cost, and of each image the digest
    of its pixels and the SHA-256 of its file, which is part of that one's name. An image is read only if the
    sum agrees: a damaged or edited one is removed and counts as missing. Results are hard links to these
    files where the file system can do that. The JSON file's modification time is when the image was used
    last. Processes that share the folder need no lock: equal keys mean equal content, and when the limit is
    passed, each removes what was not used for longest. Entries of earlier versions, in one file without a
    suffix, are still read.

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
        facts = self._path(key)
        try:
            made = _read(facts)
        except FileNotFoundError:
            return self._get_old(key)
        except OSError:
            return None
        if made is None:
            self._discard(facts)
        else:
            _touch(facts)
        return made

    def _get_old(self, key: str) -> CachedImage | None:
        """An entry of an earlier version."""
        path = self.folder / key[:2] / key
        try:
            made = read_old(path.read_bytes())
        except OSError:
            return None
        if made is None:
            self._discard(path)
        else:
            _touch(path)
        return made

    def _discard(self, path: Path) -> None:
        log.warning("%s is damaged or was edited; it is removed, and its image is generated anew", path)
        for file in path.parent.glob(f"{path.stem}*"):
            _remove(file)

    def put(self, key: str, made: CachedImage) -> CachedImage | None:
        if self._broken or not (self._make_folder or self.folder.is_dir()):
            return None
        facts = self._path(key)
        try:
            images = [_kept(facts, image) for image in (made.image, *made.others)]
            size = _write_facts(facts, made, images)
        except OSError as error:
            self._broken = True  # one warning, not one for each image
            log.warning(
                "images cannot be kept in %s (%s); the run goes on without",
                self.folder,
                error.strerror or error,
            )
            return None
        self._added += size
        if not self._counted or self._added > self.limit * _BETWEEN_COUNTS:
            self.prune()
        return replace(made, image=images[0], others=tuple(images[1:]))

    def entries(self) -> Iterator[Entry]:
        """Every image in the folder, in no order."""
        groups: defaultdict[str, list[Path]] = defaultdict(list)
        for path in self.folder.glob("??/*"):
            key = path.name.partition(".")[0]
            if _KEY.fullmatch(key):
                groups[key].append(path)
            elif path.suffix == ".part" and _age(path) > _HALF_WRITTEN_SECONDS:
                _remove(path)  # of a process that was killed
        for files in groups.values():
            entry = _entry(files)
            if entry is not None:
                yield entry

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
            if total <= self.limit:
                allowed = total
            else:
                allowed = int(self.limit * _AFTER_EVICTION)
        count = removed = 0
        for entry in entries:
            old = unused_since is not None and entry.used < unused_since
            if total - removed <= allowed and not old:
                break
            for file in entry.files:
                _remove(file)
            count, removed = count + 1, removed + entry.size
        return count, removed

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _image_path(facts: Path, sha256: str) -> Path:
    return facts.with_name(f"{facts.stem}.{sha256[:16]}.png")


def _kept(facts: Path, image: EncodedImage) -> EncodedImage:
    """Write an image beside its facts; the same image, knowing its file."""
    path = _image_path(facts, image.sha256)
    link_or_write(path, image.data, image.file)
    kept = EncodedImage(image.data, image.digest, path)
    kept.__dict__["sha256"] = image.sha256  # the property's own place: large files are summed up once
    return kept


def _write_facts(path: Path, made: CachedImage, images: Sequence[EncodedImage]) -> int:
    """Write the facts of an image; gives the bytes of all that is kept of it."""
    files = [{"digest": one.digest, "sha256": one.sha256} for one in images]
    facts = {"endpoint": made.endpoint, "seconds": made.seconds, "cost": made.cost, "images": files}
    text = json.dumps(facts).encode()
    write_bytes(path, text)
    return len(text) + sum(len(image.data) for image in images)


def _read(path: Path) -> CachedImage | None:
    """The image of a file of facts; None if anything is not as it was written.

    Raises:
        OSError: There is no such file.
    """
    text = path.read_bytes()
    try:
        facts = json.loads(text)
        images = [_read_image(path, row["digest"], row["sha256"]) for row in facts["images"]]
        endpoint, seconds, cost = facts["endpoint"], float(facts["seconds"]), facts["cost"]
        if cost is None:
            charged = None
        else:
            charged = float(cost)
        return CachedImage(images[0], str(endpoint), seconds, charged, tuple(images[1:]))
    except (OSError, KeyError, IndexError, TypeError, ValueError, RecursionError):
        return None


def _read_image(facts: Path, digest: str, sha256: str) -> EncodedImage:
    path = _image_path(facts, sha256)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("it is not what was written")
    return EncodedImage(data, str(digest), path)


def _entry(files: Sequence[Path]) -> Entry | None:
    """The files of one key as an entry; None while it is being written, or removed."""
    try:
        stats = {path: path.stat() for path in files}
    except OSError:  # another process has removed it
        return None
    heads = [path for path in files if path.suffix in ("", ".json")]
    if not heads:
        newest = max(stat.st_mtime for stat in stats.values())
        if time.time() - newest > _HALF_WRITTEN_SECONDS:
            for path in files:
                _remove(path)
        return None
    ordered = (*heads, *(path for path in files if path not in heads))
    size = sum(stat.st_size for stat in stats.values())
    return Entry(ordered, size, stats[heads[0]].st_mtime)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):  # a folder that may only be read still serves
        os.utime(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s cannot be removed: %s", path, error)
