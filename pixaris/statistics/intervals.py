"""A mean, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class MeanInterval:
    """Mean of values and how sure it is.

    Attributes:
        mean: Of the values.
        low: Lower end of the 95 % confidence interval (Student's t over the values) …
        high: … and its upper end; both None for fewer than two values.
        count: Values.
    """

    mean: float
    low: float | None
    high: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """From the values themselves (at least one)."""
        mean, count = statistics.fmean(values), len(values)
        if count < 2:
            return cls(mean, None, None, count)
        from scipy.special import (
            stdtrit,
        )  # Student's quantile, without the half second that scipy.stats takes to import

        half = float(stdtrit(count - 1, 0.975)) * statistics.stdev(values) / math.sqrt(count)
        return cls(mean, mean - half, mean + half, count)
