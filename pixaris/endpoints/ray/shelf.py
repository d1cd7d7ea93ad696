"""Where a worker keeps the images it has made until their clients have fetched them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

import ray

ROOM = 256 * 1024 * 1024


class Shelf:
    """Images by number, in this process; beyond a limit in Ray's object store, which can put them on a disk.

    Not all in the object store: a reference that leaves its process costs two processes a millisecond, and
    its owner keeps some hundred bytes for each for ever.

    Args:
        room: Bytes kept in this process.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._numbers = itertools.count()
        self._images: dict[int, bytes | ray.ObjectRef] = {}
        self._lock = threading.Lock()

    def put(self, data: bytes) -> int:
        """Keep an image; gives its number."""
        with self._lock:
            # Room is taken under the lock and the object store asked without it: a put of a large image
            # takes milliseconds, in which others would wait.
            here = len(data) <= self._room
            self._room -= len(data) if here else 0
        if here:
            image = data
        else:
            image = ray.put(data)
        with self._lock:
            number = next(self._numbers)
            self._images[number] = image
        return number

    def share(self, number: int) -> int:
        """Keep an image for one client more; gives the number under which that one finds it."""
        image = self.get(number)
        if image is not None:
            return self.put(image)
        # A number under which there is nothing: whoever fetches it is told that the image is lost, and asks
        # for it again.
        return next(self._numbers)

    def get(self, number: int) -> bytes | None:
        """An image; None if there is none of this number."""
        with self._lock:
            image = self._images.get(number)
        if image is None or isinstance(image, bytes):
            return image
        return bytes(ray.get(image))

    def release(self, numbers: Iterable[int]) -> None:
        """Keep them no longer. Those that are not here are none."""
        with self._lock:
            for number in numbers:
                image = self._images.pop(number, None)
                self._room += len(image) if isinstance(image, bytes) else 0
