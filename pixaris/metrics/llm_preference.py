"""Which of two images a judge prefers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution, Need
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.judges.base import Judge, Verdict
from pixaris.metrics.judges.metric import JudgeMetric, prompt_text, shown
from pixaris.metrics.judges.verdicts import Question

CRITERION = (
    "The better image looks more real, has fewer errors of generation, and is the better picture altogether."
)

_SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "better": {"type": "string", "enum": ["first", "second", "tie"]},
    },
    "required": ["better"],
}
_TIE = 0.5


class LLMPreferenceMetric(JudgeMetric):
    """Whether a judge prefers an image to its reference: 1.0 yes, 0.0 no, 0.5 neither.

    Judges favour what they see first (or last), so each sample asks twice, with the order swapped: only if
    both answers name the same image has it won; anything else is a tie. Equal images are a tie without
    asking.

    Args:
        references: What the images are compared with, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        criterion: What makes an image the better one, in whole sentences.
        samples: How often each pair is asked about.
        judge: As for `pixaris.metrics.llm.LLMMetric`.

    Raises:
        ConfigurationError: References are given twice or not at all, or a setting is wrong.
    """

    name = "llm_preference"
    needs: tuple[Need, ...] = ("reference",)

    def __init__(
        self,
        references: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        criterion: str = CRITERION,
        samples: int = 1,
        judge: Judge | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(samples, judge)
        self._against = ItemImages.of(type(self).__name__, self.name, "reference", references, reference)
        self._prompt = prompt_text("preference", criterion=criterion)

    def item_images(self) -> tuple[ItemImages, ...]:
        return (self._against,)

    def score_execution(self, execution: Execution) -> dict[str, float]:
        return self.sampled(self.name, self.compare(execution.image, shown(self._against, execution.item)))

    def compare(self, image: EncodedImage, other: EncodedImage) -> list[float]:
        """Compare two images; one value for each sample that was answered in both orders.

        Raises:
            MetricError: None was; the reason is the first one's.
            AccountError: The account cannot be used.
        """
        if image == other:
            return [_TIE]
        orders = ((image, other), (other, image))
        asked = [
            Question.of(order, self._prompt, _SCHEMA, number)
            for number in range(self.samples)
            for order in orders
        ]
        results = self._results(asked)
        values = []
        for first, second in zip(results[::2], results[1::2], strict=True):
            if isinstance(first, Verdict) and isinstance(second, Verdict):
                values.append(_agreed(first.answer["better"], second.answer["better"]))
        if not values:
            raise next(result for result in results if isinstance(result, MetricError))
        return values


def _agreed(as_shown: str, as_swapped: str) -> float:
    if (as_shown, as_swapped) == ("first", "second"):
        return 1.0
    if (as_shown, as_swapped) == ("second", "first"):
        return 0.0
    return _TIE
