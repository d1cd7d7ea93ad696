"""What a search says in the end."""

from __future__ import annotations

import numpy as np
import pytest
from results_kit import search_of, trial_of

from pixaris.results.objective import Objective
from pixaris.results.records import SearchResult
from pixaris.results.verdict import verdict_of

ITEMS = tuple(f"item {number}" for number in range(12))


def search(
    gains: list[float], noise: float = 0.01, *, items: int = 12, direction: str = "max"
) -> SearchResult:
    """Sets with these gains over the baseline, which is the first; every score has its own noise."""
    rng = np.random.default_rng(len(gains))
    sign = 1.0 if direction == "max" else -1.0
    easy = rng.normal(0.5, 0.1, items)
    trials = [
        trial_of(number, {"cfg": float(number)}, tuple(easy + sign * gain + rng.normal(0.0, noise, items)))
        for number, gain in enumerate([0.0, *gains])
    ]
    objectives = (Objective("ssim", "max"),) if direction == "max" else (Objective("lpips", "min"),)
    return search_of(*trials, objectives=objectives, items=ITEMS[:items])


def test_a_clear_win_is_called_better_with_both_numbers_and_how_many_it_was_picked_from() -> None:
    found = search([0.01, 0.02, 0.10, 0.03]).verdict()
    assert found.kind == "better"
    assert (found.winner, found.picked_from, found.tied) == (3, 4, ())
    assert found.sentence.startswith("trial_0003 is better than the baseline: measured ssim +0.1")
    assert "on these 12 items, picked from 4 and so too good; expect about +0." in found.sentence
    assert found.sentence.endswith("on images like these.")
    assert found.measured is not None
    assert found.expected is not None
    assert found.expected.excludes(0.0)


def test_where_less_is_better_a_gain_is_negative_and_called_better_all_the_same() -> None:
    found = search([0.01, 0.02, 0.10, 0.03], direction="min").verdict()
    assert found.kind == "better"
    assert "measured lpips -0.09" in found.sentence
    assert found.expected is not None
    assert found.expected.high is not None
    assert found.expected.high < 0.0


def test_where_nothing_differs_there_is_no_evidence_and_the_sets_are_tied() -> None:
    found = search([0.0] * 25).verdict()
    assert found.kind == "no evidence"
    assert found.sentence.startswith(f"No evidence of a difference between trial_{found.winner:04d} and the")
    assert "picked from 25" in found.sentence
    assert len(found.tied) > 18, "some of them are told from the luckiest one"
    count = len(found.tied)
    assert any(f"and {count - 3} more: any of the {count + 1}" in line for line in found.lines)


def test_a_baseline_that_won_is_said_with_the_set_that_comes_closest() -> None:
    found = search([-0.1, -0.05, -0.2]).verdict()
    assert (found.kind, found.winner, found.picked_from) == ("baseline", 0, 3)
    assert found.sentence.startswith("No set beats the baseline")
    assert found.lines[0].startswith("trial_0002 comes closest: ssim -0.0")


def test_too_few_items_and_scores_of_a_whole_run_give_no_interval_and_no_claim() -> None:
    found = search([0.1, 0.2], items=5).verdict()
    assert found.kind == "too few items"
    assert "5 common items cannot tell whether it is better: that takes 6" in found.sentence
    whole = search_of(trial_of(0, {}, (0.1,), items=12), trial_of(1, {}, (0.9,), items=12), items=ITEMS)
    assert whole.verdict().kind == "too few items"


def test_without_a_baseline_s_score_or_any_score_that_is_said() -> None:
    failed = trial_of(0, {}, (None,) * 12, status="failed", items=12)
    assert search_of(failed, trial_of(1, {}, (0.5,) * 12), items=ITEMS).verdict().kind == "no baseline"
    assert verdict_of(search_of(failed, items=ITEMS)).kind == "no score"


@pytest.mark.parametrize("sets", [5, 25])
def test_where_no_set_differs_at_most_one_search_of_twenty_claims_an_improvement(sets: int) -> None:
    rng = np.random.default_rng(sets)
    kinds = []
    for _ in range(120):
        scores = rng.normal(0.5, 0.1, (sets + 1, 8)) + rng.normal(0.0, 0.1, 8)
        result = search_of(
            *(trial_of(number, {}, tuple(row)) for number, row in enumerate(scores)), items=ITEMS[:8]
        )
        kinds.append(result.verdict().kind)
    assert kinds.count("better") <= 0.05 * 120 + 3, "and three standard errors are seven"
