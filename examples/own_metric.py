"""A metric of your own: name it in a search file as `{type: "own_metric:Sharpness"}`."""

import numpy as np
from PIL import Image

from pixaris.metrics.base import BaseMetric
from pixaris.types import EvalItem


class Sharpness(BaseMetric):
    """Mean squared difference of neighbouring gray levels; higher is sharper."""

    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        gray = np.asarray(image.convert("L"), dtype=np.float64) / 255
        return float(np.mean(np.diff(gray, axis=0) ** 2) + np.mean(np.diff(gray, axis=1) ** 2))
