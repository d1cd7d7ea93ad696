"""How different the colours of a generated image are from its reference's, to the eye."""

from __future__ import annotations

import math

from PIL import Image

from pixaris.metrics.base import ReferenceMetric
from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import rgb_pair
from pixaris.types import Direction


class ColorDifferenceMetric(ReferenceMetric):
    """Mean over all pixels of the colour difference CIEDE2000 (ΔE₀₀, kL = kC = kH = 1). About 1 can just be
    seen.

    Colours are sRGB, taken to CIE L*a*b* with the white D65 of the 2° observer. Transparency and sizes are as
    for SSIM.

    Source: G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations", Color Research & Application 30(1), 2005;
    computed by scikit-image.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> black, white = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "white")
    >>> round(ColorDifferenceMetric([black]).calculate([white])["ciede2000"], 2)
    100.0
    """

    name = "ciede2000"
    direction: Direction = "min"
    range = (0.0, math.inf)
    unit = "ΔE₀₀"

    def compare(self, image: Image.Image, reference: Image.Image) -> float:
        with importing:
            from skimage.color import deltaE_ciede2000, rgb2lab

        a, b = rgb_pair(image, reference)
        return float(deltaE_ciede2000(rgb2lab(b), rgb2lab(a)).mean())
