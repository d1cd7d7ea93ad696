"""Scores given by a multimodal language model: reality, similarity to an object, errors, style.

The judge is whatever `pixaris.metrics.judges` is told to ask; the prompts are the files of
``pixaris/metrics/prompts``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from pixaris.metrics.base import Execution, Need, Scale
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.judges.base import Judge
from pixaris.metrics.judges.metric import JudgeMetric, prompt_text, shown

AVERAGE = "llm_average"


@dataclass(frozen=True)
class Aspect:
    """One thing a judge is asked about an image.

    Attributes:
        name: Of its value in the answer, and of its prompt file; its score is ``llm_<name>``.
        schema: JSON schema of the value.
        value: The mean of the samples' values as a score, from 0 to 1, higher is better.
        compared_with: What the image is compared with: "object", "style", or "".
    """

    name: str
    schema: Mapping[str, object]
    value: Callable[[float], float] = float
    compared_with: str = ""

    @property
    def score(self) -> str:
        """Name of the score."""
        return f"llm_{self.name}"


def _share_without(errors: float) -> float:
    return 1 / (1 + errors)


_SCALE = Scale("max", (0.0, 1.0))
_UNIT = {"type": "number", "minimum": 0, "maximum": 1}
REALITY = Aspect("reality", _UNIT)
SIMILARITY = Aspect("similarity", _UNIT, compared_with="object")
ERRORS = Aspect("errors", {"type": "integer", "minimum": 0}, _share_without)
STYLE = Aspect("style", _UNIT, compared_with="style")


class _AspectMetric(JudgeMetric):
    """Asks about several aspects in one question."""

    def __init__(
        self,
        aspects: Sequence[Aspect],
        samples: int,
        judge: Judge | Mapping[str, Any] | None,
        companions: Mapping[str, ItemImages] | None = None,
    ) -> None:
        super().__init__(samples, judge)
        self._aspects = tuple(aspects)
        self._companions = dict(companions or {})

    def item_images(self) -> tuple[ItemImages, ...]:
        return tuple(self._companions.values())

    def scales(self) -> dict[str, Scale]:
        return self.sampled_scales({aspect.score: _SCALE for aspect in self._aspects})

    def score_execution(self, execution: Execution) -> dict[str, float]:
        seen = [execution.image, *(shown(images, execution.item) for images in self._companions.values())]
        answers = self.asked(seen, self._prompt(), self._schema())
        row: dict[str, float] = {}
        for aspect in self._aspects:
            values = [float(answer[aspect.name]) for answer in answers]
            row |= self.sampled(aspect.score, [aspect.value(value) for value in values])
            # Of the mean, not the mean of it: for errors `1 / (1 + n)` bends, and n is what was asked.
            row[aspect.score] = aspect.value(statistics.fmean(values))
        return row

    def _prompt(self) -> str:
        words = {"generated": "image 1", **{role: f"image {n}" for n, role in enumerate(self._companions, 2)}}
        images = [
            "Image 1 was generated.",
            *(f"{words[role].capitalize()}: the {role}." for role in self._companions),
        ]
        scene = prompt_text("scene", images=" ".join(images), generated=words["generated"])
        return "\n\n".join([scene, *(prompt_text(aspect.name, **words) for aspect in self._aspects)])

    def _schema(self) -> dict[str, object]:
        values = {aspect.name: dict(aspect.schema) for aspect in self._aspects}
        return {
            "type": "object",
            # The reason comes first: a judge is to look before it gives a number.
            "properties": {"reason": {"type": "string"}, **values},
            "required": list(values),
        }


class LLMMetric(_AspectMetric):
    """Asks a judge for four scores of each image, all from 0 to 1, higher is better.

    | score | what |
    |---|---|
    | ``llm_reality`` | how real it looks: 0 not at all, 1 photorealistic |
    | ``llm_similarity`` | how similar its main object is to that of the object image |
    | ``llm_errors`` | ``1 / (1 + n)``, n the mean number of errors that were found |
    | ``llm_style`` | how well its style matches that of the style image |
    | ``llm_average`` | the unweighted mean of those above that were asked for |

    Without object images nothing is asked about similarity, without style images nothing about style.

    Args:
        object_images: The object images, one per eval item in its order …
        style_images: The style images, one per eval item in its order …
        reference: … or the eval set's folder that holds the object images.
        style: … or the eval set's folder that holds the style images.
        samples: How often each question is asked; a score is the mean, ``<score>_spread`` the standard
            deviation.
        judge: A `Judge`, or settings for the configured one, such as ``{"model": …, "concurrency": 4}``.

    Raises:
        ConfigurationError: A setting is wrong, the model or the key is missing, the SDK is not installed.
    """

    name = "llm"
    needs: tuple[Need, ...] = ("reference",)
    scores = dict.fromkeys(
        [*(aspect.score for aspect in (REALITY, SIMILARITY, ERRORS, STYLE)), AVERAGE], _SCALE
    )

    def __init__(
        self,
        object_images: Sequence[Image.Image] | None = None,
        style_images: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        style: str | None = None,
        samples: int = 3,
        judge: Judge | Mapping[str, Any] | None = None,
    ) -> None:
        given = {"object": (object_images, reference), "style": (style_images, style)}
        beside = {
            role: ItemImages.of(type(self).__name__, self.name, role, images, folder)
            for role, (images, folder) in given.items()
            if images is not None or folder is not None
        }
        aspects = [
            one
            for one in (REALITY, SIMILARITY, ERRORS, STYLE)
            if not one.compared_with or one.compared_with in beside
        ]
        super().__init__(aspects, samples, judge, beside)

    def scales(self) -> dict[str, Scale]:
        return {**super().scales(), AVERAGE: _SCALE}

    def score_execution(self, execution: Execution) -> dict[str, float]:
        row = super().score_execution(execution)
        return {**row, AVERAGE: statistics.fmean(row[aspect.score] for aspect in self._aspects)}


class LLMRealityMetric(_AspectMetric):
    """How real an image looks to a judge: 0 not at all, 1 photorealistic.

    Args:
        samples: How often each question is asked.
        judge: As for `LLMMetric`.
    """

    name = REALITY.score

    def __init__(self, *, samples: int = 1, judge: Judge | Mapping[str, Any] | None = None) -> None:
        super().__init__([REALITY], samples, judge)


class LLMErrorsMetric(_AspectMetric):
    """``1 / (1 + n)``, n the mean number of errors of generation that a judge finds in an image; higher is
    better.

    Args:
        samples: How often each question is asked.
        judge: As for `LLMMetric`.
    """

    name = ERRORS.score

    def __init__(self, *, samples: int = 1, judge: Judge | Mapping[str, Any] | None = None) -> None:
        super().__init__([ERRORS], samples, judge)


class _ComparedMetric(_AspectMetric):
    """Asks about one aspect in which an image is compared with a reference."""

    aspect: ClassVar[Aspect]
    needs: tuple[Need, ...] = ("reference",)

    def __init__(
        self,
        references: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        samples: int = 1,
        judge: Judge | Mapping[str, Any] | None = None,
    ) -> None:
        against = ItemImages.of(type(self).__name__, self.name, "reference", references, reference)
        super().__init__([self.aspect], samples, judge, {self.aspect.compared_with: against})


class LLMSimilarityMetric(_ComparedMetric):
    """How similar an image's main object is, to a judge, to that of a reference: 0 another object, 1 the same
    in every detail.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        samples: How often each question is asked.
        judge: As for `LLMMetric`.
    """

    name = SIMILARITY.score
    aspect = SIMILARITY


class LLMStyleMetric(_ComparedMetric):
    """How well an image's style matches, to a judge, that of a reference: 0 nothing in common, 1 as if by one
    hand.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        samples: How often each question is asked.
        judge: As for `LLMMetric`.
    """

    name = STYLE.score
    aspect = STYLE
