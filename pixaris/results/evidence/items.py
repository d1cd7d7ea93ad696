"""``items.jsonl``: what a run made of each item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pixaris.files import read_json_lines
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import RunPaths


@dataclass(frozen=True)
class MadeImage:
    """One image of an item, or why there is none.

    Attributes:
        scores: Score name to value.
        error: Why there is no image or no score, in the server's words; None if nothing failed.
        image: The image's path in the run's folder.
        digest: Of its pixels.
        endpoint: Where it was made.
        seconds: Time the server ran for it.
        attempts: Endpoints that were tried.
        cached: Whether it was taken from the cache.
    """

    scores: Mapping[str, float | None] = field(default_factory=dict)
    error: str | None = None
    image: str | None = None
    digest: str | None = None
    endpoint: str | None = None
    seconds: float | None = None
    attempts: int | None = None
    cached: bool | None = None


@dataclass(frozen=True)
class ItemRow(MadeImage):
    """One item of a run.

    Attributes:
        index: Its position in the eval set.
        name: Its name.
        samples: With several seeds, the item once for each of them.
    """

    index: int = 0
    name: str = ""
    samples: tuple[MadeImage, ...] = ()

    @property
    def each(self) -> tuple[MadeImage, ...]:
        """Its images by seed."""
        return self.samples or (self,)

    @property
    def images(self) -> tuple[MadeImage, ...]:
        """Those of them that there are."""
        return tuple(made for made in self.each if made.image and made.digest)


def read_items(paths: RunPaths) -> dict[int, ItemRow]:
    """The items that a run is through with, by index; lines of something else are passed over."""
    found = {}
    for row in read_json_lines(paths.items):
        try:
            item = read_as(ItemRow, row)
        except ForeignError:
            continue
        found[item.index] = item
    return found
