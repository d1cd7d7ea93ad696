"""The seam for metrics."""

from __future__ import annotations

import math
import re
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, TypeAlias

from PIL import Image

from pixaris.exceptions import ConfigurationError, MetricError
from pixaris.images import EncodedImage
from pixaris.metrics.execution import Execution, Prompt
from pixaris.metrics.item_images import ItemImages
from pixaris.plugins import half_unpickled
from pixaris.types import Direction, EvalItem

__all__ = [
    "COMPUTING",
    "NEEDS",
    "WAITING",
    "BaseMetric",
    "Execution",
    "MaskedMetric",
    "Prompt",
    "ReferenceMetric",
    "Scale",
    "Voting",
]

Need: TypeAlias = Literal["reference", "mask", "prompt"]

NEEDS: tuple[Need, ...] = ("reference", "mask", "prompt")
WAITING = 16
COMPUTING = 4
"""How many calls of `BaseMetric.score` at once help a metric that waits for something else, and one that
computes here.
"""


@dataclass(frozen=True)
class Scale:
    """What the values of one score mean.

    Attributes:
        direction: "max" if higher is better, "min" if lower is; None for values that are only watched.
        range: Smallest and largest possible value.
        unit: Unit of the value, "" for none.
    """

    direction: Direction | None = None
    range: tuple[float, float] = (-math.inf, math.inf)
    unit: str = ""


@dataclass(frozen=True)
class Voting:
    """How people's votes make a score: the search puts its sets up for them, and waits.

    Attributes:
        score: Name of the score.
        iteration: Name of the feedback iteration that the search makes.
        votes: After how many votes it ends; None: a few for each set.
        sets_per_round: Sets that are put up together.
    """

    score: str
    iteration: str
    votes: int | None
    sets_per_round: int


