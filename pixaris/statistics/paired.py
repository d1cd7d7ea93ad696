"""Two parameter sets over the same items: the mean of the differences, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

from pixaris.statistics.intervals import MeanInterval


@dataclass(frozen=True)
class PairedDifference(MeanInterval):
    """Mean of per-item differences, with its interval over the items."""
