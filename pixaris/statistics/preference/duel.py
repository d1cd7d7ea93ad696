"""Which pair to ask about next: first those that connect all sets, then the duel of two draws.

Two samples of the posterior each name their best set, and these two meet (double Thompson sampling; Wu and
Liu 2016): pairs that could be the best are asked for often, pairs that cannot hardly ever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pixaris.statistics.preference.davidson import Comparison, fit

Pair = tuple[int, int]
_TRIES = 200


def next_pair(
    sets: int, votes: Sequence[Comparison], open_pairs: Collection[Pair], random: np.random.Generator
) -> Pair | None:
    """Choose a pair.

    Args:
        sets: How many sets there are.
        votes: What was said so far.
        open_pairs: Pairs, the smaller number first, that may be asked about.
        random: Decides.

    Returns:
        One of `open_pairs`, or None if there are none.
    """
    if not open_pairs:
        return None
    allowed = sorted(open_pairs)
    joining = _joining(sets, votes, allowed)
    if joining:
        worth = fit(sets, votes).draws(1, random)[0] + 1e-3 * random.standard_normal(sets)
        return max(joining, key=lambda pair: float(max(worth[pair[0]], worth[pair[1]])))
    return _duel(sets, votes, set(allowed), random)


def _joining(sets: int, votes: Sequence[Comparison], allowed: Sequence[Pair]) -> list[Pair]:
    """Pairs that join two groups of sets which no vote connects yet; once there are votes, a set that was
    not seen meets one that was: a chain, in which whoever looks best stays.
    """
    group = list(range(sets))

    def root(one: int) -> int:
        while group[one] != one:
            one = group[one]
        return one

    seen = set()
    for vote in votes:
        group[root(vote.first)] = root(vote.second)
        seen |= {vote.first, vote.second}
    found = [(one, other) for one, other in allowed if root(one) != root(other)]
    chained = [(one, other) for one, other in found if (one in seen) != (other in seen)]
    return chained or found


def _duel(
    sets: int, votes: Sequence[Comparison], allowed: Collection[Pair], random: np.random.Generator
) -> Pair:
    draws = fit(sets, votes).draws(_TRIES, random)
    first, *others = [int(number) for number in draws.argmax(axis=1)]
    for second in others:
        if second != first and _ordered(first, second) in allowed:
            return _ordered(first, second)
    # the best do not differ where anybody could see it: whoever comes next
    worth = draws[0]
    return max(sorted(allowed), key=lambda pair: float(worth[pair[0]] + worth[pair[1]]))


def _ordered(one: int, other: int) -> Pair:
    return (one, other) if one < other else (other, one)


def least_asked(items: Sequence[str], asked: Mapping[str, int], random: np.random.Generator) -> str:
    """The item to show a pair on: the one with the fewest votes, among equals any.

    Args:
        items: Where the pair can be told apart, at least one.
        asked: Item to the number of votes that the pair has on it.
        random: Decides among equals.
    """
    fewest = min(asked.get(item, 0) for item in items)
    equal = [item for item in items if asked.get(item, 0) == fewest]
    return equal[int(random.integers(len(equal)))]
