"""What a winner's gain over the baseline is expected to be, once the luck of having been picked is taken
off.

The best of many measured gains is too large: the set that won did so partly by noise. The sets' true
gains are taken as draws from one normal distribution, whose width is learned from all sets, so the
winner's is pulled towards their mean by as much as their scatter is noise (empirical Bayes; James & Stein
1961, Efron & Morris 1973). The posterior mean needs no correction for the picking, because it holds
whichever set one asks about.

The model, fitted to every score there is, those of stopped sets too, since why a set was stopped stands
in its scores (missing at random, Rubin 1976):

    y[k, i] = item[i] + set[k] + ε,   set[k] ~ N(μ, τ²),   ε ~ N(0, σ²)

with the items and the baseline as fixed effects. ε holds what a set does to single items, so the answer
is for items like these. Each set has its own σ, pulled towards the median one as the race does (Smyth
2004): a baseline far from the sets that were tried differs from them item by item much more than they do
from each other. τ has a half-Cauchy prior as wide as a set's standard error and is integrated over
(Gelman 2006): with few sets nobody knows it well. On a whole table with one σ this is, τ given: grand
mean + ρ·(mean of the winner − grand mean), ρ = τ²/(τ² + σ²/N).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pixaris.statistics.intervals import MeanInterval

Numbers = npt.NDArray[np.float64]

_GRID = 256
_HALF_WAY = 0.5
_PRIOR = 4
"""Items that the median variance counts for beside a set's own."""
_FEW = 4
"""Rows below which each one's variance cannot be told from the others'."""
_ROUNDS = 30
_MOST = 1e4
_LEAST = 1e-3
_NOTHING = 1e-12


@dataclass(frozen=True)
class ShrunkGain(MeanInterval):
    """What a gain is expected to be on items like these, with its 95 % interval.

    Attributes:
        kept: ρ, the share of the winner's distance from the other sets that is no noise: 1 where the sets
            differ by much more than a mean over the items is sure.
        error: Standard error of the winner's mean over its items, beside the other sets.
    """

    kept: float = 1.0
    error: float = 0.0

    def luck(self, sets: int) -> float:
        """How much the best of so many measured gains is too large if the sets are all equal: the expected
        largest of so many normal errors, at most √(2·ln sets) of them.
        """
        return self.error * math.sqrt(2.0 * math.log(max(1, sets)))


@dataclass(frozen=True)
class _Equations:
    """The model's normal equations with items and baseline eliminated, in the sets' eigenbasis.

    Attributes:
        eigenvalues: Information on the sets' effects [sets].
        projections: The right-hand side [sets].
        contrast: Coefficients of the winner's gain on the sets' effects [sets].
        offset: The rest of the gain.
        information: On the baseline's effect.
        winner: Information on the winner's, if all else were known.
        squares: Sum of squares that items and baseline leave.
        freedom: Its degrees of freedom.
        pairs: Those of the difference between two sets.
    """

    eigenvalues: Numbers
    projections: Numbers
    contrast: Numbers
    offset: float
    information: float
    winner: float
    squares: float
    freedom: int
    pairs: int


def shrunk_gain(scores: npt.ArrayLike, winner: int, baseline: int) -> ShrunkGain | None:
    """The winner's expected gain over the baseline, on items like these.

    Measured (benchmarks/coverage.py), in standard deviations of the sets: see docs/statistics.md.

    Args:
        scores: Scores [sets, items]; NaN where a set has none.
        winner: Row of the set that is asked about.
        baseline: Row of the set that it is compared with.

    Returns:
        The gain on the scores' own scale; None where the scores cannot tell noise from differences: a single
        item, or no item that the baseline shares.
    """
    table = np.asarray(scores, dtype=np.float64)
    equations = _equations(table, winner, baseline)
    if equations is None:
        return None
    from scipy.special import stdtrit

    found = _posterior(equations)
    half = float(stdtrit(min(equations.freedom, equations.pairs), 0.975)) * math.sqrt(found.variance)
    shared = ~np.isnan(table[winner]) & ~np.isnan(table[baseline])
    ends = (found.mean - half, found.mean + half)
    return ShrunkGain(found.mean, *ends, int(shared.sum()), found.kept, found.error)


