"""Several tests at once: p values corrected for their number, and the sets that stay tied with the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixaris.statistics.intervals import student_p
from pixaris.statistics.signflip import sign_flip_p, smallest_p

ALPHA = 0.05


def holm(p: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979): p_(i) becomes max over j ≤ i of
    min(1, (m − j + 1)·p_(j)). The chance that any true hypothesis gets one below 5 % is at most 5 %, however
    the tests hang together.

    Args:
        p: One for each hypothesis.

    Returns:
        The adjusted ones, in the same order.
    """
    order = sorted(range(len(p)), key=lambda place: p[place])
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, place in enumerate(order):
        # A p value is never adjusted below that of a smaller one.
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return adjusted


def tied(differences: Mapping[int, Sequence[float]], alpha: float = ALPHA) -> tuple[int, ...]:
    """The sets that cannot be told from the one that was measured best: those whose Holm-adjusted p is above
    a level. With the measured best they hold the truly best one in 95 % of searches: it is lost only where
    another seems better than it by so much, which each of the others does in α/m at most.

    p is the sign-flip test's; where so few items cannot tell so many sets apart by it (smallest p × sets is
    above the level), Student's.

    Measured, normal scores: lost in 2 % of searches of 8 × 8, 32 × 12 and 32 × 32 sets × items that are all
    equal, in 0.3 % or less where they differ.

    Args:
        differences: Number of a set to its paired differences to the best, over common items.
        alpha: The level.

    Returns:
        Their numbers, in the order given.
    """
    numbers = [number for number, values in differences.items() if values]
    p = [_p(differences[number], alpha / len(numbers)) for number in numbers]
    adjusted = dict(zip(numbers, holm(p), strict=True))
    return tuple(number for number in differences if adjusted.get(number, 1.0) > alpha)


def _p(values: Sequence[float], level: float) -> float:
    if smallest_p(len(values)) > level:
        # The exact test cannot reach the level with so few items, whatever they say: all sets would stay
        # tied.
        return student_p(values)
    return float(sign_flip_p(values))
