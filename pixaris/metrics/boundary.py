"""How well the outline of a generated mask follows that of the true one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from pixaris.exceptions import ConfigurationError
from pixaris.metrics.base import ReferenceMetric
from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import Mask, masks
from pixaris.types import Direction

TOLERANCE = 0.0075
"""How far apart boundaries may be that count as the same, as a share of the image's diagonal."""


class BoundaryFMetric(ReferenceMetric):
    """Boundary F1: ``2 P R / (P + R)``, P the share of the generated mask's boundary that lies near the true
    one, R the converse.

    A mask's boundary are its pixels with one of the four neighbours outside of it; the image's edge is no
    boundary. Near means within ``tolerance`` times the image's diagonal (Euclidean, between pixel centres),
    but at least one pixel.

    Masks are read as by `pixaris.metrics.iou.IoUMetric`. Where only one mask has a boundary: 0.0. Where
    neither has one (both are empty or full): 1.0 if they are equal, else 0.0.

    Source: G. Csurka, D. Larlus, F. Perronnin, "What is a good evaluation measure for semantic
    segmentation?", BMVC 2013.

    Args:
        true_masks: The true masks, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
        tolerance: Share of the diagonal, between 0 and 1.

    >>> square, moved = Image.new("L", (64, 64)), Image.new("L", (64, 64))
    >>> square.paste(255, (16, 16, 48, 48))
    >>> moved.paste(255, (17, 16, 49, 48))  # one pixel to the right
    >>> BoundaryFMetric([square]).calculate([moved])
    {'boundary_f': 1.0}
    """

    name = "boundary_f"
    direction: Direction = "max"
    range = (0.0, 1.0)

    def __init__(
        self,
        true_masks: Sequence[Image.Image] | None = None,
        *,
        reference: str | None = None,
        tolerance: float = TOLERANCE,
    ) -> None:
        super().__init__(true_masks, reference=reference)
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance <= 1:
            raise ConfigurationError(
                f"tolerance must be a share of the diagonal, from 0 to 1 (got {tolerance!r})"
            )
        self.tolerance = tolerance

    def compare(self, image: Image.Image, reference: Image.Image) -> float:
        generated, true = masks(image, reference)
        made, wanted = _boundary(generated), _boundary(true)
        if not made.any() and not wanted.any():
            return float(np.array_equal(generated, true))
        if not made.any() or not wanted.any():
            return 0.0
        near = max(1.0, self.tolerance * math.hypot(*reference.size))
        precision, recall = _share_near(made, wanted, near), _share_near(wanted, made, near)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(mask: Mask) -> Mask:
    with importing:
        from scipy.ndimage import binary_erosion

    inner: Mask = mask & ~binary_erosion(mask, border_value=1)
    return inner


def _share_near(boundary: Mask, other: Mask, near: float) -> float:
    with importing:
        from scipy.ndimage import distance_transform_edt

    return float(np.mean(distance_transform_edt(~other)[boundary] <= near))
