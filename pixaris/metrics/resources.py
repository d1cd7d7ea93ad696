"""What an image cost to generate: seconds, and what the endpoint's account was charged.

Both are known only of images that a run generates, so they need one: `pixaris score` and
``calculate(images)`` have no value.
"""

from __future__ import annotations

import math

from pixaris.exceptions import MetricError
from pixaris.metrics.base import COMPUTING, BaseMetric, Execution
from pixaris.types import Direction, GeneratedImage


class SecondsMetric(BaseMetric):
    """Seconds that the endpoint worked on the image, without the time that it waited in a queue. Lower is
    better.

    An image that a model had to be loaded for holds the loading too. With endpoints of different speed it
    measures the endpoints.

    >>> from pixaris.images import EncodedImage
    >>> from pixaris.types import EvalItem
    >>> from PIL import Image
    >>> image = EncodedImage.of(Image.new("RGB", (8, 8)))
    >>> made = GeneratedImage("request 1", "lake", image, "http://10.0.0.5:8188", seconds=2.5)
    >>> SecondsMetric().score_execution(Execution(image, EvalItem(0, "lake"), made))
    2.5
    """

    name = "seconds"
    direction: Direction = "min"
    range = (0.0, math.inf)
    unit = "s"
    parallel = COMPUTING

    def score_execution(self, execution: Execution) -> float:
        return _generated(execution).seconds


class CostMetric(BaseMetric):
    """What the endpoint's account was charged for the image, in that account's unit (credits). Lower is
    better.

    An endpoint that charges nothing or does not tell, as ComfyUI, gives no score.

    >>> from pixaris.images import EncodedImage
    >>> from pixaris.types import EvalItem
    >>> from PIL import Image
    >>> image = EncodedImage.of(Image.new("RGB", (8, 8)))
    >>> made = GeneratedImage("request 1", "lake", image, "https://api.bfl.ai", seconds=2.5, cost=4.0)
    >>> CostMetric().score_execution(Execution(image, EvalItem(0, "lake"), made))
    4.0
    """

    name = "cost"
    direction: Direction = "min"
    range = (0.0, math.inf)
    unit = "credits"
    parallel = COMPUTING

    def score_execution(self, execution: Execution) -> float:
        generated = _generated(execution)
        if generated.cost is None:
            raise MetricError(f"{generated.endpoint} does not tell what the image cost")
        return generated.cost


def _generated(execution: Execution) -> GeneratedImage:
    if execution.generated is None:
        raise MetricError("nothing is known of how the image was generated; only a run knows")
    return execution.generated