class BaseMetric(ABC):
    """Gives a generated image a number.

    Implement **one** of three methods:

    - `score(image, item)`: a value for one image.
    - `score_execution(execution)`: the same, for what depends on more than pixels: the prompt, the seconds,
      the cost.
    - `calculate(images)`: values for a whole run, for what has no value per image. It is called with one
      image per eval item, in the eval set's order, and only when every item has an image.

    The first two are called in the process that runs the trial, while the next images are generated, from
    several threads at once (`parallel`); they never see a wrong item: it is the one the image was generated
    for. `calculate` then comes for free.

    All may raise anything: an exception makes the score missing for that item (or run), with its text as the
    reason; the run goes on. Only `AccountError` ends it: the account that scores cannot be used. A metric
    must pickle (it is sent to trial processes), so open models and connections lazily.

    Attributes:
        name: Name of the score; by default the class name in snake case without "Metric".
        direction: "max" if higher is better, "min" if lower is; None for values that are only watched.
        range: Smallest and largest possible value.
        unit: Unit of the value, "" for none.
        scores: Score name to its scale, for metrics that give several; else there is one, with the four facts
            above.
        needs: What it compares the image with: "reference", "mask", "prompt".
        extra: The optional dependencies it needs, as in ``pip install pixaris[extra]``; "" for none.
        parallel: How many calls at once it gets in one process: many help where it waits for a network, few
            where it computes.
    """

    name: str = ""
    direction: Direction | None = None
    range: tuple[float, float] = (-math.inf, math.inf)
    unit: str = ""
    scores: Mapping[str, Scale] = MappingProxyType({})
    needs: tuple[Need, ...] = ()
    extra: ClassVar[str] = ""
    parallel: int = WAITING
    per_item: ClassVar[bool] = True
    """False where only `calculate` is implemented (set by the class itself)."""
    _named_by_class: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if half_unpickled():
            return
        cls._named_by_class = "name" not in cls.__dict__ and (cls._named_by_class or not cls.name)
        if cls._named_by_class:
            cls.name = (
                re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__.removesuffix("Metric")).lower()
                or cls.__name__
            )
        # Told by what the class overrides, so that nobody has to declare it and forget.
        cls.per_item = (
            cls.score is not BaseMetric.score or cls.score_execution is not BaseMetric.score_execution
        )
        # When the class is made, not in the middle of a search.
        if not cls.per_item and cls.calculate is BaseMetric.calculate:
            raise TypeError(
                f"{cls.__name__} must implement score(image, item) or calculate(images) (or"
                " score_execution(execution))"
            )

    def score(self, image: Image.Image, item: EvalItem) -> float | Mapping[str, float]:
        """Return the value of one image, or several named values.

        Args:
            image: The generated image, RGB or RGBA, fully loaded.
            item: The eval item it was generated for.
        """
        return self.score_execution(Execution(EncodedImage.of(image), item))

    def score_execution(self, execution: Execution) -> float | Mapping[str, float]:
        """Return the value of one workflow execution, or several named values."""
        if type(self).score is BaseMetric.score:
            raise NotImplementedError(f"{type(self).__name__} has no value per image")
        return self.score(execution.image.image, execution.item)

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        """Return the values of a whole run.

        Args:
            images: One per eval item, in the eval set's order.

        Returns:
            Score name to value; by default the means of `score`.

        Raises:
            MetricError: There are more or fewer images than what they are compared with.
        """
        images = self.counted(images)
        rows = [self.named(self.score(image, EvalItem(index, ""))) for index, image in enumerate(images)]
        return means_of(rows)

    def counted(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The images of a run, as many as what each is compared with.

        Raises:
            MetricError: There are more or fewer.
        """
        images = list(images)
        for beside in self.item_images():
            if beside.given is not None and len(beside.given) != len(images):
                raise MetricError(
                    f"{self.name} has {len(beside.given)} {beside.what}s, but is given {len(images)} images; "
                    "give one for each, in their order"
                )
        return images

    def named(self, value: float | Mapping[str, float]) -> dict[str, float]:
        """Give what `score` returned the form name → value; a single value gets the metric's name.

        Raises:
            MetricError: A value is not a finite number.
        """
        if isinstance(value, Mapping):
            given = value
        else:
            given = {self.name: value}
        return {str(name): _number(str(name), one) for name, one in given.items()}

    def answering(self, row: Mapping[str, float], objectives: Sequence[str]) -> dict[str, float]:
        """Scores, with the one that is optimised among them.

        A metric may name its scores freely. Where a search optimises the metric itself, its only score is
        that; of several, one must be chosen.

        Args:
            row: What it gave, by name.
            objectives: What is optimised.

        Raises:
            ConfigurationError: It gave several, and none of them is called as the objective.
        """
        # It says itself what it gives, or gives what is wanted.
        if self.name not in objectives or self.name in row or self.scores or not row:
            return dict(row)
        if len(row) > 1:
            names = ", ".join(row)
            rule = f"the metric {self.name!r} gives several scores; choose one of {names}"
            raise ConfigurationError(f"{rule}: objective: {{metric: {next(iter(row))}}}", "objective")
        return {**row, self.name: next(iter(row.values()))}

    def scales(self) -> dict[str, Scale]:
        """Score name to what its values mean, for every score that is known before it is given."""
        return dict(self.scores) or {self.name: Scale(self.direction, self.range, self.unit)}

    def directions(self) -> dict[str, Direction]:
        """Score name to direction, for every score that declares one."""
        return {name: scale.direction for name, scale in self.scales().items() if scale.direction}

    def reference_folders(self) -> tuple[str, ...]:
        """Folders of the eval set that this metric reads."""
        return tuple(images.folder for images in self.item_images() if images.folder)

    def item_images(self) -> tuple[ItemImages, ...]:
        """The images it compares an item's image with: a folder's, or given ones. Checked against the eval
        set before a run.
        """
        return ()

    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts it reads; those that stand in the workflow are looked for there before anything is
        generated.
        """
        return ()

    def columns(self) -> tuple[str, ...]:
        """Columns of text of the eval set that it reads; looked for there before anything is generated."""
        return tuple(prompt.column for prompt in self.prompts() if prompt.column)

    def voting(self) -> Voting | None:
        """How people's votes make its score; None of a metric that gives it itself."""
        return None

    def problems(self) -> list[str]:
        """What would keep it from scoring any image at all, such as a refused key; looked for before anything
        is generated.
        """
        return []

    def costs(self) -> Mapping[str, float]:
        """What its scores have cost so far in this process, by name (calls, tokens, dollars); nothing for
        what is free.
        """
        return {}


class ReferenceMetric(BaseMetric):
    """A metric that compares a generated image with a reference; implement `compare`.

    Args:
        references: The references themselves, one per eval item (copied, made upright 8-bit RGB or RGBA):
            those that were read from files belong to the items of their names, others are in the items'
            order …
        reference: … or the eval set's folder that holds them.

    Raises:
        ConfigurationError: Both are given, or neither; a reference is no image, or cannot be decoded.
    """

    needs: tuple[Need, ...] = ("reference",)
    parallel = COMPUTING

    def __init__(
        self, references: Sequence[Image.Image] | None = None, *, reference: str | None = None
    ) -> None:
        self._references = ItemImages.of(type(self).__name__, self.name, "reference", references, reference)

    def compare(self, image: Image.Image, reference: Image.Image) -> float | Mapping[str, float]:
        """Return the value of an image against its reference (8-bit RGB or RGBA; read-only, other threads may
        hold it).
        """
        raise NotImplementedError

    def score(self, image: Image.Image, item: EvalItem) -> float | Mapping[str, float]:
        return self.compare(image, self._references.image_for(item))

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._references,)


