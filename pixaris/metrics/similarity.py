"""How near a generated image is to a reference: SSIM, PSNR and mean absolute error.

All three compare 8-bit RGB as numbers in [0, 1]. Transparency is composited over black, on both sides. A
generated image of another size is resized to its reference's with the Lanczos filter, if the aspect ratio is
the same within one pixel; otherwise the item has no score.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.metrics.base import ReferenceMetric
from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import rgb_pair
from pixaris.types import Direction

SSIM_WINDOW = 11
"""Side of the Gaussian window in pixels: σ = 1.5, cut off at 3.5 σ."""

PSNR_CAP = 100.0
"""The PSNR of identical images in dB, which by the formula would be infinite."""


class SSIMMetric(ReferenceMetric):
    """Structural similarity: the mean over all pixels and channels of

    ``(2 μa μb + C1) (2 σab + C2) / ((μa² + μb² + C1) (σa² + σb² + C2))``, ``C1 = 0.01²``, ``C2 = 0.03²``

    with means μ, variances σ² and covariance σab (population, not sample) under a Gaussian window of 11×11
    pixels, σ = 1.5. Pixels nearer to the border than half a window are left out of the mean. 1.0 for
    identical images.

    Source: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 2004; computed by
    scikit-image.

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

    def compare(self, image: Image.Image, reference: Image.Image) -> float:
        with importing:
            from skimage.metrics import structural_similarity

        if min(reference.size) < SSIM_WINDOW:
            width, height = reference.size
            raise MetricError(
                f"SSIM needs images of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels (the reference is"
                f" {width}×{height})"
            )
        a, b = rgb_pair(image, reference)
        if np.array_equal(a, b):
            return 1.0
        ssim = structural_similarity(
            a,
            b,
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        return float(ssim)


class PSNRMetric(ReferenceMetric):
    """Peak signal-to-noise ratio in dB: ``10 log10(1 / MSE)``, MSE over all pixels and channels, at most 100
    dB.

    The cap is there because identical images have an infinite PSNR, which is no score: a mean over items
    would be infinite too.

    Source: ITU-T J.340 (06/2010) for the formula; computed by scikit-image.

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

    def compare(self, image: Image.Image, reference: Image.Image) -> float:
        with importing:
            from skimage.metrics import peak_signal_noise_ratio

        a, b = rgb_pair(image, reference)
        return (
            PSNR_CAP
            if np.array_equal(a, b)
            else min(PSNR_CAP, float(peak_signal_noise_ratio(a, b, data_range=1.0)))
        )


class MAEMetric(ReferenceMetric):
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

    def compare(self, image: Image.Image, reference: Image.Image) -> float:
        a, b = rgb_pair(image, reference)
        return float(np.abs(a - b).mean())
