"""What votes say of sets that share what is near: against integration, and against simulated raters."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import spearmanr

from pixaris.statistics.preference.davidson import TIES, Comparison, fit
from pixaris.statistics.preference.utility import ENOUGH, Hyperparameters, Utility, draw, prior_of, utility

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from preference import answer, landscape, regrets

NUMBERS = np.zeros(2, dtype=bool)
SMOOTH = np.array([[1.0, 0.8, 0.1], [0.8, 1.2, 0.3], [0.1, 0.3, 0.9]])


def votes_on(theta: np.ndarray, count: int, random: np.random.Generator) -> list[Comparison]:
    pairs = list(itertools.combinations(range(len(theta)), 2))
    chosen = [pairs[int(random.integers(len(pairs)))] for _ in range(count)]
    return [Comparison(one, other, answer(theta, one, other, random)) for one, other in chosen]


def log_posterior(betas: np.ndarray, votes: list[Comparison], prior: np.ndarray) -> np.ndarray:
    """Normalised priors times likelihood, as the paper writes it [betas]."""
    theta, log_nu = betas[:, :-1], betas[:, -1]
    total = -0.5 * np.einsum("bi,ij,bj->b", theta, np.linalg.inv(prior), theta)
    total -= 0.5 * (log_nu - TIES) ** 2
    total -= 0.5 * (np.linalg.slogdet(prior)[1] + betas.shape[1] * math.log(2 * math.pi))
    for vote in votes:
        one, other = theta[:, vote.first], theta[:, vote.second]
        weights = {"first": one, "second": other, "tie": log_nu + (one + other) / 2}
        total += weights[vote.answer] - logsumexp(list(weights.values()), axis=0)
    return total


def test_with_a_prior_that_sets_share_the_fit_is_the_maximum_that_another_optimiser_finds() -> None:
    votes = votes_on(np.array([0.5, 0.0, -1.0]), 30, np.random.default_rng(2))
    found = minimize(
        lambda beta: -float(log_posterior(beta[None], votes, SMOOTH)[0]),
        np.zeros(4),
        method="BFGS",
        options={"gtol": 1e-8},
    )
    posterior = fit(3, votes, SMOOTH)
    assert np.allclose(posterior.mean, found.x[:3], atol=1e-4)
    assert math.isclose(posterior.ties, math.exp(found.x[3]), rel_tol=1e-4)


def test_the_evidence_is_near_what_integration_gives() -> None:
    votes = votes_on(np.array([0.7, -0.7]), 12, np.random.default_rng(4))
    prior = SMOOTH[:2, :2]
    axis, log_nus = np.linspace(-5, 5, 21), np.linspace(TIES - 5, TIES + 5, 17)
    cell = (axis[1] - axis[0]) ** 2 * (log_nus[1] - log_nus[0])
    everywhere = np.array(list(itertools.product(axis, axis, log_nus)))
    exact = float(logsumexp(log_posterior(everywhere, votes, prior))) + math.log(cell)
    assert fit(2, votes, prior).evidence == pytest.approx(exact, abs=0.1)


def test_without_votes_every_set_is_as_good_as_another() -> None:
    found = utility(np.random.default_rng(1).random((4, 2)), NUMBERS, [])
    rate = found.win_rate(1, 0)
    assert rate.rate == pytest.approx(0.5)
    assert rate.low < 0.25
    assert rate.high > 0.75
    assert found.win_rate(0, 0).rate == 0.5


def test_a_vote_says_something_of_neighbours_and_little_of_what_is_far() -> None:
    points = np.array([[0.1, 0.1], [0.15, 0.1], [0.95, 0.95], [0.9, 0.1]])
    found = utility(points, NUMBERS, [Comparison(0, 3, "first")] * 6)
    assert found.win_rate(0, 3).rate > found.win_rate(1, 3).rate > found.win_rate(2, 3).rate > 0.5


def test_of_categories_others_are_all_equally_far() -> None:
    points = np.array([[0.0], [0.5], [1.0], [0.0]])
    found = utility(points, np.array([True]), [Comparison(0, 1, "first")] * 6)
    assert found.win_rate(3, 1).rate > 0.6
    numbers = utility(points, np.array([False]), [Comparison(0, 1, "first")] * 6)
    assert found.posterior.mean[2] > numbers.posterior.mean[2]


def test_length_scales_tell_a_parameter_that_matters_from_one_that_does_not() -> None:
    random = np.random.default_rng(5)
    points = random.random((30, 2))
    theta = 2.0 * np.sin(6.0 * points[:, 0])
    found = utility(points, NUMBERS, votes_on(theta, 200, random))
    assert found.parameters.lengths[0] < found.parameters.lengths[1]


def test_neighbours_make_few_votes_tell_more_than_sets_by_themselves_would() -> None:
    shared, alone = [], []
    for seed in range(6):
        random = np.random.default_rng(seed)
        points = random.random((24, 2))
        theta = landscape(2, random)(points)
        votes = votes_on(theta, 60, random)
        assert len(votes) >= ENOUGH
        shared.append(spearmanr(utility(points, NUMBERS, votes).posterior.mean, theta).statistic)
        alone.append(spearmanr(fit(24, votes).mean, theta).statistic)
    assert np.mean(shared) > np.mean(alone) + 0.05


def test_the_interval_of_a_win_rate_holds_the_true_one_about_as_often_as_it_says() -> None:
    held = []
    for seed in range(12):
        random = np.random.default_rng(100 + seed)
        points = random.random((16, 2))
        theta = landscape(2, random)(points)
        found = utility(points, NUMBERS, votes_on(theta, 60, random))
        for number in range(1, 16):
            gap = theta[number] - theta[0]
            weight = 2 * math.cosh(gap / 2) + 0.5
            rate = found.win_rate(number, 0)
            assert rate.low <= rate.rate <= rate.high
            held.append(rate.low <= (math.exp(gap / 2) + 0.25) / weight <= rate.high)
    assert np.mean(held) >= 0.85


def test_draws_of_what_nobody_has_seen_are_as_the_posterior_of_what_they_have() -> None:
    points = np.random.default_rng(2).random((5, 2))
    found = utility(points, NUMBERS, [Comparison(0, other, "first") for other in (1, 2, 3)] * 3)
    smooth = Hyperparameters(found.parameters.lengths, found.parameters.scale, own=-20.0)
    votes = [Comparison(0, other, "first") for other in (1, 2, 3)] * 3
    said = Utility(fit(5, votes, prior_of(points, NUMBERS, smooth)), smooth)
    random = np.random.default_rng(3)
    draws = np.array([draw(points, NUMBERS, said, points, random) for _ in range(4_000)])
    assert np.allclose(draws.mean(axis=0), said.posterior.mean, atol=0.05)
    assert np.allclose(np.cov(draws.T), said.posterior.covariance, atol=0.06)
    far = np.array([[30.0, 30.0]])
    away = np.array([draw(points, NUMBERS, said, far, random)[0] for _ in range(4_000)])
    assert abs(away.mean()) < 0.05
    assert away.var() == pytest.approx(math.exp(smooth.scale), rel=0.1)


def test_of_24_sets_120_votes_name_one_that_is_hardly_worse_than_the_best() -> None:
    found = [regrets(24, (120,), seed, duel=True)[0] for seed in range(24)]
    assert np.mean(found) <= 0.2
