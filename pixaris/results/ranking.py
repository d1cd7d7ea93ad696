"""Which trial is better: compared item by item, over the items that both have.

A mean over easy items is no better than one over all. So every trial is held against the leader, over the
items that both have a score for: the trial whose mean paired difference to the leader is the largest ranks
first. One failed image then costs a trial that one comparison, and no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pixaris.types import Direction

Scores: TypeAlias = npt.NDArray[np.float64]
"""Scores [trials, items]; NaN where a trial has none for an item."""

FailurePolicy: TypeAlias = Literal["skip", "worst"]
"""What becomes of an item that a trial has no score for: it is left out of its comparisons, or counts as the
worst that can be.
"""

# A set that failed on most items could otherwise win by the few easy ones.
FEWEST = 0.5
"""A trial needs a score for this part of the eval set to win."""


@dataclass(frozen=True)
class Row:
    """What ranking asks of a trial.

    Attributes:
        number: The trial's number.
        scores: The leading objective per item; None where an item has none.
        items: Items done, failed ones included.
        ties: What decides among equals: losses of the other objectives, smaller is better.
    """

    number: int
    scores: Sequence[float | None]
    items: int
    ties: tuple[float, ...] = ()


@dataclass(frozen=True)
class Failures:
    """What becomes of items that a trial is through with and has no score for.

    Attributes:
        policy: Left out of comparisons, or the worst that can be.
        bound: The worst score that there can be, where the metric has one; else the worst that any trial has
            for the item counts.
    """

    policy: FailurePolicy = "skip"
    bound: float | None = None


@dataclass(frozen=True)
class Rules:
    """How trials are compared.

    Attributes:
        direction: Whether a higher score is better.
        items: Items of the eval set.
        failures: What becomes of items without a score.
    """

    direction: Direction
    items: int
    failures: Failures = Failures()


def matrix(rows: Sequence[Row], rules: Rules) -> Scores:
    """The trials' scores [trials, items]; of items that failed, what the rules put in their place."""
    scores = np.full((len(rows), max([rules.items, *(len(row.scores) for row in rows)])), np.nan)
    for place, row in enumerate(rows):
        for index, score in enumerate(row.scores):
            if score is not None:
                scores[place, index] = score
    if rules.failures.policy == "worst":
        _fill_failures(scores, rows, rules)
    return scores


def _fill_failures(scores: Scores, rows: Sequence[Row], rules: Rules) -> None:
    """Put the worst that can be where a trial is through and has no score for an item."""
    known = ~np.isnan(scores).all(axis=0)
    # Where no trial has a score for an item it stays NaN: an item that nobody can make tells nothing.
    worst = np.full(scores.shape[1], np.nan if rules.failures.bound is None else rules.failures.bound)
    if rules.failures.bound is None and known.any():
        if rules.direction == "max":
            extreme = np.nanmin
        else:
            extreme = np.nanmax
        worst[known] = extreme(scores[:, known], axis=0)
    for place, row in enumerate(rows):
        # Of a stopped trial what is missing was not asked for, which is no failure.
        if row.items >= rules.items:
            missing = np.isnan(scores[place])
            scores[place, missing] = worst[missing]


def relative(scores: Scores, leader: int) -> npt.NDArray[np.float64]:
    """Mean paired difference of every trial to one of them [trials]; NaN where they share no item."""
    differences = scores - scores[leader]
    shared = ~np.isnan(differences)
    counts = shared.sum(axis=1)
    sums = np.where(shared, differences, 0.0).sum(axis=1)
    means: npt.NDArray[np.float64] = np.full(len(scores), np.nan)
    # With `where`, because numpy would warn of 0 / 0 on every call.
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def leader_of(scores: Scores, direction: Direction) -> int:
    """The trial that no other is better than, over the items that both have.

    Where trials beat each other in a circle, because they share few items, the one that was met first.

    Args:
        scores: At least one trial, and every trial with a score.
        direction: Whether a higher score is better.
    """
    if direction == "max":
        sign = 1.0
    else:
        sign = -1.0
    counts = (~np.isnan(scores)).sum(axis=1)
    means = sign * np.nanmean(scores, axis=1)
    # Starts with one of those that have most items: they are compared with many.
    leader = max(range(len(scores)), key=lambda place: (counts[place], means[place], -place))
    met = {leader}
    while True:
        # Who shares no item with the leader cannot take its place.
        gains = np.nan_to_num(sign * relative(scores, leader), nan=-math.inf)
        best = int(gains.argmax())
        if gains[best] <= 0.0 or best in met:
            return leader
        leader = best
        met.add(leader)


def ranked(rows: Sequence[Row], rules: Rules) -> list[int]:
    """Numbers of the trials that have a score, best first.

    First those that went through all items and have a score for half of them at least, by their difference to
    the leader; then those that were stopped earlier, the ones with the most items first; last those with a
    score for less than half of the items.
    """
    scored = [row for row in rows if any(map(_is_finite, row.scores))]
    whole = [row for row in scored if row.items >= rules.items and not is_thin(row, rules)]
    stopped = [row for row in scored if row.items < rules.items]
    thin = [row for row in scored if row.items >= rules.items and is_thin(row, rules)]
    return [*_by_difference(whole, rules), *_by_items(stopped, rules), *_by_items(thin, rules)]


def is_thin(row: Row, rules: Rules) -> bool:
    """Whether a trial has a score for too few items to win."""
    if rules.failures.policy == "worst":
        return False
    return sum(score is not None for score in row.scores) < FEWEST * rules.items


def _by_difference(rows: Sequence[Row], rules: Rules) -> list[int]:
    if not rows:
        return []
    scores = matrix(rows, rules)
    if rules.direction == "max":
        sign = 1.0
    else:
        sign = -1.0
    losses = -sign * relative(scores, leader_of(scores, rules.direction))
    counts = (~np.isnan(scores)).sum(axis=1)

    def place(index: int) -> tuple[float, ...]:
        if math.isfinite(losses[index]):
            loss = losses[index]
        else:
            loss = math.inf
        # Rounded: sums of the same numbers in another order differ in the last digits, and would decide over
        # `ties`.
        return (round(loss, 12), -counts[index], *rows[index].ties, rows[index].number)

    return [rows[index].number for index in sorted(range(len(rows)), key=place)]


def _by_items(rows: Sequence[Row], rules: Rules) -> list[int]:
    """By the items that they have, then by their means."""
    if rules.direction == "max":
        sign = 1.0
    else:
        sign = -1.0

    def place(row: Row) -> tuple[float, ...]:
        known = [score for score in row.scores if score is not None]
        return (-len(known), -sign * sum(known) / len(known), *row.ties, row.number)

    return [row.number for row in sorted(rows, key=place)]


def _is_finite(score: float | None) -> bool:
    return score is not None and math.isfinite(score)
