"""Your own question to a judge, with your own JSON schema."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pixaris.exceptions import ConfigurationError, MetricError, Problem
from pixaris.metrics.base import Execution, Scale
from pixaris.metrics.execution import filled, placeholders
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.judges.answers import check_schema
from pixaris.metrics.judges.base import Judge
from pixaris.metrics.judges.metric import JudgeMetric, shown
from pixaris.types import Direction


class LLMCustomMetric(JudgeMetric):
    """Asks a judge what you want to know, and takes the numbers of its answer as scores.

    Each property of the schema that is a number, an integer or a boolean (false 0, true 1) gives a score
    ``<name>_<property>``. One that the schema does not require may be absent from an answer.

    Args:
        prompt: What the judge is asked. It sees the generated image as image 1, those of `images` as image 2,
            3, … ``{expected}`` stands for the item's text in the column ``expected`` of an eval set of
            prompts; ``{{expected}}`` for the word in braces.
        schema: JSON schema of its answer, an object.
        images: Folders of the eval set whose images the judge sees too.
        name: First part of the scores' names.
        direction: "max" if higher is better, "min" if lower is, for all scores.
        samples: How often each question is asked.
        judge: As for `pixaris.metrics.llm.LLMMetric`.

    Raises:
        ConfigurationError: The prompt is empty, the schema is none or has no numbers, or a setting is wrong.
    """

    name = "llm_custom"

    def __init__(
        self,
        prompt: str,
        schema: Mapping[str, Any],
        *,
        images: Sequence[str] = (),
        name: str = "llm_custom",
        direction: Direction = "max",
        samples: int = 1,
        judge: Judge | Mapping[str, Any] | None = None,
    ) -> None:
        problems: list[Problem] = []
        if not isinstance(prompt, str) or not prompt.strip():
            problems.append(Problem("prompt", f"must be the question to the judge (got {prompt!r})"))
        folders = list(images) if isinstance(images, Sequence) and not isinstance(images, str) else [None]
        if not all(isinstance(folder, str) and folder for folder in folders):
            problems.append(Problem("images", f"must be a list of folders of the eval set (got {images!r})"))
        if not isinstance(name, str) or not name.strip():
            problems.append(Problem("name", f"must be text (got {name!r})"))
        if direction not in ("max", "min"):
            problems.append(Problem("direction", f"must be max or min (got {direction!r})"))
        numbers: dict[str, Mapping[str, Any]] = {}
        try:
            check_schema(schema)
            numbers = {key: value for key, value in schema["properties"].items() if _is_number(value)}
            if not numbers:
                problems.append(
                    Problem(
                        "schema", "needs a property of type number, integer or boolean, which is the score"
                    )
                )
        except ConfigurationError as error:
            problems += error.problems
        if problems:
            raise ConfigurationError(problems)
        super().__init__(samples, judge)
        self.name = name
        self.direction = direction
        self._prompt, self._schema = prompt.strip(), dict(schema)
        self._scales = {key: Scale(direction, _range(value)) for key, value in numbers.items()}
        self._beside = tuple(ItemImages(name, "reference", folder=folder) for folder in images)

    def item_images(self) -> tuple[ItemImages, ...]:
        return self._beside

    def columns(self) -> tuple[str, ...]:
        return placeholders(self._prompt)

    def scales(self) -> dict[str, Scale]:
        return self.sampled_scales({f"{self.name}_{number}": scale for number, scale in self._scales.items()})

    def score_execution(self, execution: Execution) -> dict[str, float]:
        seen = [execution.image, *(shown(images, execution.item) for images in self._beside)]
        answers = self.asked(seen, filled(self._prompt, execution.item), self._schema)
        row: dict[str, float] = {}
        for number in self._scales:
            values = [float(answer[number]) for answer in answers if answer.get(number) is not None]
            if values:
                row |= self.sampled(f"{self.name}_{number}", values)
        if not row:
            raise MetricError("the judge gave no number")
        return row


def _is_number(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") in ("number", "integer", "boolean")


def _range(schema: Mapping[str, Any]) -> tuple[float, float]:
    """Smallest and largest value that a schema allows."""
    if schema["type"] == "boolean":
        return 0.0, 1.0
    low, high = float(schema.get("minimum", -math.inf)), float(schema.get("maximum", math.inf))
    if low < high:
        return (low, high)
    return (low, math.inf)
