"""How different the colours of a generated image are from its reference's, to the eye."""

from __future__ import annotations

import math

from PIL import Image

from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import Levels, Pixels, levels, levels_at, size_of
from pixaris.metrics.prepared import PreparedMetric
from pixaris.types import Direction


class ColorDifferenceMetric(PreparedMetric[Pixels]):
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

    def prepare(self, reference: Image.Image) -> Pixels:
        return _lab(levels(reference))

    def measure(self, image: Image.Image, prepared: Pixels) -> float:
        with importing:
            from skimage.color import deltaE_ciede2000

        generated = _lab(levels_at(image, size_of(prepared)))
        return float(deltaE_ciede2000(prepared, generated).mean())


def _lab(rgb: Levels) -> Pixels:
    with importing:
        from skimage.color import rgb2lab

    lab: Pixels = rgb2lab(rgb / 255)
    return lab
