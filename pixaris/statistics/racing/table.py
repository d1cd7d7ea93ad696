"""Scores of sets over items, as a race sees them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_ROUNDS = 50
_CLOSE = 1e-10


def mean_of_known(values: Array, axis: int) -> Array:
    """Means of what is known, by axis; NaN, without a word of NumPy's, where nothing is."""
    count = np.count_nonzero(~np.isnan(values), axis=axis)
    mean: Array = np.where(count > 0, np.nansum(values, axis=axis) / np.maximum(count, 1), np.nan)
    return mean


def adjusted_means(scores: Array) -> Array:
    """Every set's mean, corrected for which items it has: as if it had them all.

    A least-squares fit of ``score = set + item`` to the cells there are. A set that was stopped on easy items
    has a raw mean that is too high by their ease; this one has not.

    Args:
        scores: [sets, items]; NaN where there is none.

    Returns:
        [sets]; NaN for a set without any score.
    """
    known = ~np.isnan(scores)
    of_set, of_item = known.sum(axis=1), known.sum(axis=0)
    filled = np.where(known, scores, 0.0)
    effects = np.zeros(scores.shape[1])
    means = np.zeros(scores.shape[0])
    # By turns, as the table has gaps; a whole one is there after one round.
    for _ in range(_ROUNDS):
        before = means
        means = _mean(filled - known * effects, of_set, axis=1)
        effects = _mean(filled - known * means[:, None], of_item, axis=0)
        # Items and sets may be shifted against each other; the items' mean is kept at 0, so that sets keep
        # their scale.
        effects -= effects[of_item > 0].mean() if (of_item > 0).any() else 0.0
        if np.abs(means - before).max(initial=0.0) < _CLOSE:
            break
    return np.where(of_set > 0, means, np.nan)


def _mean(cells: Array, counts: npt.NDArray[np.int_], axis: int) -> Array:
    sums = cells.sum(axis=axis)
    means: Array = np.divide(sums, counts, out=np.zeros(len(sums)), where=counts > 0)
    return means


def leader_of(scores: Array) -> int:
    """The set with the best mean, each item's score taken relative to the others' on that item.

    Args:
        scores: [sets, items], larger is better; NaN where there is none; every set has a score.

    Returns:
        Its row; of equals the first.
    """
    columns = ~np.isnan(scores).all(axis=0)
    seen = scores[:, columns]
    relative = seen - np.nanmean(seen, axis=0)
    return int(np.nanmean(relative, axis=1).argmax())
