"""What a search says in the end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_kit import search_of, trial_of

from pixaris.results.manifest import write_manifest
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths
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


def test_of_a_search_that_was_interrupted_sets_without_all_images_are_not_said_to_have_lost() -> None:
    found = search([-0.1, 0.2, 0.1])
    cut = [replace(trial, item_scores=trial.item_scores[:3] + (None,) * 9) for trial in found.trials[2:]]
    cut = [replace(trial, status="interrupted", report=replace(trial.report, items=3)) for trial in cut]
    verdict = replace(found, trials=(*found.trials[:2], *cut)).verdict()
    assert (verdict.kind, verdict.winner) == ("baseline", 0)
    assert verdict.sentence == (
        "No set beats the baseline so far: 1 other set did no better than its values, and 2 sets had not had"
        " all of their images."
    )


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


def learned(result: SearchResult, folder: Path) -> SearchResult:
    """The same search, its sets proposed by TPE."""
    write_manifest(SearchPaths(folder), {"algorithm": "tpe"})
    return replace(result, folder=folder)


def test_of_sets_that_a_searcher_chose_the_gain_is_given_only_where_luck_decides_nothing(
    tmp_path: Path,
) -> None:
    spread = [0.01 * number for number in range(20)]
    found = learned(search(spread, 0.005), tmp_path).verdict()
    assert (found.kind, found.expected is None) == ("better", False)
    noisy = search([0.11, 0.12, 0.13, 0.12, 0.11, 0.12], 0.03)
    assert noisy.verdict().expected is not None
    found = learned(noisy, tmp_path).verdict()
    assert (found.kind, found.expected) == ("better", None)
    assert "luck needs a re-check, because the sets were chosen by these same scores" in found.sentence
    found = learned(search([0.07, 0.065, 0.075, 0.065, 0.07, 0.075], 0.06), tmp_path).verdict()
    assert (found.kind, found.expected) == ("needs a re-check", None)
    assert "may be better than the baseline" in found.sentence


SPACE = {
    "cfg": {"node_name": "K", "input": "cfg", "uniform": [0.0, 4.0]},
    "steps": {"node_name": "K", "input": "steps", "lograndint": [4, 41]},
    "mode": {"node_name": "B", "input": "mode", "choice": ["a", "b"]},
}


def advised(result: SearchResult, folder: Path, **manifest: object) -> dict[str, list[str]]:
    """Words of the next steps to their commands."""
    write_manifest(SearchPaths(folder), {"algorithm": "random", "space": SPACE, "file": "s.yaml", **manifest})
    steps = replace(result, folder=folder).verdict().next_steps
    return {step.words: [str(word) for word in step.command] for step in steps}


def test_a_winner_at_the_end_of_a_domain_is_told_with_the_search_that_goes_beyond(tmp_path: Path) -> None:
    result = search([0.01, 0.02, 0.03, 0.10])
    (words, command), *_ = (pair for pair in advised(result, tmp_path).items() if "cfg" in pair[0])
    assert words == "cfg = 4 lies at the upper end of its domain: the best may lie beyond."
    assert command == ["search", "s.yaml", "--set", "parameters.cfg.uniform=[0.0, 8.0]"]
    assert not any("cfg" in words for words in advised(search([0.01, 0.1, 0.03, 0.02]), tmp_path))


@pytest.mark.parametrize(
    ("kind", "domain", "value", "wider"),
    [
        ("uniform", [0.2, 2.0], 2.0, [0.2, 3.8]),
        ("uniform", [0.2, 2.0], 0.25, [0.0, 2.0]),
        ("uniform", [0.0, 1.0], 0.01, None),
        ("uniform", [-1.0, 1.0], -1.0, [-3.0, 1.0]),
        ("uniform", [0.2, 2.0], 1.0, None),
        ("loguniform", [0.01, 1.0], 0.95, [0.01, 10.0]),
        ("loguniform", [0.01, 1.0], 0.0105, [0.001, 1.0]),
        ("quniform", [0.3, 1.0, 0.05], 1.0, [0.3, 1.7, 0.05]),
        ("randint", [1, 6], 5, [1, 10]),
        ("randint", [1, 6], 4, None),
        ("randint", [1, 6], 1, None),
        ("randint", [3, 6], 3, [1, 6]),
        ("lograndint", [4, 41], 40, [4, 410]),
        ("qrandint", [0, 8, 2], 8, [0, 16, 2]),
    ],
)
def test_a_domain_is_widened_where_the_best_value_is_and_stays_one(
    kind: str, domain: list[float], value: float, wider: list[float] | None, tmp_path: Path
) -> None:
    result = search([0.01, 0.02, 0.1])
    winner = replace(result.trials[3], values={"x": value})
    result = replace(result, trials=(*result.trials[:3], winner))
    told = advised(result, tmp_path, space={"x": {"node_name": "N", "input": "x", kind: domain}})
    changes = [command[3] for words, command in told.items() if words.startswith("x = ")]
    if wider is None:
        assert not changes
    else:
        name, _, text = changes[0].partition("=")
        assert name == f"parameters.x.{kind}"
        assert json.loads(text) == pytest.approx(wider)


def test_a_parameter_without_influence_is_told_with_the_search_that_leaves_it_out(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    easy = rng.normal(0.5, 0.1, 12)
    trials = [trial_of(0, {"cfg": 2.0, "noise": 0.5}, tuple(easy))]
    for number in range(1, 60):
        cfg, noise = float(rng.uniform(0.0, 4.0)), float(rng.uniform())
        scores = easy + 0.1 * cfg + rng.normal(0.0, 0.001, 12)
        trials.append(trial_of(number, {"cfg": cfg, "noise": noise}, tuple(scores)))
    told = advised(search_of(*trials, items=ITEMS), tmp_path)
    ((words, command),) = ((words, command) for words, command in told.items() if words.startswith("noise"))
    assert "of what the parameters do: leave it out" in words
    assert command == ["search", "s.yaml", "--set", "parameters.noise=null"]


def test_a_baseline_that_won_sets_that_are_all_tied_and_too_few_items_have_a_next_step(
    tmp_path: Path,
) -> None:
    told = advised(search([-0.1, -0.05, -0.2]), tmp_path, num_samples=3)
    assert ["search", "s.yaml", "--resume", "--num-samples=6"] in told.values()
    exhausted = "Every set of the grid was tried: widen a domain, or vary another input."
    assert advised(search([-0.1, -0.05, -0.2]), tmp_path, algorithm="grid")[exhausted] == []
    workflow = SearchPaths(tmp_path).trial(0).workflow
    workflow.parent.mkdir()
    workflow.write_text("{}")
    told = advised(search([-0.1, -0.05, -0.2]), tmp_path, algorithm="grid")
    assert told[exhausted] == ["space", str(workflow)]
    tied = search([0.0, 0.0, 0.0])
    told = advised(tied, tmp_path)
    (words,) = (words for words in told if words.startswith("All sets are tied: ssim does not see"))
    winner, other = tied.verdict().winner, tied.verdict().tied[0]
    assert told[words] == ["compare", *(str(tmp_path / f"trial_{n:04d}") for n in (winner, other))]
    assert any(words.startswith("Add items") for words in advised(search([0.1], items=4), tmp_path))


def test_a_search_that_was_interrupted_is_gone_on_with_before_anything_else(tmp_path: Path) -> None:
    changes = ["--endpoint", "http://gpu:8188", "--set", "name=other"]
    for found in (search([0.1], items=4), search([-0.1, -0.05, -0.2])):
        told = advised(replace(found, status="interrupted"), tmp_path, changes=changes)
        assert told == {
            "The search has not come to its end; go on with it.": ["search", "s.yaml", *changes, "--resume"]
        }


def test_a_search_that_was_planned_by_its_images_is_begun_anew_with_more(tmp_path: Path) -> None:
    told = advised(search([-0.1, -0.05, -0.2]), tmp_path, guided_images=150)
    assert ["search", "s.yaml", "--set", "budget.images=300"] in told.values()


def test_a_running_search_is_given_no_advice() -> None:
    assert search([0.0, 0.0]).verdict().next_steps
    assert not replace(search([0.0, 0.0]), status="running").verdict().next_steps


def test_sets_that_share_no_item_with_the_winner_are_neither_tied_nor_in_the_way() -> None:
    first, last = (0.5,) * 6 + (None,) * 6, (None,) * 6 + (0.4,) * 6
    trials = [trial_of(0, {}, (0.1, 0.2, 0.15) * 4), trial_of(1, {}, first, items=12)]
    found = search_of(*trials, trial_of(2, {}, last, items=12), items=ITEMS).verdict()
    assert (found.winner, found.tied) == (1, ())


def test_where_no_other_seed_helps_items_are_to_be_held_out(tmp_path: Path) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    noisy = search([0.07, 0.065, 0.075, 0.065, 0.07, 0.075], 0.06)
    ((words, command), *_) = advised(noisy, tmp_path, algorithm="tpe", workflow=graph).items()
    assert words.startswith("Another seed changes nothing here: have 14 items or more")
    assert not command, "of 12 items, 8 cannot be held out"
    enough = replace(noisy, items=tuple(f"item {number}" for number in range(14)))
    ((words, command), *_) = advised(enough, tmp_path, algorithm="tpe", workflow=graph).items()
    assert words.startswith("Another seed changes nothing here: hold items out")
    assert command == ["search", "s.yaml", "--set", "holdout=8"]
    better = search([0.11, 0.12, 0.13, 0.12, 0.11, 0.12], 0.03)
    told = advised(better, tmp_path, algorithm="tpe", workflow=graph)
    assert any("changes nothing" in words for words in told), "its gain is luck in part"
    told = advised(noisy, tmp_path, algorithm="tpe")
    assert ["recheck", str(tmp_path)] in told.values()