class MaskedMetric(BaseMetric):
    """A metric that looks at a generated image where a mask says; implement `look`.

    Args:
        mask_images: The masks themselves, one per eval item in its order …
        mask: … or the eval set's folder that holds them.

    Raises:
        ConfigurationError: Both are given, or neither; a mask is no image, or cannot be decoded.
    """

    needs: tuple[Need, ...] = ("mask",)
    parallel = COMPUTING

    def __init__(self, mask_images: Sequence[Image.Image] | None = None, *, mask: str | None = None) -> None:
        self._masks = ItemImages.of(type(self).__name__, self.name, "mask", mask_images, mask)

    def look(self, image: Image.Image, mask: Image.Image) -> float | Mapping[str, float]:
        """Return the value of an image, given its mask (8-bit RGB or RGBA; read-only, other threads may hold
        it).
        """
        raise NotImplementedError

    def score(self, image: Image.Image, item: EvalItem) -> float | Mapping[str, float]:
        return self.look(image, self._masks.image_for(item))

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._masks,)


def _number(name: str, value: object) -> float:
    """A score as a number.

    Raises:
        MetricError: It is none, or not finite.
    """
    if value is None:
        way_out = "return a number, or score names with numbers"
        raise MetricError(f"{name} returned None, which is no score; {way_out}")
    try:
        # `float` and not a check of types: numpy and torch have number types of their own.
        number = float(value)  # type: ignore[arg-type]  # numpy's and torch's numbers come in too
    except (TypeError, ValueError, OverflowError):
        shown = repr(value)
        if len(shown) <= 100:
            short = shown
        else:
            short = f"{shown[:99]}…"
        raise MetricError(f"{name} returned {short}, which is no score") from None
    if not math.isfinite(number):
        raise MetricError(f"{name} is {number}, which is no score")
    return number


def means_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Score name to its mean over those rows that have it.

    Args:
        rows: The scores of each image.
    """
    means = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        # `fsum`: the mean must not depend on the order in which images were scored.
        means[name] = math.fsum(values) / len(values)
    return means
