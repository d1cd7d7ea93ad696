"""How much a generated mask has in common with the true one: Dice, precision and recall.

Masks are read as by `pixaris.metrics.iou.IoUMetric`: a pixel belongs to one where its level is 128 or more,
transparency is black, another size is resized, another aspect ratio has no score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from pixaris.metrics.base import Scale
from pixaris.metrics.pixels import Mask, mask_at, mask_of, size_of
from pixaris.metrics.prepared import PreparedMetric
from pixaris.types import Direction

_SHARE = Scale("max", (0.0, 1.0))


class OverlapMetric(PreparedMetric[Mask]):
    """A metric that compares a generated mask with the true one, pixel by pixel; implement `agreement`.

    Args:
        true_masks: The true masks, one per eval item in its order …
        reference: … or the eval set's folder that holds them.
    """

    def __init__(
        self, true_masks: Sequence[Image.Image] | None = None, *, reference: str | None = None
    ) -> None:
        super().__init__(true_masks, reference=reference)

    def prepare(self, reference: Image.Image) -> Mask:
        return mask_of(reference)

    def measure(self, image: Image.Image, prepared: Mask) -> float | Mapping[str, float]:
        return self.agreement(mask_at(image, size_of(prepared)), prepared)

    def agreement(self, generated: Mask, true: Mask) -> float | Mapping[str, float]:
        """Return the value of a mask against the true one (booleans [height, width], of one size)."""
        raise NotImplementedError


class DiceMetric(OverlapMetric):
    """Dice coefficient (F1 of the pixels) of the generated mask and the true one: ``2 |A ∩ B| / (|A| +
    |B|)``.

    Two empty masks agree: 1.0. One empty and one not: 0.0.

    Source: L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26(3), 1945.

    Args:
        true_masks: The true masks, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> left, top = Image.new("L", (4, 4)), Image.new("L", (4, 4))
    >>> left.paste(255, (0, 0, 2, 4))
    >>> top.paste(255, (0, 0, 4, 2))
    >>> DiceMetric([left]).calculate([top])  # 4 pixels in common, 8 in each
    {'dice': 0.5}
    """

    name = "dice"
    direction: Direction = "max"
    range = (0.0, 1.0)

    def agreement(self, generated: Mask, true: Mask) -> float:
        both = int(np.count_nonzero(generated)) + int(np.count_nonzero(true))
        if both:
            return 2 * int(np.count_nonzero(generated & true)) / both
        return 1.0


class PrecisionRecallMetric(OverlapMetric):
    """What share of the generated mask is right, and what share of the true one was found.

    ``precision = |A ∩ B| / |A|`` and ``recall = |A ∩ B| / |B|``, A the generated mask, B the true one.

    Two empty masks agree: both 1.0. One empty and one not: both 0.0.

    Source: C. J. van Rijsbergen, "Information Retrieval", 2nd edition, 1979, chapter 7.

    Args:
        true_masks: The true masks, one per eval item in its order …
        reference: … or the eval set's folder that holds them.

    >>> left, corner = Image.new("L", (4, 4)), Image.new("L", (4, 4))
    >>> left.paste(255, (0, 0, 2, 4))
    >>> corner.paste(255, (0, 0, 2, 2))
    >>> PrecisionRecallMetric([left]).calculate([corner])  # all 4 pixels right, 4 of 8 found
    {'precision': 1.0, 'recall': 0.5}
    """

    name = "precision_recall"
    range = (0.0, 1.0)
    scores = {"precision": _SHARE, "recall": _SHARE}  # noqa: RUF012  (never changed)

    def agreement(self, generated: Mask, true: Mask) -> dict[str, float]:
        made, wanted, right = (int(np.count_nonzero(mask)) for mask in (generated, true, generated & true))
        if not made or not wanted:
            return dict.fromkeys(("precision", "recall"), float(made == wanted))
        return {"precision": right / made, "recall": right / wanted}
