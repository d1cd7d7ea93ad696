"""The Gaussian process over sets and items, against scikit-learn's and by its gradient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern

from pixaris.statistics.gaussian_process import (
    Cells,
    GaussianProcess,
    Hyperparameters,
    Kernel,
    _likelihood,
    expected_improvement,
    half_rank,
)

DRAWS = np.random.default_rng(0)
KERNEL = Kernel(np.array([False, False]), items=4)


def test_correlations_are_those_of_scikit_learn() -> None:
    points, others = DRAWS.random((7, 2)), DRAWS.random((5, 2))
    lengths = np.array([0.3, 0.9])
    found, _ = KERNEL.matern(KERNEL.apart(points, others), np.log(lengths))
    assert found == pytest.approx(Matern(length_scale=lengths, nu=2.5)(points, others))


def test_categories_are_apart_or_the_same() -> None:
    kernel = Kernel(np.array([True]), items=1)
    apart = kernel.apart(np.array([[0.0], [0.5]]), np.array([[0.5], [1.0]]))
    assert apart[0].tolist() == [[1.0, 1.0], [0.0, 1.0]]


def test_the_gradient_is_the_likelihoods() -> None:
    cells = Cells(DRAWS.random((15, 2)), DRAWS.integers(0, 4, 15))
    values = DRAWS.normal(size=15)
    apart = KERNEL.apart(cells.points, cells.points)
    at = Hyperparameters.default(2).vector + 0.2 * DRAWS.normal(size=6)

    def loss(vector: np.ndarray) -> float:  # type: ignore[type-arg]
        return _likelihood(KERNEL, apart, cells.items, values, Hyperparameters.of(vector))[0]

    _, gradient = _likelihood(KERNEL, apart, cells.items, values, Hyperparameters.of(at))
    numeric = [(loss(at + 1e-5 * one) - loss(at - 1e-5 * one)) / 2e-5 for one in np.eye(6)]
    assert gradient == pytest.approx(numeric, abs=1e-4)


def process(points: list[list[float]], items: list[int], values: list[float]) -> GaussianProcess:
    cells = Cells(np.array(points), np.array(items))
    return GaussianProcess(KERNEL, Hyperparameters.default(2), cells, np.array(values))


def test_more_items_of_a_set_leave_less_uncertain() -> None:
    here = [0.4, 0.4]
    at = np.array([here])
    sds = [process([here] * n, list(range(n)), [1.0] * n).posterior(at)[1][0] for n in (1, 2, 4)]
    assert sds[0] > sds[1] > sds[2]


def test_images_on_their_way_leave_the_mean_and_shrink_the_variance() -> None:
    one = process([[0.1, 0.1], [0.9, 0.9]], [0, 0], [0.0, 1.0])
    at = np.array([[0.5, 0.5], [0.85, 0.9]])
    mean, sd = one.posterior(at)
    later_mean, later_sd = one.posterior(at, Cells(np.array([[0.5, 0.5]]), np.array([0])))
    assert later_mean == pytest.approx(mean)
    assert later_sd[0] < 0.7 * sd[0]


def test_a_fit_finds_what_matters() -> None:
    points = DRAWS.random((60, 2))
    values = np.sin(6.0 * points[:, 0])
    cells = Cells(points, DRAWS.integers(0, 4, 60))
    fitted = GaussianProcess.fit(KERNEL, cells, values, Hyperparameters.default(2))
    lengths = np.exp(fitted.parameters.lengths)
    assert lengths[0] < 0.5 * lengths[1]
    mean, _ = fitted.posterior(np.array([[0.25, 0.5], [0.75, 0.5]]))
    assert mean == pytest.approx([math.sin(1.5), math.sin(4.5)], abs=0.15)


def test_expected_improvement_is_the_mean_of_what_is_better() -> None:
    draws = 0.3 + 0.5 * DRAWS.normal(size=400_000)
    expected = np.maximum(draws - 0.6, 0.0).mean()
    found = expected_improvement(np.array([0.3]), np.array([0.5]), 0.6)[0]
    assert found == pytest.approx(expected, rel=0.02)


def test_half_ranks_keep_the_order_and_tame_an_outlier() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0, 1000.0])
    warped = half_rank(values)
    assert (np.diff(warped) > 0).all()
    assert warped[-1] < 2.0
    assert half_rank(np.full(3, 7.0)).shape == (3,), "equal values are no error"
