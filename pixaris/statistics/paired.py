"""Two parameter sets over the same items: the mean of the differences, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PairedDifference:
    """Mean of per-item differences and how sure it is.

    Attributes:
        mean: Of the differences.
        low: Lower end of the 95 % confidence interval (Student's t over items) …
        high: … and its upper end; both None for fewer than two items.
        count: Items.
    """

    mean: float
    low: float | None
    high: float | None
    count: int

    @classmethod
    def of(cls, differences: Sequence[float]) -> PairedDifference:
        """From the differences themselves (at least one)."""
        mean, count = statistics.fmean(differences), len(differences)
        if count < 2:
            return cls(mean, None, None, count)
        from scipy.stats import t  # half a second to import, and only needed here

        half = float(t.ppf(0.975, count - 1)) * statistics.stdev(differences) / math.sqrt(count)
        return cls(mean, mean - half, mean + half, count)
