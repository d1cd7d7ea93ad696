"""What another process needs to go on with a run: its results, without the images that lie in a store."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pixaris.images import EncodedImage
from pixaris.types import GeneratedImage, ItemResult


@dataclass(frozen=True)
class RunSnapshot:
    """A run between two items.

    Attributes:
        results: Item index to its result.
        started: Unix time of the run's start.
        seconds: Wall time that was worked on it.
    """

    results: Mapping[int, ItemResult]
    started: float
    seconds: float

    def pack(self, *, with_images: bool) -> bytes:
        """The snapshot as bytes.

        Args:
            with_images: Whether images are part of it, for where no store is shared.
        """
        if with_images:
            return pickle.dumps(self)
        return pickle.dumps(replace(self, results={i: _bare(one) for i, one in self.results.items()}))

    @classmethod
    def unpack(cls, data: bytes) -> RunSnapshot:
        """Read what `pack` made."""
        snapshot = pickle.loads(data)
        assert isinstance(snapshot, cls)
        return snapshot


def digests(result: ItemResult) -> list[str]:
    """The digests of an item's images whose bytes it lacks."""
    images = (image for made in _made(result) for image in (made.image, *made.others))
    return list(dict.fromkeys(image.digest for image in images if not image.data))


def with_images(result: ItemResult, images: Sequence[EncodedImage]) -> ItemResult | None:
    """A result with the bytes of its images; None where one of them is not among those given."""
    known = {image.digest: image for image in images}
    if any(digest not in known for digest in digests(result)):
        return None
    return _mapped(result, known)


def _made(result: ItemResult) -> Iterator[GeneratedImage]:
    for one in (result, *result.samples):
        if one.generated is not None:
            yield one.generated


def _bare(result: ItemResult) -> ItemResult:
    if result.generated is None:
        generated = None
    else:
        generated = result.generated.bare
    return replace(result, generated=generated, samples=tuple(map(_bare, result.samples)))


def _mapped(result: ItemResult, known: Mapping[str, EncodedImage]) -> ItemResult:
    generated = result.generated
    if generated is not None:
        others = tuple(known.get(image.digest, image) for image in generated.others)
        image = known.get(generated.image.digest, generated.image)
        generated = replace(generated, image=image, others=others)
    samples = tuple(_mapped(one, known) for one in result.samples)
    return replace(result, generated=generated, samples=samples)