def _equations(table: Numbers, winner: int, baseline: int) -> _Equations | None:
    known = ~np.isnan(table)
    table, known = table[:, known.any(axis=0)], known[:, known.any(axis=0)]
    weights = known * (1.0 / _variances(table, baseline))[:, None]
    sums = weights.sum(axis=0)
    filled = np.where(known, table, 0.0)
    centred = np.where(known, filled - (weights * filled).sum(axis=0) / sums, 0.0)
    information = np.diag(weights.sum(axis=1)) - (weights / sums) @ weights.T
    right = (weights * centred).sum(axis=1)
    own = float(information[baseline, baseline])
    sets = [row for row in range(len(table)) if row != baseline and known[row].any()]
    freedom = int(known.sum()) - len(sums) - 1
    if own <= _NOTHING * sums.sum() or winner not in sets or freedom - (len(sets) - 1) < 1:
        return None
    # Schur's complement: the baseline's effect is fixed, so that it is eliminated like an item's.
    beside = information[sets, baseline]
    reduced = information[np.ix_(sets, sets)] - np.outer(beside, beside) / own
    eigenvalues, basis = np.linalg.eigh(reduced)
    # Where the sets move together, so does the estimate of the baseline's effect, which the gain is
    # measured from.
    contrast = beside / own
    contrast[sets.index(winner)] += 1.0
    return _Equations(
        # The matrix is semi-definite by construction; rounding may leave eigenvalues just below 0.
        eigenvalues=np.maximum(eigenvalues, 0.0),
        projections=basis.T @ (right[sets] - beside * right[baseline] / own),
        contrast=basis.T @ contrast,
        offset=float(-right[baseline] / own),
        information=own,
        winner=float(weights[winner].sum()),
        squares=float((weights * centred**2).sum() - right[baseline] ** 2 / own),
        freedom=freedom,
        pairs=int((known[winner] & known[baseline]).sum()) - 1 + (_PRIOR if len(table) >= _FEW else 0),
    )


def _variances(table: Numbers, baseline: int) -> Numbers:
    """Every row's residual variance, each pulled towards that of the others; all 1 where rows are few."""
    rows = len(table)
    counts = (~np.isnan(table)).sum(axis=1)
    told = counts > 2
    if rows < _FEW or told.sum() < _FEW:
        return np.ones(rows)
    residuals = table.copy()
    # With gaps in the table, rows and columns are no longer at right angles: centring one shifts the other,
    # and the rounds bring both to 0.
    for _ in range(_ROUNDS):
        residuals -= np.nanmean(residuals, axis=1, keepdims=True)
        residuals -= np.nanmean(residuals, axis=0)
    freedom = np.maximum(counts - 1, 1)
    raw = np.nansum(residuals**2, axis=1) / freedom
    shared = float((raw * freedom).sum() / freedom.sum())
    if shared <= 0.0:
        return np.ones(rows)
    # an additive table's residuals hold a share of the other rows' noise
    own = np.maximum((raw - shared / rows) / (1.0 - 2.0 / rows), _LEAST * shared)
    others = told & (np.arange(rows) != baseline)
    typical, weight = _prior(own[others], freedom[others])
    pulled: Numbers = (weight * typical + freedom * own) / (weight + freedom)
    # The baseline is far from the others and may be the noisier; what it shows itself is not shrunk away.
    pulled[baseline] = max(pulled[baseline], own[baseline])
    # Only their proportions count: the common σ is estimated with the rest.
    relative: Numbers = pulled / pulled.mean()
    return relative


def _prior(variances: Numbers, freedom: Numbers) -> tuple[float, float]:
    """The variance that sets are pulled towards, and the items it counts for: from the scatter of log s²,
    which is trigamma(d/2) by chance alone and trigamma(d₀/2) more if the sets differ (Smyth 2004).
    """
    from scipy.special import digamma, polygamma

    centred = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    beyond = float(centred.var(ddof=1) - polygamma(1, freedom / 2).mean())
    if beyond <= 0.0:
        return float(np.average(variances, weights=freedom)), _MOST
    grid = np.geomspace(1.0, _MOST, 200)
    weight = float(grid[np.abs(polygamma(1, grid / 2) - beyond).argmin()])
    return float(np.exp(centred.mean() + digamma(weight / 2) - np.log(weight / 2))), weight


@dataclass(frozen=True)
class _Posterior:
    """The gain over the widths that the sets' distribution may have: mean, variance, and as `ShrunkGain`."""

    mean: float
    variance: float
    kept: float
    error: float


def _posterior(equations: _Equations) -> _Posterior:
    typical = equations.eigenvalues.mean() or 1.0
    angles = (np.arange(_GRID) + _HALF_WAY) * (np.pi / 2 / _GRID)  # equal steps are half-Cauchy ones of τ
    ratios = np.tan(angles)[:, None] ** 2 / typical  # τ²/σ²
    growth = 1.0 + ratios * equations.eigenvalues
    shrunk = ratios / growth
    # σ² is integrated out, with the prior 1/σ²; what is left of the squares stands in its place.
    left = np.maximum(equations.squares - (shrunk * equations.projections**2).sum(axis=1), 1e-300)
    likelihood = -0.5 * np.log(growth).sum(axis=1) - 0.5 * (equations.freedom - 1) * np.log(left)
    # Less the largest, so that not all of them vanish in a float.
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    means = (shrunk * equations.projections) @ equations.contrast + equations.offset
    noise = left / equations.freedom
    variances = noise * (shrunk @ equations.contrast**2 + 1.0 / equations.information)
    mean = float(weights @ means)
    known = ratios[:, 0] * equations.winner
    return _Posterior(
        mean=mean,
        # Within each width, and between the means of all widths.
        variance=float(weights @ (variances + (means - mean) ** 2)),
        kept=float(weights @ (known / (1.0 + known))),
        error=math.sqrt(float(weights @ noise) / equations.winner),
    )
