"""Whether a generated image shows the same picture as its reference, however it was scaled or compressed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import Mask, flat
from pixaris.metrics.prepared import PreparedMetric
from pixaris.types import Direction

_BITS = 8
_SIDE = 4 * _BITS


class PerceptualHashMetric(PreparedMetric[Mask]):
    """Number of bits, of 64, in which the perceptual hashes (pHash) of image and reference differ. Lower is
    better.

    Up to about 10 means the same picture, 32 is what unrelated pictures differ by. The hash: gray levels
    (Rec. 601), scaled to 32×32 with the Lanczos filter whatever the aspect ratio, two-dimensional DCT-II, and
    for each of the 8×8 lowest frequencies whether it is above their median. Transparency is black.

    Source: C. Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, in the form
    of the Python package ImageHash.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> picture = Image.effect_mandelbrot((256, 192), (-2.2, -1.1, 0.8, 0.9), 50)
    >>> PerceptualHashMetric([picture]).calculate([picture.resize((128, 96))])
    {'phash': 0.0}
    """

    name = "phash"
    direction: Direction = "min"
    range = (0.0, float(_BITS**2))
    unit = "bits"

    def prepare(self, reference: Image.Image) -> Mask:
        return _hash(reference)

    def measure(self, image: Image.Image, prepared: Mask) -> float:
        return float(np.count_nonzero(_hash(image) != prepared))


def _hash(image: Image.Image) -> Mask:
    with importing:
        from scipy.fft import dctn

    small = flat(image).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    # Rounded: what is 0 must not count as above 0 by an error in the last digit.
    low = dctn(np.asarray(small, np.float64))[:_BITS, :_BITS].round(6)
    bits: Mask = low > np.median(low)
    return bits
