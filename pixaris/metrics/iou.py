"""Intersection over union of masks."""

from __future__ import annotations

import numpy as np

from pixaris.metrics.overlap import OverlapMetric
from pixaris.metrics.pixels import Mask
from pixaris.types import Direction


class IoUMetric(OverlapMetric):
    """Intersection over union (Jaccard index) of the generated mask and the true one: ``|A ∩ B| / |A ∪ B|``.

    - A pixel belongs to a mask where its luminance is at least 0.5, that is where the 8-bit level is 128 or
      more; nothing is dithered. The luminance is Rec. 601's, ``0.299 R + 0.587 G + 0.114 B``, rounded to 8
      bits as Pillow's mode ``L``.
    - Transparency counts as black. Masks may have any mode: ``1``, ``L``, ``P``, ``RGB``, ``RGBA``, 16-bit
      gray.
    - A generated mask of another size is resized to the true mask's with the nearest-neighbour filter, if the
      aspect ratio is the same within one pixel; otherwise the item has no score.
    - Two empty masks agree: 1.0. One empty and one not: 0.0.

    Source: P. Jaccard, "The distribution of the flora in the alpine zone", New Phytologist 11(2), 1912.

    Args:
        true_masks: The true masks, one per eval item: those that were read from files belong to the items of
            their names, others are in the items' order …
        reference: … or the eval set's folder that holds them.

    Raises:
        ConfigurationError: Both are given, or neither; a mask is no image.

    >>> from PIL import Image
    >>> left, top = Image.new("L", (4, 4)), Image.new("L", (4, 4))
    >>> left.paste(255, (0, 0, 2, 4))
    >>> top.paste(255, (0, 0, 4, 2))
    >>> round(IoUMetric([left]).calculate([top])["iou"], 4)  # 4 of 12 pixels
    0.3333
    """

    name = "iou"
    direction: Direction = "max"
    range = (0.0, 1.0)

    def agreement(self, generated: Mask, true: Mask) -> float:
        union = int(np.count_nonzero(generated | true))
        if union:
            return int(np.count_nonzero(generated & true)) / union
        return 1.0
