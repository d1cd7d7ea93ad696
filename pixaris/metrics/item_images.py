"""One image per eval item, for metrics that compare: a folder of the eval set, or a list."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from PIL import Image

from pixaris.exceptions import ConfigurationError, ImageError, MetricError, Problem
from pixaris.images import EncodedImage, as_rgb
from pixaris.types import EvalItem, EvalSet


@dataclass(frozen=True)
class ItemImages:
    """References or masks, one per eval item.

    Attributes:
        metric: Name of the metric that reads them.
        what: "reference" or "mask".
        given: The images themselves, in the eval set's order, or None …
        folder: … where they are a folder of the eval set.
    """

    metric: str
    what: str
    given: tuple[Image.Image, ...] | None = None
    folder: str = ""

    @classmethod
    def of(
        cls, owner: str, metric: str, what: str, images: Iterable[Image.Image] | None, folder: str | None
    ) -> ItemImages:
        """Read a metric's two arguments, of which one is given.

        Args:
            owner: Class name of the metric, for errors.
            metric: Its name.
            what: "reference" or "mask".
            images: The images …
            folder: … or their folder.

        Raises:
            ConfigurationError: Both are given, or neither; an image is none, or cannot be decoded.
        """
        if (images is None) == (not folder):
            raise ConfigurationError(
                f"{owner} takes either the {what} images or the name of their folder "
                f"({what}=...), {'one of them' if images is None else 'not both'}"
            )
        if images is None:
            if not isinstance(folder, str):
                raise ConfigurationError(
                    f"{owner}: {what} must be the name of a folder of the eval set (got {folder!r})"
                )
            return cls(metric, what, folder=folder)
        if isinstance(images, str | Image.Image) or not isinstance(images, Iterable):
            raise ConfigurationError(
                f"{owner}: the {what} images must be a list of Pillow images, one per eval item (got"
                f" {type(images).__name__}); a folder of the eval set is named by {what}=..."
            )
        return cls(metric, what, _decoded(images, what, owner))

    def image_for(self, item: EvalItem) -> Image.Image:
        """The image that belongs to an item.

        Raises:
            MetricError: There is none.
        """
        if self.given is None:
            try:
                return item.image(self.folder).image
            except KeyError:
                raise MetricError(f"item {item.name!r} has no image in folder {self.folder!r}") from None
        if item.index >= len(self.given):
            raise MetricError(
                f"{self.metric} has {len(self.given)} {self.what}s but the eval set goes on to item"
                f" {item.index + 1}"
            )
        return self.given[item.index]

    def key(self, item: EvalItem) -> Hashable:
        """Tells the images of different items apart: what is computed of one can be kept under it."""
        if self.given is not None:
            return item.index
        encoded = item.inputs.get(self.folder) or item.references.get(self.folder)
        return encoded.digest if encoded is not None else None

    def encoded_for(self, item: EvalItem) -> EncodedImage:
        """The same as it travels; a folder's images are not encoded anew.

        Raises:
            MetricError: There is none.
        """
        if self.given is None and self.folder in {**item.inputs, **item.references}:
            return item.image(self.folder)
        return EncodedImage.of(self.image_for(item))

    def count_problem(self, eval_set: EvalSet) -> str:
        """Why the number of given images does not fit an eval set, or ""."""
        if self.given is None or len(self.given) == len(eval_set):
            return ""
        has = (
            f"has {len(self.given)} {self.what}s, but the eval set {eval_set.name!r} has {len(eval_set)}"
            " items"
        )
        return f"{has}; give one for each item, in its order"


def _decoded(images: Iterable[object], what: str, metric: str) -> tuple[Image.Image, ...]:
    # Decoded here, because Pillow opens files lazily: in threads that is a race, and 50 open images are 50
    # open files.
    decoded: list[Image.Image] = []
    problems: list[Problem] = []
    for index, image in enumerate(images):
        where = f"{what} {index} of {metric}"
        if not isinstance(image, Image.Image):
            problems.append(
                Problem(
                    where, f"must be a Pillow image (got {type(image).__name__}); open it with Image.open"
                )
            )
            continue
        try:
            decoded.append(as_rgb(image))
        except (ImageError, OSError, SyntaxError, ValueError) as error:
            problems.append(Problem(where, f"cannot be decoded: {error}"))
    if problems:
        raise ConfigurationError(problems)
    return tuple(decoded)
