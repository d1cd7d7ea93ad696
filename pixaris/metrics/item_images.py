"""One image per eval item, for metrics that compare: a folder of the eval set, or a list."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pixaris.exceptions import ConfigurationError, ImageError, MetricError, Problem
from pixaris.images import EncodedImage, as_rgb
from pixaris.types import EvalItem, EvalSet

_SHOWN = 3
"""How many names a message lists."""


@dataclass(frozen=True)
class ItemImages:
    """References or masks, one per eval item.

    Attributes:
        metric: Name of the metric that reads them.
        what: "reference" or "mask".
        given: The images themselves, or None …
        folder: … where they are a folder of the eval set.
        names: The given images' names, where they all know the files that they were read from: then each
            belongs to the item of its name. Else they are in the eval set's order.
    """

    metric: str
    what: str
    given: tuple[Image.Image, ...] | None = None
    folder: str = ""
    names: tuple[str, ...] = ()

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
        listed = list(images)
        return cls(metric, what, _decoded(listed, what, owner), names=_names(listed))

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
        place = self._place(item)
        if place >= len(self.given):
            raise MetricError(
                f"{self.metric} has {len(self.given)} {self.what}s but the eval set goes on to item"
                f" {item.index + 1}"
            )
        return self.given[place]

    def _place(self, item: EvalItem) -> int:
        """The place of an item's image among the given ones."""
        if not self.names or not item.name:
            return item.index
        if item.name not in self.names:
            raise MetricError(f"{self.metric} has no {self.what} called {item.name!r}")
        return self.names.index(item.name)

    def key(self, item: EvalItem) -> Hashable:
        """Tells the images of different items apart: what is computed of one can be kept under it."""
        if self.given is not None:
            return self._place(item)
        encoded = item.inputs.get(self.folder) or item.references.get(self.folder)
        if encoded is not None:
            return encoded.digest
        return None

    def encoded_for(self, item: EvalItem) -> EncodedImage:
        """The same as it travels; a folder's images are not encoded anew.

        Raises:
            MetricError: There is none.
        """
        if self.given is None and self.folder in {**item.inputs, **item.references}:
            return item.image(self.folder)
        return EncodedImage.of(self.image_for(item))

    def problem_with(self, eval_set: EvalSet) -> str:
        """Why the given images do not fit an eval set, by their names or else by their number; "" if they
        do.
        """
        if self.given is None:
            return ""
        if self.names:
            return self._name_problem(eval_set)
        if len(self.given) == len(eval_set):
            return ""
        has = (
            f"has {len(self.given)} {self.what}s, but the eval set {eval_set.name!r} has {len(eval_set)}"
            " items"
        )
        return f"{has}; give one for each item, in its order"

    def _name_problem(self, eval_set: EvalSet) -> str:
        missing = [item.name for item in eval_set.items if item.name not in self.names]
        if not missing:
            return ""
        shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        rule = f"its {self.what}s are files, each for the item of its name, and none is called {shown}"
        way_out = "name the files as the items, or give copies (image.copy()), which are taken in their order"
        return f"{rule} ({len(missing)} of {len(eval_set)} items); {way_out}"


def _names(images: Iterable[object]) -> tuple[str, ...]:
    """The names of the files that images were read from, without suffix; nothing where one does not know its
    file, or two have one name.
    """
    files = [str(getattr(image, "filename", "") or "") for image in images]
    stems = tuple(unicodedata.normalize("NFC", Path(file).stem) for file in files)
    if all(stems) and len(set(stems)) == len(stems):
        return stems
    return ()


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
