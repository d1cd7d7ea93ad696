"""Two parameter sets over the same items: the mean of the differences, and how sure it is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pixaris.statistics.intervals import MeanInterval, student_interval
from pixaris.statistics.shape import remarks
from pixaris.statistics.signflip import sign_flips


@dataclass(frozen=True)
class PairedDifference(MeanInterval):
    """Mean of per-item differences, with its interval over the items.

    An item with several seeds is one difference, of its means over the seeds: images of one item are no
    independent witnesses.

    Attributes:
        spread: Standard deviation of the differences; 0 for a single one.
        p: Two-sided, of the sign-flip test: how often chance alone gives a mean so far from 0.
        student: Student's 95 % interval beside it, which holds for normal differences; None for a single one.
        remarks: What makes the interval less than it looks, a sentence each.
    """

    spread: float = 0.0
    p: float = 1.0
    student: tuple[float, float] | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """From the differences (at least one)."""
        ends, p = sign_flips(values)
        return cls(
            mean=statistics.fmean(values),
            low=None if ends is None else float(ends[0]),
            high=None if ends is None else float(ends[1]),
            count=len(values),
            spread=statistics.stdev(values) if len(values) > 1 else 0.0,
            p=float(p),
            student=student_interval(values),
            remarks=remarks(values),
        )


def differences(one: Sequence[float | None], other: Sequence[float | None]) -> list[float]:
    """One minus the other, over the items that both have.

    Args:
        one: Scores per item; None where an item has none.
        other: The same for the other set, in the same order.
    """
    pairs = zip(one, other, strict=False)
    return [a - b for a, b in pairs if a is not None and b is not None]
