"""How colourful the colours of an image are, in themselves and inside against outside of a mask.

Saturation is that of HSV, ``(max − min) / max`` of a pixel's R, G and B (0 for black), in Pillow's 256
levels, divided by 255: from 0 (gray) to 1. Transparency is black.

Source: A. R. Smith, "Color gamut transform pairs", SIGGRAPH 1978.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from pixaris.metrics.base import COMPUTING, BaseMetric, MaskedMetric, Scale
from pixaris.metrics.pixels import Pixels, flat, inside_and_outside
from pixaris.types import Direction, EvalItem


def saturation(image: Image.Image) -> Pixels:
    """Return saturation [height, width], from 0 to 1."""
    return np.asarray(flat(image).convert("HSV"), np.float64)[:, :, 1] / 255


class SaturationComparisonByMaskMetric(MaskedMetric):
    """How alike the saturation inside and outside of a mask is: ``1 − |mean inside − mean outside|``.

    1.0 where both are equally saturated on average. Masks are read as by
    `pixaris.metrics.luminescence.LuminescenceComparisonByMaskMetric`; one that is empty, or covers the whole
    image, leaves nothing to compare: the item has no score.

    Args:
        mask_images: The masks, one per eval item in its order …
        mask: … or the eval set's folder that holds them.

    >>> half = Image.new("L", (4, 4))
    >>> half.paste(255, (0, 0, 2, 4))
    >>> red, gray = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "gray")
    >>> red_and_gray = Image.composite(red, gray, half)
    >>> SaturationComparisonByMaskMetric([half]).calculate([red_and_gray])
    {'saturation_difference': 0.0}
    """

    name = "saturation_difference"
    direction: Direction = "max"
    range = (0.0, 1.0)

    def look(self, image: Image.Image, mask: Image.Image) -> float:
        inside, outside = inside_and_outside(saturation(image), image, mask)
        return 1.0 - abs(float(inside.mean()) - float(outside.mean()))


class SaturationWithoutMaskMetric(BaseMetric):
    """Mean and variance (population) of the saturation over all pixels.

    >>> SaturationWithoutMaskMetric().calculate([Image.new("RGB", (4, 4), "red")])
    {'saturation_mean': 1.0, 'saturation_var': 0.0}
    """

    name = "saturation"
    range = (0.0, 1.0)
    scores = {"saturation_mean": Scale(None, (0.0, 1.0)), "saturation_var": Scale(None, (0.0, 0.25))}  # noqa: RUF012
    parallel = COMPUTING

    def score(self, image: Image.Image, item: EvalItem) -> dict[str, float]:
        values = saturation(image)
        return {"saturation_mean": float(values.mean()), "saturation_var": float(values.var())}
