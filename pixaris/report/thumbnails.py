"""Small pictures for the report, each made once: SQLite keeps them in the search's folder."""

from __future__ import annotations

import contextlib
import io
import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pixaris.exceptions import ImageError
from pixaris.images import decode, read_image_file

_AT_ONCE = 64
"""Pictures that are made before they are kept: as much is lost where a process is killed."""

_LATER = ImageError("its picture comes with a later report; open the original")
"""What stands in place of a picture for which there was no time."""


@dataclass(frozen=True)
class Source:
    """What a thumbnail is made of.

    Attributes:
        digest: Of the image's pixels; of several images, of all of them.
        files: Where the images lie; several are shown side by side.
    """

    digest: str
    files: tuple[Path, ...]


class Thumbnails:
    """Makes small WebP files of images, and keeps them.

    Used by one thread; decoding and encoding go on in `workers` others. What cannot be kept (a folder that is
    read-only, a file system without locks) is made again the next time. A size of at most half of
    one that there is comes from that, and not from the file: a growing report wants ever smaller ones, and
    decoding files takes most of the time.

    Args:
        file: The database.
        workers: Threads.
        clock: Gives seconds.

    Attributes:
        workers: As given; another number counts from the next pictures on.
    """

    def __init__(self, file: Path, workers: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self.workers = workers
        self._clock = clock
        self._deadline = math.inf
        self._made: dict[tuple[str, int], bytes | ImageError] = {}
        self._read: set[int] = set()
        self._database: sqlite3.Connection | None = None
        with contextlib.suppress(sqlite3.Error):
            # Another process may write the report of the same search; longer than this nobody waits for
            # pictures.
            self._database = sqlite3.connect(file, timeout=2.0)
            self._database.execute(
                "create table if not exists thumbnails (digest text, side int, data blob,"
                " primary key (digest, side))"
            )

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()

    def __enter__(self) -> Thumbnails:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hurry(self, seconds: float) -> None:
        """Make no more pictures once so many seconds have gone by; those that are missing then come later.

        Args:
            seconds: From now on; infinite where all are to be made.
        """
        self._deadline = self._clock() + seconds

    def make(self, sources: Iterable[Source], side: int, quality: int, *, always: bool = False) -> None:
        """Make what is not there yet, several at once; `get` then has it.

        Args:
            sources: What to make it of.
            side: Pixels of the longer side, at most.
            quality: WebP's, from 0 to 100.
            always: Whether they are made although there is no time left.
        """
        # All of a size at once: one query, not one for each picture.
        if side not in self._read:
            self._read.add(side)
            self._made.update({(digest, side): data for digest, data in self._kept(side)})
        # By digest, so that the same picture of many sets is made once.
        missing = {source.digest: source for source in sources if (source.digest, side) not in self._made}
        wanted = list(missing.values())
        with ThreadPoolExecutor(self.workers, "pixaris-thumbnails") as pool:
            for start in range(0, len(wanted), _AT_ONCE):
                if self._clock() > self._deadline and not always:
                    break
                batch = wanted[start : start + _AT_ONCE]
                done = list(pool.map(lambda source: self._one(source, side, quality), batch))
                found = {source.digest: data for source, data in zip(batch, done, strict=True)}
                self._made.update({(digest, side): data for digest, data in found.items()})
                self._keep(found, side)

    def get(self, source: Source, side: int) -> bytes | ImageError:
        """A thumbnail that was made, or why there is none."""
        return self._made.get((source.digest, side), _LATER)

    def _one(self, source: Source, side: int, quality: int) -> bytes | ImageError:
        """A thumbnail, made of a larger one where there is one."""
        larger = self._larger(source, side)
        if larger is None:
            return thumbnail(source.files, side, quality)
        try:
            picture = decode(larger)
        except ImageError:  # somebody has changed the database
            return thumbnail(source.files, side, quality)
        if max(picture.size) <= side:
            return larger
        return _encoded(picture, side, quality)

    def _larger(self, source: Source, side: int) -> bytes | None:
        """A thumbnail of at least twice the size: what its own compression took away is hardly seen then."""
        for size in sorted(self._read):
            data = self._made.get((source.digest, size))
            if size >= 2 * side and isinstance(data, bytes):
                return data
        return None

    def _kept(self, side: int) -> Iterator[tuple[str, bytes]]:
        if self._database is None:
            return
        with contextlib.suppress(sqlite3.Error):
            yield from self._database.execute("select digest, data from thumbnails where side = ?", (side,))

    def _keep(self, made: dict[str, bytes | ImageError], side: int) -> None:
        if self._database is None:
            return
        rows = [(digest, side, data) for digest, data in made.items() if isinstance(data, bytes)]
        with contextlib.suppress(sqlite3.Error), self._database:
            self._database.executemany("insert or replace into thumbnails values (?, ?, ?)", rows)


def thumbnail(files: Sequence[Path], side: int, quality: int) -> bytes | ImageError:
    """A WebP file of one or several images, or why there is none.

    Args:
        files: The images' files.
        side: Pixels of the longer side, at most.
        quality: WebP's, from 0 to 100.
    """
    try:
        images = [decode(read_image_file(file), file.name) for file in files]
    except ImageError as error:
        return error
    return _encoded(tiled(images), side, quality)


def _encoded(picture: Image.Image, side: int, quality: int) -> bytes:
    """A picture as WebP, scaled down where it is larger than that."""
    if max(picture.size) > side:
        scale = side / max(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        # `reducing_gap` lets Pillow shrink by whole factors first: faster, and nobody sees it at this size.
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    buffer = io.BytesIO()
    # Method 2 of 6: faster than the default, for somewhat larger files.
    picture.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def tiled(images: Sequence[Image.Image]) -> Image.Image:
    """One picture of several, on white, in rows as many as columns.

    Args:
        images: At least one.
    """
    if len(images) == 1:
        return images[0]
    across = math.ceil(math.sqrt(len(images)))
    width = max(image.width for image in images)
    height = max(image.height for image in images)
    whole = Image.new("RGB", (across * width, math.ceil(len(images) / across) * height), (255, 255, 255))
    for number, image in enumerate(images):
        whole.paste(image.convert("RGB"), (number % across * width, number // across * height))
    return whole
