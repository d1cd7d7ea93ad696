"""Trials are compared item by item, over the items that both have."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from results_kit import search_of, trial_of

from pixaris.results.evidence.guardrails import Guardrail
from pixaris.results.ranking import FailurePolicy, Failures, Row, Rules, ranked
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult

SCORES = st.lists(st.none() | st.floats(0.0, 1.0, width=16), min_size=6, max_size=6)


def order(
    *scores: list[float | None],
    direction: str = "max",
    items: int = 8,
    policy: FailurePolicy = "skip",
    bound: float | None = None,
) -> list[int]:
    rows = [Row(number, row, len(row)) for number, row in enumerate(scores)]
    return ranked(rows, Rules(direction, items, Failures(policy, bound)))  # type: ignore[arg-type]


def test_one_failed_image_does_not_lose_the_win() -> None:
    almost: list[float | None] = [0.9] * 7 + [None]
    assert order([0.5] * 8, almost) == [1, 0]
    assert order([5.0] * 8, [9.0] * 7 + [None], direction="min") == [0, 1]


def test_a_failure_on_the_hardest_item_does_not_win_either() -> None:
    easy: list[float | None] = [0.9] * 4 + [0.1] * 4
    skipped: list[float | None] = [0.89] * 4 + [None] * 4
    assert order(easy, skipped) == [0, 1], "0.89 is a mean over easy items only"


def test_the_worst_counts_where_that_is_wished() -> None:
    almost: list[float | None] = [0.9] * 7 + [None]
    assert order([0.8] * 8, almost, policy="worst", bound=0.0) == [0, 1]
    assert order([0.7] * 8, almost, policy="worst", bound=0.0) == [1, 0]
    assert order([0.8] * 8, almost, policy="worst") == [1, 0], "the worst that any trial has for that item"
    assert order([8.0] * 8, [7.0] * 7 + [None], policy="worst", bound=100.0, direction="min") == [0, 1]


def test_a_set_with_a_score_for_under_half_of_the_items_cannot_win() -> None:
    lucky: list[float | None] = [1.0] * 3 + [None] * 5
    enough: list[float | None] = [1.0] * 4 + [None] * 4
    assert order([0.5] * 8, lucky) == [0, 1]
    assert order([0.5] * 8, enough) == [1, 0]
    result = search_of(trial_of(0, {}, (0.5,) * 8, items=8), trial_of(1, {}, tuple(lucky), items=8))
    assert [trial.number for trial in result.thin()] == [1]


def test_stopped_sets_come_after_those_that_went_through() -> None:
    assert order([0.5] * 8, [0.9] * 6, [0.1] * 7, [0.4] * 8) == [0, 3, 2, 1]


@given(st.lists(SCORES, min_size=1, max_size=7), st.sampled_from(["max", "min"]))
def test_every_set_with_a_score_is_ranked_once_and_complete_ones_by_their_means(
    scores: list[list[float | None]], direction: str
) -> None:
    found = order(*scores, items=6, direction=direction)
    assert sorted(found) == [n for n, row in enumerate(scores) if any(score is not None for score in row)]
    complete = [n for n in found if None not in scores[n]]
    means = [sum(score or 0.0 for score in scores[n]) / 6 for n in complete]
    if len(complete) == len(scores):
        pairs = itertools.pairwise(means)
        sign = 1.0 if direction == "max" else -1.0
        assert all(sign * (a - b) >= -1e-9 for a, b in pairs)


@pytest.mark.parametrize("policy", ["skip", "worst"])
def test_what_becomes_of_failures_is_kept_with_the_search(policy: FailurePolicy, tmp_path: Path) -> None:
    from pixaris.files import write_json
    from pixaris.results.paths import SearchPaths

    result = search_of(trial_of(0, {}, (0.5,)), folder=tmp_path, failures=Failures(policy, 0.0))
    write_json(SearchPaths(tmp_path).head, {**result.head(), "items": ["a"]})
    assert SearchResult.load(tmp_path).failures == Failures(policy, 0.0)


def test_a_result_is_shown_in_one_line() -> None:
    result = search_of(trial_of(0, {"x": 1}, (0.5, 0.5)), trial_of(1, {"x": 2 / 3}, (0.9, 0.7)))
    best = "<trial_0001 finished, objective=0.8000 on 2 items, x=0.6667>"
    assert repr(result) == f"<search 'restore' finished, 2 trials, best {best}>"
    assert repr(search_of()) == "<search 'restore' finished, 0 trials, no scores>"


def test_a_set_that_breaks_a_guardrail_cannot_win() -> None:
    def trial(number: int, ssim: float, psnr: float) -> TrialResult:
        made = trial_of(number, {}, (ssim,) * 4, ssim=ssim, psnr=psnr)
        report = replace(made.report, item_scores={"psnr": dict.fromkeys(range(4), psnr)})
        return replace(made, report=report)

    found = search_of(trial(0, 0.5, 30.0), trial(1, 0.9, 29.0), trial(2, 0.8, 29.6))
    assert found.ranking()[0].number == 1
    guarded = replace(found, guardrails=(Guardrail("psnr", "max", 0.5),))
    assert [one.number for one in guarded.ranking()] == [2, 0, 1]
    assert guarded.broken(guarded.trials[1]) == ("its psnr is worse than the baseline's by 1; 0.5 is allowed")
    assert not guarded.broken(guarded.trials[2])
    better_when_low = replace(found, guardrails=(Guardrail("psnr", "min", 0.5),))
    assert not better_when_low.broken(guarded.trials[1])
    assert '"guardrails"' in json.dumps(guarded.head())
