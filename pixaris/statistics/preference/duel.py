"""Which pair to ask about next: first those that connect all sets, then the duel of two draws.

Two samples of the posterior each name their best set, and these two meet (double Thompson sampling; Wu and
Liu 2016): pairs that could be the best are asked for often, pairs that cannot hardly ever. The pair whose
better one is expected to be worth most (Lin et al. 2022) finds as much where one person votes, and less where
several have a pair each, since it names the same one to all.

Where sets share what votes say of them, all are connected from the start, and the pair is asked about whose
answer tells most of which set is the best: the mutual information of the two, over draws of the posterior
(entropy search; Hennig and Schuler 2012).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from pixaris.statistics.preference.davidson import Array, Comparison, Posterior, fit

Pair = tuple[int, int]
# Draws among which a second set is looked for that differs from the first one's.
_TRIES = 200
# A person waits for the answer, and 24 sets are 276 pairs already.
_DRAWS, _HOPEFUL = 300, 24


def next_pair(
    sets: int,
    votes: Sequence[Comparison],
    open_pairs: Collection[Pair],
    random: np.random.Generator,
    prior: Array | None = None,
) -> Pair | None:
    """Choose a pair.

    Args:
        sets: How many sets there are.
        votes: What was said so far.
        open_pairs: Pairs, the smaller number first, that may be asked about.
        random: Decides.
        prior: How far sets share what votes say of them, as for `davidson.fit`; None: not at all.

    Returns:
        One of `open_pairs`, or None if there are none.
    """
    if not open_pairs:
        return None
    # A set has no order of its own, and the same votes and seed must name the same pair.
    allowed = sorted(open_pairs)
    if prior is not None:
        return _most_telling(fit(sets, votes, prior), allowed, random)
    joining = _joining(sets, votes, allowed)
    if joining:
        worth = fit(sets, votes).draws(1, random)[0] + 1e-3 * random.standard_normal(sets)
        return max(joining, key=lambda pair: float(max(worth[pair[0]], worth[pair[1]])))
    return _duel(sets, votes, set(allowed), random)


def _joining(sets: int, votes: Sequence[Comparison], allowed: Sequence[Pair]) -> list[Pair]:
    """Pairs that join two groups of sets which no vote connects yet; once there are votes, a set that was
    not seen meets one that was: a chain, in which whoever looks best stays.
    """
    # Union by representative: pairs that were voted on, directly or through others, share a root.
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


def _most_telling(posterior: Posterior, allowed: Sequence[Pair], random: np.random.Generator) -> Pair:
    draws = posterior.draws(_DRAWS, random)
    pairs = _promising(posterior, allowed, random)
    # Half the gap each way, as Davidson's formula has it when it is divided by sqrt(p_i p_j): the tie then
    # weighs nu.
    firsts, seconds = map(list, zip(*pairs, strict=True))
    gaps = (draws[:, firsts] - draws[:, seconds]) / 2
    weights = np.stack([np.exp(gaps), np.exp(-gaps), np.full_like(gaps, posterior.ties)])
    answers = weights / weights.sum(axis=0)  # [answers × draws × pairs]
    # Mutual information of the answer and of which set is the best: the answer's entropy, less what is left
    # of it when the best one is known.
    told = _entropy(answers.mean(axis=1))
    best = draws.argmax(axis=1)
    for number in np.unique(best):
        those = best == number
        told -= those.mean() * _entropy(answers[:, those].mean(axis=1))
    return pairs[int(told.argmax())]


def _promising(posterior: Posterior, allowed: Sequence[Pair], random: np.random.Generator) -> list[Pair]:
    """Pairs of the sets that may be good; where none of them may be asked about, some others."""
    # One standard deviation above the mean: what is uncertain may be good, and is worth asking about.
    ends = posterior.mean + np.sqrt(np.diag(posterior.covariance))
    hopeful = {int(number) for number in np.argsort(-ends)[:_HOPEFUL]}
    found = [pair for pair in allowed if hopeful.issuperset(pair)]
    if found:
        return found
    # All pairs could be tens of thousands; a few hundred are enough to find one that tells much.
    chosen = random.permutation(len(allowed))[: _HOPEFUL**2]
    return [allowed[int(number)] for number in chosen]


def _entropy(shares: Array) -> Array:
    """Of answers, in nats [pairs]; shares are [answers × pairs]."""
    entropy: Array = -(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=0)
    return entropy


def _ordered(one: int, other: int) -> Pair:
    if one < other:
        return (one, other)
    return (other, one)


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
