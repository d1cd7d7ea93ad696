"""How near a generated image is to a reference: SSIM, PSNR and mean absolute error.

All three compare 8-bit RGB as numbers in [0, 1]. Transparency is composited over black, on both sides. A
generated image of another size is resized to its reference's with the Lanczos filter, if the aspect ratio is
the same within one pixel; otherwise the item has no score.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import Levels, levels, levels_at, size_of
from pixaris.metrics.prepared import PreparedMetric
from pixaris.types import Direction

if TYPE_CHECKING:
    from pixaris.metrics.structural_similarity import PreparedReference

PSNR_CAP = 100.0
"""The PSNR of identical images in dB, which by the formula would be infinite."""


class SSIMMetric(PreparedMetric["PreparedReference"]):
    """Structural similarity: the mean over all pixels and channels of

    ``(2 μa μb + C1) (2 σab + C2) / ((μa² + μb² + C1) (σa² + σb² + C2))``, ``C1 = 0.01²``, ``C2 = 0.03²``

    with means μ, variances σ² and covariance σab (population, not sample) under a Gaussian window of 11×11
    pixels, σ = 1.5. Pixels nearer to the border than half a window are left out of the mean. 1.0 for
    identical images.

    Source: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 2004; filtered by
    OpenCV.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> gray = Image.new("RGB", (32, 32), (128, 128, 128))
    >>> SSIMMetric([gray]).calculate([gray])
    {'ssim': 1.0}
    """

    name = "ssim"
    direction: Direction = "max"
    range = (-1.0, 1.0)

    def prepare(self, reference: Image.Image) -> PreparedReference:
        with importing:
            from pixaris.metrics.structural_similarity import WINDOW, PreparedReference

        width, height = reference.size
        if min(width, height) < WINDOW:
            raise MetricError(
                f"SSIM needs images of at least {WINDOW}×{WINDOW} pixels (the reference is {width}×{height})"
            )
        return PreparedReference(levels(reference))

    def measure(self, image: Image.Image, prepared: PreparedReference) -> float:
        return prepared.similarity(levels_at(image, size_of(prepared.levels)))


class PSNRMetric(PreparedMetric[Levels]):
    """Peak signal-to-noise ratio in dB: ``10 log10(1 / MSE)``, MSE over all pixels and channels, at most 100
    dB.

    The cap is there because identical images have an infinite PSNR, which is no score: a mean over items
    would be infinite too.

    Source: ITU-T J.340 (06/2010).

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> dark, light = Image.new("RGB", (8, 8), (100, 100, 100)), Image.new("RGB", (8, 8), (151, 151, 151))
    >>> round(PSNRMetric([dark]).calculate([light])["psnr"], 2)  # 51 of 255 levels apart
    13.98
    """

    name = "psnr"
    direction: Direction = "max"
    range = (0.0, PSNR_CAP)
    unit = "dB"

    def prepare(self, reference: Image.Image) -> Levels:
        return levels(reference)

    def measure(self, image: Image.Image, prepared: Levels) -> float:
        with importing:
            import cv2

        generated = levels_at(image, size_of(prepared))
        # Over bytes: OpenCV adds whole numbers exactly, and no copy as floats is made.
        mean_square = cv2.norm(generated, prepared, cv2.NORM_L2SQR) / (255**2 * prepared.size)
        if mean_square == 0:
            return PSNR_CAP
        # Below 0 dB an image is farther off than black is from white on average: no use in telling how far.
        return min(PSNR_CAP, max(0.0, -10 * math.log10(mean_square)))


class MAEMetric(PreparedMetric[Levels]):
    """Mean absolute error: the mean of ``|a − b|`` over all pixels and channels, levels in [0, 1]. Lower is
    better.

    Source: C. J. Willmott, K. Matsuura, "Advantages of the mean absolute error (MAE) over the root mean
    square error (RMSE)", Climate Research 30, 2005.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> dark, light = Image.new("RGB", (8, 8), (100, 100, 100)), Image.new("RGB", (8, 8), (151, 151, 151))
    >>> round(MAEMetric([dark]).calculate([light])["mae"], 4)  # 51 of 255 levels apart
    0.2
    """

    name = "mae"
    direction: Direction = "min"
    range = (0.0, 1.0)

    def prepare(self, reference: Image.Image) -> Levels:
        return levels(reference)

    def measure(self, image: Image.Image, prepared: Levels) -> float:
        with importing:
            import cv2

        generated = levels_at(image, size_of(prepared))
        return float(cv2.norm(generated, prepared, cv2.NORM_L1)) / (255 * prepared.size)
