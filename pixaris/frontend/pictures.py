"""Images for the browser: made anew from their pixels, so that nothing else of a file gets out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from pixaris.exceptions import ImageError
from pixaris.images import EncodedImage, read_image_file
from pixaris.report.thumbnails import thumbnail

SIDES = (128, 256, 768)
"""Sizes that there are, in pixels of the longer side …"""

FULL = 0
"""… and the whole image, without loss."""

_QUALITY = {128: 55, 256: 65, 768: 80}
# Some thousand small pictures: a page that is loaded again, or by a second person, decodes none.
_MOST_BYTES = 64 * 1024 * 1024


class Pictures:
    """Makes images for the browser and keeps the last ones used. Safe to be used by several threads."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[tuple[Path, ...], tuple[int, ...], int], bytes] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._size

    def get(self, files: Sequence[Path], side: int) -> bytes:
        """An image as WebP, or in full size as PNG; several files side by side.

        Args:
            files: At least one.
            side: One of `SIDES`, or `FULL`.

        Raises:
            ImageError: It is missing or damaged.
        """
        # With the time of change: a running search may make an image anew under the same name.
        key = (tuple(files), tuple(map(_changed, files)), side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        # Outside of the lock: decoding takes longer than everything else here.
        if side == FULL:
            data = _full(files)
        else:
            data = thumbnail(files, side, _QUALITY[side])
        if isinstance(data, ImageError):
            raise data
        with self._lock:
            # Two threads may have made the same one; it counts once.
            if key not in self._kept:
                self._kept[key] = data
                self._size += len(data)
            while self._size > self._most and self._kept:
                _, gone = self._kept.popitem(last=False)
                self._size -= len(gone)
        return data


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        raise ImageError(f"{file.name} is not there any more") from None


def _full(files: Sequence[Path]) -> bytes | ImageError:
    if len(files) > 1:
        # Several side by side have no file of their own to show in full.
        return thumbnail(files, 4096, 95)
    return EncodedImage.from_bytes(read_image_file(files[0]), files[0].name).data
