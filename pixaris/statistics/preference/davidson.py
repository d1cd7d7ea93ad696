"""Bradley–Terry with ties (Davidson 1970), and how sure it is (Laplace's approximation).

Set i wins over j with ``p_i / (p_i + p_j + nu sqrt(p_i p_j))`` and they tie with ``nu sqrt(p_i p_j)`` over
the same; ``theta = log p``. That is a multinomial logit with three answers, whose log-likelihood is concave
in theta and log nu, so that Newton's steps find its one maximum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve, cholesky

Array = npt.NDArray[np.float64]
Answer: TypeAlias = Literal["first", "second", "tie"]

TIES = math.log(0.5)
"""What log nu is drawn to, weakly, while there are few votes."""

# The columns of the features' second axis.
_ANSWERS: dict[Answer, int] = {"first": 0, "second": 1, "tie": 2}
# Precision of theta and of log nu before any vote. It also keeps a set that won every vote it was in from
# running off to infinity.
_RIDGE = 1.0
# Newton needs a handful; the limit only keeps it from going on for ever.
_STEPS, _CLOSE = 50, 1e-9
_DRAWS = 4_000


@dataclass(frozen=True)
class Comparison:
    """One vote.

    Attributes:
        first: Number of a set.
        second: Number of another one.
        answer: Which is better.
    """

    first: int
    second: int
    answer: Answer


@dataclass(frozen=True)
class Posterior:
    """What votes say of sets: theta is normal with this mean and covariance.

    Attributes:
        mean: Theta of each set, in logits [sets].
        covariance: Of theta [sets × sets].
        ties: nu: how often sets that are equally good tie.
        evidence: Logarithm of the probability of the votes under the prior, by Laplace's approximation.
    """

    mean: Array
    covariance: Array
    ties: float
    evidence: float = 0.0

    def difference(self, one: int, other: int) -> tuple[float, float]:
        """Mean and standard deviation of the theta of a set less that of another."""
        spread = self.covariance
        variance = spread[one, one] + spread[other, other] - 2 * spread[one, other]
        return float(self.mean[one] - self.mean[other]), math.sqrt(max(float(variance), 0.0))

    def wins(self, one: int, other: int) -> float:
        """Probability that a set is preferred to another; a tie counts half."""
        return self.wins_by(float(self.mean[one] - self.mean[other]))

    def wins_by(self, gap: float) -> float:
        """Probability that a set is preferred to another whose theta is less by a gap; a tie counts half."""
        weight = 2 * math.cosh(gap / 2) + self.ties
        return (math.exp(gap / 2) + self.ties / 2) / weight

    def draws(self, count: int, random: np.random.Generator) -> Array:
        """Samples of theta [count × sets]."""
        size = len(self.mean)
        # Sets that the prior takes for nearly the same make the covariance singular but for rounding.
        root = cholesky(self.covariance + 1e-12 * np.eye(size), lower=True)
        samples: Array = self.mean + random.standard_normal((count, size)) @ root.T
        return samples

    def best(self, random: np.random.Generator, count: int = _DRAWS) -> Array:
        """Probability of each set to be the best [sets]."""
        first = self.draws(count, random).argmax(axis=1)
        shares: Array = np.bincount(first, minlength=len(self.mean)) / count
        return shares


def fit(sets: int, votes: Sequence[Comparison], prior: Array | None = None) -> Posterior:
    """Fit the model.

    Args:
        sets: How many sets there are, at least one.
        votes: What people said; without any, the prior comes back.
        prior: Covariance of theta before any vote [sets × sets], positive definite; by default each theta is
            unit normal by itself.
    """
    features, chosen = _features(sets, votes)
    precision = _RIDGE * np.eye(sets + 1)
    if prior is not None:
        # The last row stays as it is: how often people say "tie" has nothing to do with which sets are near.
        precision[:sets, :sets] = cho_solve(cho_factor(prior), np.eye(sets))
    centre = np.zeros(sets + 1)
    centre[-1] = TIES
    beta = centre.copy()
    for _ in range(_STEPS):
        gradient, hessian = _derivatives(features, chosen, beta, centre, precision)
        step = cho_solve(cho_factor(hessian), gradient)
        # A full step may overshoot where nearly all votes agree; two logits at once are far enough.
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < _CLOSE:
            break
    # Once more, at the maximum itself: the loop's last one belongs to the point before its last step.
    _, hessian = _derivatives(features, chosen, beta, centre, precision)
    factor = cho_factor(hessian)
    covariance = cho_solve(factor, np.eye(sets + 1))
    away = beta - centre
    # Laplace: the height at the maximum, times the width that the Hessian gives it; the constants of prior
    # and Hessian cancel.
    evidence = _log_likelihood(features, chosen, beta) - 0.5 * float(away @ precision @ away)
    evidence += 0.5 * float(np.linalg.slogdet(precision)[1]) - float(np.log(np.diag(factor[0])).sum())
    return Posterior(beta[:sets], covariance[:sets, :sets], math.exp(float(beta[sets])), evidence)


def _features(sets: int, votes: Sequence[Comparison]) -> tuple[Array, npt.NDArray[np.int_]]:
    """What each answer to each vote adds up of theta and log nu [votes × answers × (sets + 1)], and which
    was given.
    """
    features = np.zeros((len(votes), 3, sets + 1))
    rows = np.arange(len(votes))
    first = np.array([vote.first for vote in votes], dtype=int)
    second = np.array([vote.second for vote in votes], dtype=int)
    features[rows, 0, first] = 1.0
    features[rows, 1, second] = 1.0
    # sqrt(p_i p_j) is half of each theta in the exponent.
    features[rows, 2, first] = 0.5
    features[rows, 2, second] = 0.5
    features[:, 2, sets] = 1.0
    return features, np.array([_ANSWERS[vote.answer] for vote in votes], dtype=int)


def _log_likelihood(features: Array, chosen: npt.NDArray[np.int_], beta: Array) -> float:
    utilities = features @ beta
    given = utilities[np.arange(len(chosen)), chosen]
    return float((given - np.logaddexp.reduce(utilities, axis=1)).sum())


def _derivatives(
    features: Array, chosen: npt.NDArray[np.int_], beta: Array, centre: Array, precision: Array
) -> tuple[Array, Array]:
    """Gradient, and the negative Hessian, of the logarithm of the posterior."""
    utilities = features @ beta
    # Less the largest, so that no exponential overflows; it cancels in the shares.
    weights = np.exp(utilities - utilities.max(axis=1, keepdims=True))
    shares = weights / weights.sum(axis=1, keepdims=True)
    expected = (shares[:, None, :] @ features)[:, 0, :]
    weighted = (features * shares[:, :, None]).reshape(-1, len(beta))
    gradient = (features[np.arange(len(chosen)), chosen] - expected).sum(axis=0)
    hessian = weighted.T @ features.reshape(-1, len(beta)) - expected.T @ expected
    gradient -= precision @ (beta - centre)
    hessian += precision
    return gradient, hessian
