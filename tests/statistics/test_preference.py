"""The model of votes: against another optimiser, and against raters who are simulated."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from pixaris.statistics.preference.davidson import TIES, Answer, Comparison, fit
from pixaris.statistics.preference.duel import least_asked, next_pair
from pixaris.statistics.preference.standing import MANY, Share, standing

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from preference import ARMS, regrets, steered_regret

ANSWERS: list[Answer] = ["first", "second", "tie"]


def some_votes(sets: int, count: int, seed: int = 3) -> list[Comparison]:
    random = np.random.default_rng(seed)
    pairs = list(itertools.combinations(range(sets), 2))
    return [
        Comparison(*pairs[int(random.integers(len(pairs)))], ANSWERS[int(random.integers(3))])
        for _ in range(count)
    ]


def minus_log_posterior(beta: np.ndarray, votes: list[Comparison]) -> float:
    """As the paper writes it, with the prior."""
    theta, nu = beta[:-1], math.exp(beta[-1])
    total = 0.5 * float(theta @ theta) + 0.5 * (beta[-1] - TIES) ** 2
    for vote in votes:
        one, other = math.exp(theta[vote.first]), math.exp(theta[vote.second])
        tie = nu * math.sqrt(one * other)
        total -= math.log({"first": one, "second": other, "tie": tie}[vote.answer] / (one + other + tie))
    return total


def curvature(at: np.ndarray, votes: list[Comparison], step: float = 1e-3) -> np.ndarray:
    """Second derivatives of `minus_log_posterior`, by central differences."""
    moves = np.eye(len(at)) * step
    found = np.zeros((len(at), len(at)))
    for row, one in enumerate(moves):
        for column, other in enumerate(moves):
            near = minus_log_posterior(at + one + other, votes) + minus_log_posterior(at - one - other, votes)
            far = minus_log_posterior(at + one - other, votes) + minus_log_posterior(at - one + other, votes)
            found[row, column] = (near - far) / (4 * step * step)
    return found


def test_the_fit_is_the_maximum_that_another_optimiser_finds() -> None:
    votes = some_votes(5, 60)
    found = minimize(minus_log_posterior, np.zeros(6), (votes,), "BFGS", options={"gtol": 1e-8})
    posterior = fit(5, votes)
    assert np.allclose(posterior.mean, found.x[:5], atol=1e-4)
    assert math.isclose(posterior.ties, math.exp(found.x[5]), rel_tol=1e-4)
    assert np.allclose(posterior.covariance, np.linalg.inv(curvature(found.x, votes))[:5, :5], atol=1e-3)


def test_without_votes_the_prior_comes_back() -> None:
    posterior = fit(3, [])
    assert np.allclose(posterior.mean, 0)
    assert np.allclose(posterior.covariance, np.eye(3))
    assert posterior.wins(0, 1) == pytest.approx(0.5)


def test_a_set_that_always_wins_is_finite_and_first() -> None:
    posterior = fit(2, [Comparison(0, 1, "first")] * 500)
    assert 2 < posterior.mean[0] - posterior.mean[1] < 12
    assert posterior.wins(0, 1) > 0.95


def test_sides_do_not_matter_to_the_model() -> None:
    swap: dict[Answer, Answer] = {"first": "second", "second": "first", "tie": "tie"}
    votes = some_votes(4, 40)
    swapped = [Comparison(vote.second, vote.first, swap[vote.answer]) for vote in votes]
    assert np.allclose(fit(4, votes).mean, fit(4, swapped).mean)


def test_the_first_pairs_connect_all_sets() -> None:
    random = np.random.default_rng(1)
    pairs = list(itertools.combinations(range(6), 2))
    votes: list[Comparison] = []
    for number in range(5):
        pair = next_pair(6, votes, pairs, random)
        assert pair is not None
        seen = {one for vote in votes for one in (vote.first, vote.second)}
        assert len(seen & set(pair)) == (1 if number else 0)
        votes.append(Comparison(*pair, "tie"))


def test_only_pairs_that_may_be_asked_are() -> None:
    random = np.random.default_rng(1)
    votes = some_votes(4, 30)
    assert {next_pair(4, votes, [(1, 3), (0, 2)], random) for _ in range(20)} <= {(1, 3), (0, 2)}
    assert next_pair(4, votes, [], random) is None


def test_where_sets_share_what_votes_say_the_pair_is_asked_about_that_tells_most() -> None:
    random = np.random.default_rng(1)
    prior = np.full((4, 4), 0.9) + 0.1 * np.eye(4)
    prior[3, :] = prior[:, 3] = 0.0
    prior[3, 3] = 1.0
    pairs = list(itertools.combinations(range(4), 2))
    lost = [Comparison(0, 3, "first")] * 12
    asked = [next_pair(4, lost, pairs, random, prior) for _ in range(10)]
    assert all(pair is not None and 3 not in pair for pair in asked), "what is near the winner is as good"
    assert next_pair(4, lost, [(0, 3)], random, prior) == (0, 3)
    assert next_pair(4, lost, [], random, prior) is None


def test_an_item_with_fewer_votes_comes_first() -> None:
    random = np.random.default_rng(1)
    assert least_asked(["a", "b", "c"], {"a": 2, "b": 1, "c": 3}, random) == "b"
    assert {least_asked(["a", "b"], {}, random) for _ in range(30)} == {"a", "b"}


def test_sets_that_cannot_be_told_apart_are_all_first() -> None:
    votes = [Comparison(0, 1, "first"), Comparison(0, 1, "second")] * 5 + [Comparison(0, 2, "first")] * 30
    found = standing(3, votes)
    places = {place.number: place for place in found.places}
    assert places[0].is_first
    assert places[1].is_first
    assert places[2].rank == (2, 3) or places[2].rank == (3, 3)
    assert found.needed > 0


def test_nobody_is_asked_any_more_once_the_best_is_known() -> None:
    votes = [Comparison(0, other, "first") for other in (1, 2)] * 20
    found = standing(3, votes)
    assert found.needed == 0
    assert found.places[0].number == 0
    assert found.places[0].best > 0.95
    assert found.wins[0, 1] == 20
    assert found.wins[1, 0] == 0


def test_equal_sets_need_more_votes_than_anybody_counts() -> None:
    assert standing(2, [Comparison(0, 1, "tie")] * 10).needed == MANY


def test_a_share_of_nothing_is_anything() -> None:
    assert Share(0, 0).share is None
    assert Share(0, 0).interval == (0.0, 1.0)
    low, high = Share(5, 10).interval
    assert (round(low, 3), round(high, 3)) == (0.187, 0.813)


def test_the_duel_finds_better_sets_than_random_pairs() -> None:
    """What raters who are simulated can tell in so few repetitions; `benchmarks/preference.py` has more."""
    duel = np.array([regrets(8, (60,), seed, duel=True)[0] for seed in range(100)])
    chance = np.array([regrets(8, (60,), seed, duel=False)[0] for seed in range(40)])
    assert duel.mean() <= 0.15
    assert duel.mean() < chance.mean()
    assert np.mean(duel == 0) >= 0.68, "0.73 in 5 000 repetitions; 0.8 for who knows the four best beforehand"


@pytest.mark.slow
def test_a_search_that_votes_steer_does_better_than_with_random_pairs() -> None:
    """A small form of the case in `benchmarks/preference.py`."""
    found = {
        arm: np.array([steered_regret(arm, 24, 60, seed) for seed in range(8)])
        for arm in (ARMS[0], ARMS[1], ARMS[3])
    }
    ours = found.pop(ARMS[0])
    for arm, others in found.items():
        assert ours.mean() < 0.8 * others.mean(), arm
