"""The pictures that a report holds, each once, in sizes that keep the file as small as it may be.

Every picture has a small tier; those that matter most have a large one too, as far as the file's size allows:
the eval set's, the baseline's, the winner's, and on by rank.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pixaris.exceptions import ImageError
from pixaris.report.model import Cell, Report, SetRow
from pixaris.report.thumbnails import Source, Thumbnails

PER_CHUNK = 1_000
"""The number of a picture is its chunk's number times this, plus its place there."""

# Sides of the small pictures that are tried, the largest first.
_SIDES = (192, 160, 128, 112, 96, 80, 64, 48)
# Sides of the large ones; smaller where there are many images.
_LARGE, _LARGE_OF_MANY = 768, 512
_QUALITY = 50
# The browser parses a group at once when the first of its pictures is shown: large ones would make it
# stutter.
_CHUNK_BYTES = 600_000
# Pictures by which the size of all is guessed.
_SAMPLE = 24
# Bytes that a file may have: these up to so many images, growing evenly to those of many.
_FEW, _SMALL_FILE = 1_000, 8_000_000
_MANY, _LARGE_FILE = 16_000, 30_000_000
_FIXED_TEXT, _TEXT_OF_CELL = 350_000, 92
"""Bytes that the rest of the file takes: of itself, and for each image."""
# Bytes of a large picture, as they come out on average.
_TYPICAL_LARGE = 22_000


@dataclass
class Gallery:
    """Pictures as a report holds them.

    Attributes:
        chunks: Pictures as files, in groups that are read together.
        small: Digest to a picture's number.
        large: Digest to the number of its larger picture, where there is one.
        problems: Digest to why there is no picture.
        side: Pixels of the small ones' longer side.
        size: Bytes of all chunks.
    """

    side: int = 0
    chunks: list[list[bytes]] = field(default_factory=list)
    small: dict[str, int] = field(default_factory=dict)
    large: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    size: int = 0
    _open: int = 0

    def add(self, pictures: Iterable[tuple[str, bytes]], numbers: dict[str, int]) -> None:
        """Take in pictures; a new group begins with them."""
        # As if the last group were full.
        self._open = _CHUNK_BYTES
        for digest, data in pictures:
            if self._open >= _CHUNK_BYTES or len(self.chunks[-1]) == PER_CHUNK:
                self.chunks.append([])
                self._open = 0
            numbers[digest] = (len(self.chunks) - 1) * PER_CHUNK + len(self.chunks[-1])
            self.chunks[-1].append(data)
            self.size += _encoded(len(data))
            self._open += _encoded(len(data))

    def best(self, digest: str) -> int | None:
        """The number of a picture, the larger one where there are two."""
        return self.large.get(digest, self.small.get(digest))

    def data_url(self, digest: str) -> str | None:
        """A picture as an address, for an image that must show without scripts."""
        number = self.best(digest)
        if number is None:
            return None
        return f"data:image/webp;base64,{_base64(self.chunks[number // PER_CHUNK][number % PER_CHUNK])}"

    def texts(self) -> Iterator[list[str]]:
        """The groups as base64, one at a time."""
        for chunk in self.chunks:
            yield [_base64(data) for data in chunk]


def gallery(report: Report, thumbnails: Thumbnails) -> Gallery:
    """Choose and make the pictures of a report."""
    given = _given(report)
    made = {row_at: _sources(row) for row_at, row in enumerate(report.sets)}
    count = len(given) + sum(map(len, made.values()))
    room = _limit(count) - _FIXED_TEXT - _TEXT_OF_CELL * count
    each = [*given, *(source for sources in made.values() for source in sources)]
    # The small tier goes by what is left when the most important large ones are in.
    found = Gallery(_side(each, room, len(given) + 2 * len(report.items), thumbnails))
    _add_small(found, [given, *made.values()], room, thumbnails)
    if count <= _FEW:
        side = _LARGE
    else:
        side = _LARGE_OF_MANY
    for sources in [given, *(made[at] for at in _by_weight(report))]:
        if not _add_large(found, sources, side, room, thumbnails):
            break
    return found


