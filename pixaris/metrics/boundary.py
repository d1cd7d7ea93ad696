"""How well the outline of a generated mask follows that of the true one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pixaris.exceptions import ConfigurationError
from pixaris.metrics.imports import importing
from pixaris.metrics.pixels import Mask, mask_at, mask_of, size_of
from pixaris.metrics.prepared import PreparedMetric
from pixaris.types import Direction

TOLERANCE = 0.0075
"""How far apart boundaries may be that count as the same, as a share of the image's diagonal."""


class BoundaryFMetric(PreparedMetric["TrueOutline"]):
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

    def prepare(self, reference: Image.Image) -> TrueOutline:
        mask = mask_of(reference)
        boundary = _boundary(mask)
        # One pixel at least: on small images a share of the diagonal would ask for the very same pixels.
        near = max(1.0, self.tolerance * math.hypot(*reference.size))
        return TrueOutline(mask, boundary, _around(boundary, near), near)

    def measure(self, image: Image.Image, prepared: TrueOutline) -> float:
        generated = mask_at(image, size_of(prepared.mask))
        made, wanted = _boundary(generated), prepared.boundary
        if not made.any() and not wanted.any():
            # Empty and full have no boundary either, and are as different as masks can be.
            return float(np.array_equal(generated, prepared.mask))
        if not made.any() or not wanted.any():
            return 0.0
        precision = float(prepared.around[made].mean())
        recall = float(_around(made, prepared.near)[wanted].mean())
        # The harmonic mean divides by it.
        if precision + recall == 0:
            return 0.0
        return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class TrueOutline:
    """What is computed of a true mask [height, width].

    Attributes:
        mask: Its pixels.
        boundary: Those on its boundary.
        around: Those near its boundary, in the mask or not.
        near: How far that is, in pixels.
    """

    mask: Mask
    boundary: Mask
    around: Mask
    near: float

    @property
    def nbytes(self) -> int:
        return self.mask.nbytes + self.boundary.nbytes + self.around.nbytes


def _boundary(mask: Mask) -> Mask:
    with importing:
        from scipy.ndimage import binary_erosion

    inner: Mask = mask & ~binary_erosion(mask, border_value=1)
    return inner


def _around(boundary: Mask, near: float) -> Mask:
    """Which pixels have a pixel of a boundary within a distance; none where there is no boundary."""
    with importing:
        from scipy.ndimage import distance_transform_edt

    if not boundary.any():
        return boundary
    around: Mask = distance_transform_edt(~boundary) <= near
    return around
