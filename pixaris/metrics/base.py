"""The seam for metrics."""

from __future__ import annotations

import math
import re
from abc import ABC
from collections.abc import Mapping, Sequence
from typing import ClassVar

from PIL import Image

from pixaris.exceptions import ConfigurationError, ImageError, MetricError, Problem
from pixaris.images import as_rgb
from pixaris.types import Direction, EvalItem


class BaseMetric(ABC):
    """Gives a generated image a number.

    Implement **one** of two methods:

    - `score(image, item)`: a value for one image. It is called in the process that runs the trial, possibly from several
      threads at once, and never sees a wrong item: ``item`` is the eval item the image was generated for. `calculate` then
      comes for free.
    - `calculate(images)`: values for a whole run, for what has no value per image. It is called with one image per eval item, in
      the eval set's order, and only when every item has an image.

    Both may raise anything: an exception makes the score missing for that item (or run), with its text as the reason; the run
    goes on. A metric must pickle (it is sent to trial processes), so open models and connections lazily.

    Attributes:
        name: Name of the score; by default the class name in snake case without "Metric".
        direction: "max" if higher is better, "min" if lower is; None for values that are only watched.
        range: Smallest and largest possible value.
        unit: Unit of the value, "" for none.
    """

    name: str = ""
    direction: Direction | None = None
    range: tuple[float, float] = (-math.inf, math.inf)
    unit: str = ""
    per_item: ClassVar[bool] = True
    """False where only `calculate` is implemented (set by the class itself)."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.name:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__.removesuffix("Metric")).lower() or cls.__name__
        scores = cls.score is not BaseMetric.score
        if not scores and cls.calculate is BaseMetric.calculate:
            raise TypeError(f"{cls.__name__} must implement score(image, item) or calculate(images)")
        cls.per_item = scores

    def score(self, image: Image.Image, item: EvalItem) -> float | Mapping[str, float]:
        """Return the value of one image, or several named values.

        Args:
            image: The generated image, RGB or RGBA, fully loaded.
            item: The eval item it was generated for.
        """
        raise NotImplementedError(f"{type(self).__name__} has no value per image")

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        """Return the values of a whole run.

        Args:
            images: One per eval item, in the eval set's order.

        Returns:
            Score name to value; by default the means of `score`.
        """
        rows = [self.named(self.score(image, EvalItem(index, str(index)))) for index, image in enumerate(images)]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: _mean([row[name] for row in rows if name in row]) for name in names}

    def named(self, value: float | Mapping[str, float]) -> dict[str, float]:
        """Give what `score` returned the form name → value; a single value gets the metric's name.

        Raises:
            MetricError: A value is not a finite number.
        """
        row = {str(k): float(v) for k, v in value.items()} if isinstance(value, Mapping) else {self.name: float(value)}
        for name, number in row.items():
            if not math.isfinite(number):
                raise MetricError(f"{name} is {number}, which is no score")
        return row

    def directions(self) -> dict[str, Direction]:
        """Score name to direction, for every score that declares one."""
        return {self.name: self.direction} if self.direction else {}

    def reference_folders(self) -> tuple[str, ...]:
        """Folders of the eval set that this metric reads."""
        return ()


class ReferenceMetric(BaseMetric):
    """A metric that compares a generated image with a reference; implement `compare`.

    Args:
        references: The references themselves, one per eval item in its order (copied, made upright 8-bit RGB or RGBA) …
        reference: … or the eval set's folder that holds them.

    Raises:
        ConfigurationError: Both are given, or neither; a reference is no image, or cannot be decoded.
    """

    def __init__(self, references: Sequence[Image.Image] | None = None, *, reference: str | None = None) -> None:
        if (references is None) == (reference is None):
            raise ConfigurationError(
                f"{type(self).__name__} takes either the reference images or the name of their folder "
                f"(reference=...), {'not both' if references is not None else 'one of them'}"
            )
        self.references = None if references is None else _decoded(references, type(self).__name__)
        self.reference = reference

    def compare(self, image: Image.Image, reference: Image.Image) -> float | Mapping[str, float]:
        """Return the value of an image against its reference (8-bit RGB or RGBA; read-only, other threads may hold it)."""
        raise NotImplementedError

    def score(self, image: Image.Image, item: EvalItem) -> float | Mapping[str, float]:
        return self.compare(image, self._reference_of(item))

    def _reference_of(self, item: EvalItem) -> Image.Image:
        if self.references is None:
            assert self.reference is not None
            try:
                return item.image(self.reference).image
            except KeyError:
                raise MetricError(f"item {item.name!r} has no image in folder {self.reference!r}") from None
        if item.index >= len(self.references):
            raise MetricError(
                f"{self.name} has {len(self.references)} references but the eval set goes on to item {item.index + 1}"
            )
        return self.references[item.index]

    def reference_folders(self) -> tuple[str, ...]:
        return (self.reference,) if self.reference else ()


def _decoded(references: Sequence[object], metric: str) -> tuple[Image.Image, ...]:
    # Decoded here, because Pillow opens files lazily: in threads that is a race, and 50 open images are 50 open files.
    decoded: list[Image.Image] = []
    problems: list[Problem] = []
    for index, reference in enumerate(references):
        where = f"reference {index} of {metric}"
        if not isinstance(reference, Image.Image):
            problems.append(Problem(where, f"must be a Pillow image (got {type(reference).__name__}); open it with Image.open"))
            continue
        try:
            decoded.append(as_rgb(reference))
        except (ImageError, OSError, SyntaxError, ValueError) as error:
            problems.append(Problem(where, f"cannot be decoded: {error}"))
    if problems:
        raise ConfigurationError(problems)
    return tuple(decoded)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