def _limit(count: int) -> int:
    """Bytes that a file of so many images may have."""
    share = (count - _FEW) / (_MANY - _FEW)
    return round(_SMALL_FILE + min(max(share, 0.0), 1.0) * (_LARGE_FILE - _SMALL_FILE))


def _given(report: Report) -> list[Source]:
    """The eval set's pictures, each once."""
    found = {}
    part = report.first
    wanted = set(report.items)
    for item in part.pictures.items:
        if item.name not in wanted:
            continue
        for picture in item.pictures.values():
            file = part.pictures.file(part.paths, picture)
            if file is not None:
                found[picture.digest] = Source(picture.digest, (file,))
    return list(found.values())


def _sources(row: SetRow) -> list[Source]:
    cells: Mapping[int, Cell] = row.cells
    return [cell.source for _, cell in sorted(cells.items()) if cell.source is not None]


def _side(sources: Sequence[Source], room: int, important: int, thumbnails: Thumbnails) -> int:
    """The largest side of the small pictures that leaves room for the large ones of what matters most."""
    # Evenly over all: sets may differ much in how well they compress.
    sample = sources[:: max(1, len(sources) // _SAMPLE)]
    reserve = min(room // 3, _encoded(important * _TYPICAL_LARGE))
    for side in _SIDES[:-1]:
        thumbnails.make(sample, side, _QUALITY, always=True)
        sizes = [len(data) for data in _pictures(sample, side, thumbnails).values()]
        mean = sum(sizes) / max(len(sizes), 1)
        if _encoded(mean * len(sources)) + reserve <= room:
            return side
    return _SIDES[-1]


def _add_small(found: Gallery, groups: Sequence[Sequence[Source]], room: int, thumbnails: Thumbnails) -> None:
    """Add the small pictures, best sets first, until the file is full."""
    wanted = {source.digest: source for sources in groups for source in sources}
    thumbnails.make(wanted.values(), found.side, _QUALITY)
    fresh: dict[str, bytes] = {}
    size = 0
    for source in wanted.values():
        data = thumbnails.get(source, found.side)
        if isinstance(data, ImageError):
            found.problems[source.digest] = str(data)
        elif size + _encoded(len(data)) <= room:
            size += _encoded(len(data))
            fresh[source.digest] = data
        else:
            # Told instead of left blank: the reader can open the image itself.
            found.problems[source.digest] = "this file has no room for it; open the original"
    found.add(fresh.items(), found.small)


def _add_large(
    found: Gallery, sources: Sequence[Source], side: int, room: int, thumbnails: Thumbnails
) -> bool:
    """Add the large pictures of a set (or of the eval set); False where the file is full."""
    wanted = [source for source in sources if source.digest in found.small]
    wanted = [source for source in wanted if source.digest not in found.large]
    if found.size + _encoded(len(wanted) * _TYPICAL_LARGE / 4) > room:
        return False  # not even if they are unusually small
    thumbnails.make(wanted, side, _QUALITY)
    pictures = _pictures(wanted, side, thumbnails)
    if found.size + sum(_encoded(len(data)) for data in pictures.values()) > room:
        return False
    small = {source.digest: thumbnails.get(source, found.side) for source in wanted}
    # An image that is no larger than its small picture needs no second one.
    found.add(((digest, data) for digest, data in pictures.items() if data != small[digest]), found.large)
    return True


def _pictures(sources: Iterable[Source], side: int, thumbnails: Thumbnails) -> dict[str, bytes]:
    made = {source.digest: thumbnails.get(source, side) for source in sources}
    return {digest: data for digest, data in made.items() if isinstance(data, bytes)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _encoded(size: float) -> int:
    """Bytes as base64."""
    return round(size * 4 / 3) + 4


def _by_weight(report: Report) -> list[int]:
    """Places of the sets: the baselines, then by rank."""
    baselines = [at for at, row in enumerate(report.sets) if row.trial.number == 0]
    return [*baselines, *(at for at in range(len(report.sets)) if at not in baselines)]
