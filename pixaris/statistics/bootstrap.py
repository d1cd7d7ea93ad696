"""The corrected bootstrap interval, for those who ask for it: it is not the default, because it holds
less often.

Its use is strongly skewed differences, where sign flips and Student's t cover less than they say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 9_999


def corrected_bootstrap(
    values: Sequence[float], level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """BCa interval of a mean (Efron 1987), its ends moved away from the mean by √(n/(n−1))·t/z, t and z being
    the quantiles of Student's and the normal distribution: plain BCa is as narrow as a normal interval with a
    variance that is too small by (n−1)/n.

    With z₀ = Φ⁻¹(share of resampled means below the mean, ties half) and the acceleration
    a = Σd³/(6·(Σd²)^1.5) over the jackknife's deviations d, an end is the resampled means' quantile
    Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))).

    Args:
        values: At least one number.
        level: Coverage that is wished.
        resamples: How many.
        seed: Of the resampling.

    Returns:
        Lower and upper end; None for fewer than three values, or where all are equal.

    Measured coverage of 95 % (benchmarks/coverage.py) at 8 to 64 values: 93–96 % normal, 91–93 % t with 3
    degrees, 92–94 % exponential, 88–95 % lognormal; where 70 % of the values are 0 it falls to 83 %, and the
    sign-flip interval should be taken.
    """
    numbers = np.asarray(values, dtype=np.float64)
    count = len(numbers)
    if count < 3 or numbers.min() == numbers.max():
        return None
    from scipy.special import ndtr, ndtri, stdtrit

    drawn = np.random.default_rng(seed).integers(0, count, (resamples, count))
    means = np.sort(numbers[drawn].mean(axis=1))
    mean = float(numbers.mean())
    below = (means < mean).mean() + (means == mean).mean() / 2
    # Clipped, because a share of 0 or 1 lies infinitely many standard deviations away.
    bias = float(ndtri(np.clip(below, 0.5 / resamples, 1.0 - 0.5 / resamples)))
    deviations = (numbers - mean) / (count - 1)  # of the jackknife's means from theirs, up to sign
    acceleration = float((deviations**3).sum() / (6.0 * (deviations**2).sum() ** 1.5))
    tail = (1.0 - level) / 2.0
    normal = float(ndtri(1.0 - tail))
    stretch = math.sqrt(count / (count - 1)) * float(stdtrit(count - 1, 1.0 - tail)) / normal
    ends = []
    for quantile in (-normal, normal):
        shifted = bias + quantile
        place = float(ndtr(bias + shifted / (1.0 - acceleration * shifted)))
        ends.append(mean + stretch * (float(np.quantile(means, place)) - mean))
    return ends[0], ends[1]
