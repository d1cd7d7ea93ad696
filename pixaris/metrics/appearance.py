"""What an image looks like by itself: sharpness, colourfulness, contrast. Transparency is black."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from pixaris.metrics.base import COMPUTING, BaseMetric
from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import flat, gray
from pixaris.types import Direction, EvalItem

_LARGEST_LAPLACIAN = 4 * 255.0
_LARGEST_COLOURFULNESS = 1.3 * math.sqrt(2) * 255


class SharpnessMetric(BaseMetric):
    """Variance of the Laplacian of the gray levels (0 to 255, Rec. 601); higher is sharper. Noise counts as
    sharpness.

    The Laplacian of a pixel is the sum of its four neighbours less four times itself; beyond the image's edge
    it is mirrored, the edge pixels not doubled. Compare only images of one size: the same picture is less
    sharp per pixel when it is larger.

    Source: J. L. Pech-Pacheco, G. Cristóbal, J. Chamorro-Martínez, J. Fernández-Valdivia, "Diatom
    autofocusing in brightfield microscopy: a comparative study", ICPR 2000.

    >>> SharpnessMetric().calculate([Image.new("L", (16, 16), 77)])
    {'sharpness': 0.0}
    """

    name = "sharpness"
    direction: Direction = "max"
    range = (0.0, _LARGEST_LAPLACIAN**2)
    parallel = COMPUTING

    def score(self, image: Image.Image, item: EvalItem) -> float:
        with importing:
            from scipy.ndimage import laplace

        return float(laplace(gray(image), mode="mirror").var())


class ColorfulnessMetric(BaseMetric):
    """Colourfulness: ``√(σrg² + σyb²) + 0.3 √(μrg² + μyb²)`` with ``rg = R − G`` and ``yb = (R + G) / 2 −
    B``, levels 0 to 255.

    Means μ and standard deviations σ (population) over all pixels. 0 for gray images; the authors' viewers
    called 15 slightly, 45 averagely and 82 highly colourful.

    Source: D. Hasler, S. Süsstrunk, "Measuring colourfulness in natural images", Human Vision and Electronic
    Imaging VIII, 2003.

    >>> round(ColorfulnessMetric().calculate([Image.new("RGB", (8, 8), (255, 0, 0))])["colorfulness"], 4)
    85.5296
    """

    name = "colorfulness"
    direction: Direction = "max"
    range = (0.0, _LARGEST_COLOURFULNESS)
    parallel = COMPUTING

    def score(self, image: Image.Image, item: EvalItem) -> float:
        red, green, blue = np.moveaxis(np.asarray(flat(image), np.float64), 2, 0)
        first, second = red - green, (red + green) / 2 - blue
        spread = math.sqrt(first.var() + second.var())
        return spread + 0.3 * math.sqrt(first.mean() ** 2 + second.mean() ** 2)


class ContrastMetric(BaseMetric):
    """Root mean square contrast: the standard deviation (population) of the gray levels (Rec. 601), from 0 to
    1 each.

    0 for an image of one level, 0.5 for one that is half black and half white.

    Source: E. Peli, "Contrast in complex images", Journal of the Optical Society of America A 7(10), 1990.

    >>> half = Image.new("L", (4, 4))
    >>> half.paste(255, (0, 0, 2, 4))
    >>> ContrastMetric().calculate([half])
    {'contrast': 0.5}
    """

    name = "contrast"
    direction: Direction = "max"
    range = (0.0, 0.5)
    parallel = COMPUTING

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(gray(image).std() / 255)
