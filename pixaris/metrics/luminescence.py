"""How bright an image is, in itself and inside against outside of a mask.

Brightness is relative luminance, from 0 (black) to 1 (white): ``0.2126 R + 0.7152 G + 0.0722 B`` of the
linear levels. A level ``v`` of sRGB, from 0 to 1, is linear as ``v / 12.92`` up to 0.04045, else as ``((v +
0.055) / 1.055) ** 2.4``. Transparency is black.

Source: IEC 61966-2-1 (sRGB); W3C, "Web Content Accessibility Guidelines 2.2", relative luminance.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from pixaris.metrics.base import COMPUTING, BaseMetric, MaskedMetric, Scale
from pixaris.metrics.pixels import Pixels, flat, inside_and_outside
from pixaris.types import Direction, EvalItem


def luminescence(image: Image.Image) -> Pixels:
    """Return relative luminance [height, width], from 0 to 1."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    weighted: Pixels = linear[np.asarray(flat(image))] @ np.array([0.2126, 0.7152, 0.0722])
    return weighted


class LuminescenceComparisonByMaskMetric(MaskedMetric):
    """How alike the brightness inside and outside of a mask is: ``1 − |mean inside − mean outside|`` of the
    relative luminance.

    1.0 where both are equally bright on average. A pixel is inside where the mask's level is 128 or more. A
    mask of another size is resized with the nearest-neighbour filter, if the aspect ratio is the same within
    one pixel. A mask that is empty, or covers the whole image, leaves nothing to compare: the item has no
    score.

    Args:
        mask_images: The masks, one per eval item in its order …
        mask: … or the eval set's folder that holds them.

    >>> half = Image.new("L", (4, 4))
    >>> half.paste(255, (0, 0, 2, 4))
    >>> LuminescenceComparisonByMaskMetric([half]).calculate([half])  # white inside, black outside
    {'luminescence_difference': 0.0}
    """

    name = "luminescence_difference"
    direction: Direction = "max"
    range = (0.0, 1.0)

    def look(self, image: Image.Image, mask: Image.Image) -> float:
        inside, outside = inside_and_outside(luminescence(image), image, mask)
        return 1.0 - abs(float(inside.mean()) - float(outside.mean()))


class LuminescenceWithoutMaskMetric(BaseMetric):
    """Mean and variance (population) of the relative luminance over all pixels.

    >>> half = Image.new("L", (4, 4))
    >>> half.paste(255, (0, 0, 2, 4))
    >>> {name: round(value, 6) for name, value in LuminescenceWithoutMaskMetric().calculate([half]).items()}
    {'luminescence_mean': 0.5, 'luminescence_var': 0.25}
    """

    name = "luminescence"
    range = (0.0, 1.0)
    scores = {"luminescence_mean": Scale(None, (0.0, 1.0)), "luminescence_var": Scale(None, (0.0, 0.25))}  # noqa: RUF012
    parallel = COMPUTING

    def score(self, image: Image.Image, item: EvalItem) -> dict[str, float]:
        values = luminescence(image)
        return {"luminescence_mean": float(values.mean()), "luminescence_var": float(values.var())}
