"""MS-SSIM: how near two images are over several scales, by torchmetrics. It needs torch, but no trained
weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.metrics.base import ReferenceMetric
from pixaris.metrics.extras import require
from pixaris.metrics.pixels import rgb_pair
from pixaris.types import Direction

SMALLEST = 176
"""Pixels that the shorter side must have: the window of 11×11 fits the smallest of five scales, ``11 ·
2⁴``.
"""


class MSSSIMMetric(ReferenceMetric):
    """Multi-scale structural similarity: SSIM's contrast and structure at five scales, its luminance at the
    smallest, weighted 0.0448, 0.2856, 0.3001, 0.2363, 0.1333. 1.0 for identical images.

    Both are compared as RGB in [0, 1]; transparency is composited over black. A generated image of another
    size is resized to its reference's with the Lanczos filter, if the aspect ratio is the same within one
    pixel; otherwise the item has no score. Negative similarities at a scale count as 0, because their powers
    are no real numbers.

    Source: Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-scale structural similarity for image quality
    assessment", Asilomar Conference on Signals, Systems and Computers, 2003; computed by torchmetrics.

    Args:
        references: The references, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    Raises:
        ConfigurationError: The extra is not installed.
    """

    name = "ms_ssim"
    direction: Direction = "max"
    range = (0.0, 1.0)
    extra = "learned"

    def __init__(
        self, references: Sequence[Image.Image] | None = None, *, reference: str | None = None
    ) -> None:
        super().__init__(references, reference=reference)
        require(type(self).__name__, self.extra, "torch", "torchmetrics")

    def compare(self, image: Image.Image, reference: Image.Image) -> float:
        width, height = reference.size
        if min(width, height) < SMALLEST:
            raise MetricError(
                f"MS-SSIM needs images of at least {SMALLEST}×{SMALLEST} pixels (the reference is"
                f" {width}×{height})"
            )
        import torch
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

        a, b = rgb_pair(image, reference)

        def tensor(pixels: Any) -> Any:  # noqa: ANN401  (H×W×3 to 1×3×H×W)
            return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(torch.float32)

        with torch.inference_mode():
            value = multiscale_structural_similarity_index_measure(
                tensor(a), tensor(b), data_range=1.0, normalize="relu"
            )
        return min(1.0, max(0.0, float(value)))
