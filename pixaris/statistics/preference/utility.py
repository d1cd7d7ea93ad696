"""What sets are worth to people, as a smooth function of their parameters: a Gaussian process with votes.

Theta of `pixaris.statistics.preference.davidson` is drawn from ``f(set) + g(set)``: f is a Gaussian process
over the unit cube (Matérn 5/2, a length scale for each dimension), so that a vote on one set says something
of its neighbours; g is each set's own, for what parameters do in jumps. Votes enter by Davidson's likelihood,
ties among them, with Laplace's approximation (Chu and Ghahramani 2005). Variances and length scales are the
most probable ones (marginal likelihood and a weak prior) once there are votes enough to tell them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, cholesky
from scipy.optimize import minimize

from pixaris.statistics.gaussian_process import Kernel
from pixaris.statistics.preference.davidson import Array, Comparison, Posterior, fit
from pixaris.statistics.threads import one_thread

# With fewer, length scales follow single votes and the prior's own do better.
ENOUGH = 30
"""Votes from which on variances and length scales are fitted."""

_Z = NormalDist().inv_cdf(0.975)
# Gauss–Hermite: 21 nodes integrate a smooth curve over a normal far beyond what is shown of it.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
# The prior's middle: half a width of the cube, and sets that differ by about a logit, nearly all of it
# smooth.
_LENGTH, _SCALE, _OWN = math.log(0.5), math.log(0.9), math.log(0.03)
# How far lengths, scale and own may stray from it, in logarithms, at one standard deviation …
_SPREADS = (0.7, 0.7, 1.0)
# … and at most, in these standard deviations.
_FARTHEST = 2.5
# Each one fits all votes anew, and the driver waits for it between two rounds.
_EVALUATIONS = 120
# Of the prior, and of draws: equal points, and points close together, have rows that are equal but for
# rounding.
_NUGGET, _JITTER = 1e-6, 1e-5


@dataclass(frozen=True)
class WinRate:
    """How often people prefer a set to another, with its 95 % interval; a tie counts half.

    Attributes:
        rate: Expected share of votes, between 0 and 1.
        low: Lower end.
        high: Upper end.
    """

    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Hyperparameters:
    """What is fitted, in logarithms.

    Attributes:
        lengths: Length scale of each dimension, in widths of the cube [dimensions].
        scale: Variance of f, in squared logits.
        own: Variance of g.
    """

    lengths: Array
    scale: float = _SCALE
    own: float = _OWN

    @property
    def vector(self) -> Array:
        """All in one."""
        return np.concatenate([self.lengths, [self.scale, self.own]])


@dataclass(frozen=True)
class Utility:
    """What votes say of sets that share what is near.

    Attributes:
        posterior: Of theta.
        parameters: What it was fitted with.
    """

    posterior: Posterior
    parameters: Hyperparameters

    def win_rate(self, one: int, other: int) -> WinRate:
        """How often a set is preferred to another: the mean over what theta may be, and the ends of what it
        is at 95 %.
        """
        if one == other:
            return WinRate(0.5, 0.5, 0.5)
        gap, spread = self.posterior.difference(one, other)
        rates = np.array([self.posterior.wins_by(gap + spread * float(node)) for node in _NODES])
        mean = float(rates @ _WEIGHTS / _WEIGHTS.sum())
        # A win rate rises with the gap, so the ends of the gap are the ends of the rate.
        ends = [self.posterior.wins_by(gap + sign * _Z * spread) for sign in (-1, 1)]
        return WinRate(mean, ends[0], ends[1])


def utility(points: Array, categorical: npt.NDArray[np.bool_], votes: Sequence[Comparison]) -> Utility:
    """Fit what sets are worth.

    Args:
        points: The sets [sets, dimensions], each number in 0 … 1; categories as any distinct numbers.
        categorical: Which dimensions have no order [dimensions].
        votes: What people said; without any, the prior comes back.
    """
    # Made once: distances do not depend on what is fitted, and the fit asks for them a hundred times.
    apart = Kernel(categorical, 1).apart(points, points)
    start = Hyperparameters(np.full(points.shape[1], _LENGTH))
    with one_thread():
        if len(votes) >= ENOUGH:
            found = _fitted(apart, votes, start)
        else:
            found = start
        return Utility(fit(len(points), votes, _covariance(apart, found)), found)


def draw(
    points: Array,
    categorical: npt.NDArray[np.bool_],
    found: Utility,
    at: Array,
    random: np.random.Generator,
) -> Array:
    """A sample of what sets may be worth that nobody has seen: of f, with all of them together [at].

    Args:
        points: The sets that `found` was fitted to [sets, dimensions].
        categorical: Which dimensions have no order [dimensions].
        found: What votes say of them.
        at: Other sets [at, dimensions].
        random: Draws.
    """
    kernel, parameters, posterior = Kernel(categorical, 1), found.parameters, found.posterior
    prior = prior_of(points, categorical, parameters)
    # A normal given another one: what a set takes from each that was voted on, by the prior, since the votes
    # are in theta already; and its variance before any vote, less what they have settled.
    across, _ = kernel.matern(kernel.apart(at, points), parameters.lengths)
    among, _ = kernel.matern(kernel.apart(at, at), parameters.lengths)
    scale = math.exp(parameters.scale)
    with one_thread():
        weights = cho_solve(cho_factor(prior), scale * across.T).T
        covariance = scale * among - weights @ (prior - posterior.covariance) @ weights.T
        covariance[np.diag_indices_from(covariance)] += _JITTER
        sample: Array = weights @ posterior.mean
        sample += cholesky(covariance, lower=True) @ random.standard_normal(len(at))
    return sample


def prior_of(points: Array, categorical: npt.NDArray[np.bool_], parameters: Hyperparameters) -> Array:
    """Covariance of theta before any vote [sets × sets]; arguments as for `utility`."""
    return _covariance(Kernel(categorical, 1).apart(points, points), parameters)


def _covariance(apart: Array, parameters: Hyperparameters) -> Array:
    """Covariance of theta [sets × sets]; `apart` has squared distances [dimensions, sets, sets]."""
    kernel = Kernel(np.zeros(len(apart), dtype=bool), 1)
    correlations, _ = kernel.matern(apart, parameters.lengths)
    covariance: Array = math.exp(parameters.scale) * correlations
    covariance[np.diag_indices_from(covariance)] += math.exp(parameters.own) + _NUGGET
    return covariance


def _fitted(apart: Array, votes: Sequence[Comparison], start: Hyperparameters) -> Hyperparameters:
    """The most probable hyperparameters."""
    centre = start.vector
    spreads = np.array([*[_SPREADS[0]] * len(apart), *_SPREADS[1:]])
    sets = apart.shape[1]

    def unlikely(vector: Array) -> float:
        parameters = Hyperparameters(vector[:-2], float(vector[-2]), float(vector[-1]))
        evidence = fit(sets, votes, _covariance(apart, parameters)).evidence
        return 0.5 * float((((vector - centre) / spreads) ** 2).sum()) - evidence

    bounds = [
        (middle - _FARTHEST * spread, middle + _FARTHEST * spread)
        for middle, spread in zip(centre, spreads, strict=True)
    ]
    # The gradient is taken by differences; the inner fit is exact to 1e-9, so steps of 1e-3 are far above its
    # noise.
    options = {"maxfun": _EVALUATIONS, "eps": 1e-3}
    best = minimize(unlikely, centre, method="L-BFGS-B", bounds=bounds, options=options).x
    return Hyperparameters(best[:-2], float(best[-2]), float(best[-1]))
