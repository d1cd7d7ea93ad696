"""The winner's gain without the luck of having been picked."""

from __future__ import annotations

import numpy as np
import pytest

from pixaris.statistics.intervals import student_interval
from pixaris.statistics.shrinkage import shrunk_gain


def test_with_one_set_it_is_the_paired_t_interval() -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        scores = rng.normal(0.5, 0.1, (2, 10))
        found = shrunk_gain(scores, winner=1, baseline=0)
        assert found is not None
        assert (found.low, found.high) == pytest.approx(student_interval((scores[1] - scores[0]).tolist()))


def test_sets_that_differ_much_are_not_pulled_and_those_that_do_not_are_pulled_to_their_mean() -> None:
    rng = np.random.default_rng(2)
    noise = rng.normal(0.0, 0.01, (21, 12))
    apart = shrunk_gain(noise + np.arange(21.0)[:, None], winner=20, baseline=0)
    assert apart is not None
    assert apart.mean == pytest.approx(20.0, abs=0.03)
    best = 1 + int(noise[1:].mean(axis=1).argmax())
    alike = shrunk_gain(noise, winner=best, baseline=0)
    measured = float((noise[best] - noise[0]).mean())
    overall = float(noise[1:].mean() - noise[0].mean())
    assert alike is not None
    assert abs(alike.mean - overall) < 0.5 * abs(measured - overall)


def test_the_scale_and_the_items_own_levels_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(0.0, 1.0, (9, 8)) + rng.normal(0.0, 1.0, (9, 1))
    scores[4, 5:] = np.nan
    found = shrunk_gain(scores, winner=3, baseline=0)
    moved = shrunk_gain(10.0 * scores + np.arange(8.0), winner=3, baseline=0)
    assert found is not None
    assert moved is not None
    assert (moved.mean, moved.low) == pytest.approx((10.0 * found.mean, 10.0 * (found.low or 0.0)))


def test_nothing_is_said_where_noise_and_differences_cannot_be_told_apart() -> None:
    assert shrunk_gain([[0.1], [0.2], [0.3]], winner=2, baseline=0) is None
    nothing_shared = [[0.1, 0.2, np.nan, np.nan], [np.nan, np.nan, 0.3, 0.4]]
    assert shrunk_gain(nothing_shared, winner=1, baseline=0) is None


@pytest.mark.parametrize(
    ("sets", "searches", "error"),
    [(4, 400, 0.06), (32, 250, 0.07), pytest.param(200, 60, 0.16, marks=pytest.mark.slow)],
)
def test_it_is_unbiased_and_covers_on_whole_grids(sets: int, searches: int, error: float) -> None:
    """Bias in standard deviations of the sets; ``error`` is its standard error here, and a bit."""
    rng = np.random.default_rng(sets)
    misses, covered = [], []
    for _ in range(searches):
        true = rng.normal(0.0, 0.1, sets + 1)
        true[0] = 0.0
        scores = true[:, None] + rng.normal(0.0, 0.32, (sets + 1, 12)) + rng.normal(0.0, 0.3, 12)
        winner = 1 + int(scores[1:].mean(axis=1).argmax())
        found = shrunk_gain(scores, winner, 0)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        misses.append((found.mean - true[winner]) / 0.1)
        covered.append(found.low <= true[winner] <= found.high)
    assert abs(np.mean(misses)) <= 0.1 + error
    assert 0.90 <= np.mean(covered) <= 0.99


@pytest.mark.parametrize("noise", ["normal", "uneven baseline"])
def test_where_no_set_differs_an_improvement_is_claimed_in_at_most_one_search_of_twenty(noise: str) -> None:
    rng = np.random.default_rng(4)
    claims = 0
    for _ in range(500):
        scores = rng.normal(0.0, 0.1, (26, 12))
        if noise == "uneven baseline":
            scores[0] *= 5.0
        winner = 1 + int(scores[1:].mean(axis=1).argmax())
        found = shrunk_gain(scores, winner, 0)
        assert found is not None
        assert found.low is not None
        claims += found.low > 0.0
    assert claims <= 0.05 * 500
