"""Gaussian process regression over sets and items (Rasmussen and Williams 2006, chapters 2, 4 and 5).

A set lies in a unit cube of numeric and categorical dimensions. Its score for an item is
``f(set) + h(set, item) + e(item)``: what it is worth for all items, how it deviates for one, and how easy the
item is. f and h vary smoothly over the sets, h independently for each item, so that neighbours share not only
what is good of them but also what makes an item hard for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from pixaris.statistics.threads import one_thread

Array = npt.NDArray[np.float64]
Items = npt.NDArray[np.int_]

_ROOT5 = math.sqrt(5.0)
_NUGGET = 1e-6
_EVALUATIONS = 50
_LENGTH, _SCALE, _DEVIATION, _EASE, _NOISE = math.log(0.5), 0.0, math.log(0.1), math.log(0.1), math.log(0.02)
_SPREADS = (0.8, 1.0, 1.0, 1.0, 1.5)
_FARTHEST = 6.0


@dataclass(frozen=True)
class Hyperparameters:
    """What is fitted, in logarithms.

    Attributes:
        lengths: Length scale of each dimension [dimensions].
        scale: Variance of f.
        deviation: Variance of h.
        ease: Variance of e.
        noise: Variance of what is left.
    """

    lengths: Array
    scale: float = _SCALE
    deviation: float = _DEVIATION
    ease: float = _EASE
    noise: float = _NOISE

    @classmethod
    def default(cls, dimensions: int) -> Self:
        """Where a fit starts, and what its prior is centred on."""
        return cls(np.full(dimensions, _LENGTH))

    @property
    def vector(self) -> Array:
        """All in one."""
        return np.concatenate([self.lengths, [self.scale, self.deviation, self.ease, self.noise]])

    @classmethod
    def of(cls, vector: Array) -> Self:
        """From `vector`."""
        scale, deviation, ease, noise = map(float, vector[-4:])
        return cls(vector[:-4], scale, deviation, ease, noise)


@dataclass(frozen=True)
class Cells:
    """Where something was observed.

    Attributes:
        points: The sets [cells, dimensions], each number in 0 … 1; categories as any distinct numbers.
        items: The items [cells].
    """

    points: Array
    items: Items

    def and_also(self, others: Cells) -> Cells:
        """Both."""
        return Cells(np.concatenate([self.points, others.points]), np.concatenate([self.items, others.items]))

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Kernel:
    """Matérn 5/2 with a length scale for each dimension; between categories the distance is 0 or 1.

    Attributes:
        categorical: Which dimensions have no order [dimensions].
        items: Items of the eval set.
    """

    categorical: npt.NDArray[np.bool_]
    items: int

    def apart(self, one: Array, other: Array) -> Array:
        """Squared distance in every dimension [dimensions, points, other points]."""
        difference = one.T[:, :, None] - other.T[:, None, :]
        squares: Array = difference**2
        # The codes of categories are mere names: their distance says nothing, only whether they differ.
        squares[self.categorical] = difference[self.categorical] != 0.0
        return squares

    def matern(self, apart: Array, lengths: Array) -> tuple[Array, Array]:
        """Correlations, and minus their derivative by half the squared scaled distance."""
        r = np.sqrt(np.tensordot(np.exp(-2.0 * lengths), apart, axes=1))
        decay = np.exp(-_ROOT5 * r)
        return (1.0 + _ROOT5 * r + 5.0 / 3.0 * r**2) * decay, 5.0 / 3.0 * (1.0 + _ROOT5 * r) * decay

    def covariances(self, cells: Cells, parameters: Hyperparameters) -> Array:
        """Between cells, noise included [cells, cells]."""
        correlations, _ = self.matern(self.apart(cells.points, cells.points), parameters.lengths)
        same = cells.items[:, None] == cells.items[None, :]
        covariances: Array = correlations * _variances(same, parameters) + math.exp(parameters.ease) * same
        # Equal sets have equal rows, and the matrix no inverse, were it not for what is added here.
        covariances[np.diag_indices_from(covariances)] += _NUGGET + math.exp(parameters.noise)
        return covariances

    def with_means(self, cells: Cells, at: Array, parameters: Hyperparameters) -> Array:
        """Between cells and sets' means over all items [cells, at]."""
        correlations, _ = self.matern(self.apart(cells.points, at), parameters.lengths)
        shared = math.exp(parameters.scale) + math.exp(parameters.deviation) / self.items
        covariances: Array = correlations * shared + math.exp(parameters.ease) / self.items
        return covariances

    def variance_of_mean(self, parameters: Hyperparameters) -> float:
        """Prior variance of a set's mean over all items."""
        own = math.exp(parameters.deviation) + math.exp(parameters.ease)
        return math.exp(parameters.scale) + own / self.items


