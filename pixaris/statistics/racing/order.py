"""The order in which every set of a search goes through the items."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence


def stratified_order(strata: Sequence[Hashable], seed: int) -> tuple[int, ...]:
    """A random order whose every beginning has each stratum's share of the items.

    Within a stratum the order is uniformly random, and so is the place of its items among those of the
    others: what is known of means over the first items of a random order holds. Hard items first would break
    it: simulated, it makes the better of two sets fall in 16 % of races where a random order makes it fall in
    0.4 %.

    Args:
        strata: What each item belongs to; equal for items that are expected to be alike.
        seed: Makes it repeatable.

    Returns:
        Item indices.
    """
    draws = random.Random(seed)
    members: dict[Hashable, list[int]] = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    places: dict[int, float] = {}
    for indices in members.values():
        draws.shuffle(indices)
        for rank, index in enumerate(indices):
            places[index] = (rank + draws.random()) / len(indices)
    return tuple(sorted(places, key=places.__getitem__))