def _variances(same: npt.NDArray[np.bool_], parameters: Hyperparameters) -> Array:
    """What correlations between sets are multiplied by: more where the item is the same [cells, cells]."""
    variances: Array = math.exp(parameters.scale) + math.exp(parameters.deviation) * same.astype(np.float64)
    return variances


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process with what it has seen.

    Attributes:
        kernel: Of the space.
        parameters: What was fitted.
        cells: Where something was observed.
        values: What was observed there [cells].
    """

    kernel: Kernel
    parameters: Hyperparameters
    cells: Cells
    values: Array

    def posterior(self, at: Array, pending: Cells | None = None) -> tuple[Array, Array]:
        """Mean and standard deviation of sets' means over all items, at points [at].

        Args:
            at: [at, dimensions].
            pending: Cells whose observations are on their way. The variance is as if they had come, the mean
                is not changed by them: kriging believer with its own prediction.
        """
        with one_thread():
            return self._posterior(at, pending)

    def _posterior(self, at: Array, pending: Cells | None) -> tuple[Array, Array]:
        kernel, parameters = self.kernel, self.parameters
        factor = cho_factor(kernel.covariances(self.cells, parameters), lower=True)
        across = kernel.with_means(self.cells, at, parameters)
        centre = _centre(factor, self.values)
        mean: Array = centre + across.T @ cho_solve(factor, self.values - centre)
        if pending is not None and len(pending):
            every = self.cells.and_also(pending)
            factor = cho_factor(kernel.covariances(every, parameters), lower=True)
            across = kernel.with_means(every, at, parameters)
        explained = (solve_triangular(factor[0], across, lower=True) ** 2).sum(axis=0)
        # Rounding may leave less than nothing where nearly all is explained.
        variance = np.maximum(kernel.variance_of_mean(parameters) - explained, 1e-10)
        return mean, np.sqrt(variance)

    @classmethod
    def fit(cls, kernel: Kernel, cells: Cells, values: Array, start: Hyperparameters) -> Self:
        """Fit the hyperparameters by their posterior's maximum.

        Priors keep few observations from extremes: the logarithms are normal around
        `Hyperparameters.default`. Values are expected to have a variance of about 1.

        Args:
            kernel: Of the space.
            cells: Where something was observed.
            values: What [cells].
            start: Where to start.
        """
        from scipy.optimize import minimize

        # Once for all evaluations: length scales only weigh the distances of each dimension.
        apart = kernel.apart(cells.points, cells.points)
        centre = Hyperparameters.default(cells.points.shape[1]).vector
        spread = np.concatenate([np.full(cells.points.shape[1], _SPREADS[0]), _SPREADS[1:]])

        def loss(vector: Array) -> tuple[float, Array]:
            parameters = Hyperparameters.of(vector)
            value, gradient = _likelihood(kernel, apart, cells.items, values, parameters)
            far = (vector - centre) / spread
            return value + 0.5 * float(far @ far), gradient + far / spread

        bounds = [(-_FARTHEST, _FARTHEST)] * len(centre)
        options = {"maxfun": _EVALUATIONS}
        with one_thread():
            found = minimize(loss, start.vector, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        return cls(kernel, Hyperparameters.of(found.x), cells, values)


def _centre(factor: tuple[Array, bool], values: Array) -> float:
    """The mean far from all cells, by generalised least squares: many in one place count little more than
    one.
    """
    weights = cho_solve(factor, np.ones(len(values)))
    return float(weights @ values / weights.sum())


def _likelihood(
    kernel: Kernel, apart: Array, items: Items, values: Array, parameters: Hyperparameters
) -> tuple[float, Array]:
    """Negative log marginal likelihood and its gradient by `Hyperparameters.vector`."""
    correlations, slope = kernel.matern(apart, parameters.lengths)
    same = items[:, None] == items[None, :]
    variances = _variances(same, parameters)
    covariances = correlations * variances + math.exp(parameters.ease) * same
    noise = math.exp(parameters.noise)
    covariances[np.diag_indices_from(covariances)] += _NUGGET + noise
    factor = cho_factor(covariances, lower=True)
    centred = values - _centre(factor, values)
    weights = cho_solve(factor, centred)
    inverse = cho_solve(factor, np.eye(len(values)))
    value = 0.5 * float(centred @ weights) + float(np.log(np.diag(factor[0])).sum())
    # ½ tr((K⁻¹ − αα') ∂K/∂θ) for each θ (Rasmussen and Williams 2006, 5.9), the trace as a sum of products;
    # the chain rule's exp(θ) stands before it, as θ is a logarithm.
    outer = inverse - np.outer(weights, weights)
    shared = outer * slope * variances
    lengths = 0.5 * np.exp(-2.0 * parameters.lengths) * np.tensordot(apart, shared, axes=2)
    scale = 0.5 * math.exp(parameters.scale) * float((outer * correlations).sum())
    deviation = 0.5 * math.exp(parameters.deviation) * float((outer * correlations)[same].sum())
    ease = 0.5 * math.exp(parameters.ease) * float(outer[same].sum())
    loud = 0.5 * noise * float(np.trace(outer))
    return value, np.concatenate([lengths, [scale, deviation, ease, loud]])


def expected_improvement(mean: Array, sd: Array, best: float) -> Array:
    """How much more than the best so far is expected (Jones, Schonlau and Welch 1998) [points]."""
    from scipy.special import ndtr

    z = (mean - best) / sd
    density = np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    improvement: Array = (mean - best) * ndtr(z) + sd * density
    return improvement


def half_rank(values: Array) -> Array:
    """Values standardised, half-way to the normal scores of their ranks [values].

    An outlier pulls half as far. Ranks alone would lose how far the best ones are apart.
    """
    from scipy.special import ndtri

    spread = float(values.std())
    standard = (values - values.mean()) / (spread if spread > 0 else 1.0)
    order = values.argsort(kind="stable").argsort(kind="stable")
    ranks = ndtri((order + 0.5) / len(values))
    warped: Array = 0.5 * (np.clip(standard, -3.0, 3.0) + ranks)
    return warped
