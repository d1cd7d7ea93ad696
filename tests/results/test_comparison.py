"""Runs held against each other, and against what they may lose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from results_kit import search_of, trial_of

from pixaris.exceptions import ConfigurationError
from pixaris.files import write_json, write_json_lines
from pixaris.results.comparison.compare import compare
from pixaris.results.comparison.gate import (
    EXIT_CODES,
    check_baseline,
    gate,
    junit,
    outcome_of,
    read_limits,
)
from pixaris.results.comparison.scored import ScoredRun, read_run
from pixaris.results.paths import SearchPaths

NAMES = tuple("abcdefgh")


def run_of(name: str, changes: list[float], *, metric: str = "ssim", direction: str = "max") -> ScoredRun:
    """A run whose items score 0.5, 0.6, … and these changes."""
    scores = {item: 0.5 + number / 10 + changes[number] for number, item in enumerate(NAMES)}
    return ScoredRun(name, {metric: scores}, NAMES, {metric: direction})  # type: ignore[dict-item]


SAME = run_of("before", [0.0] * 8)
WORSE = run_of("after", [-0.05, -0.06, -0.04, -0.05, -0.05, -0.06, -0.04, -0.05])


def test_a_comparison_tells_the_parameters_that_differ_and_the_worst_items_first() -> None:
    before = replace(SAME, values={"cfg": 7.0, "steps": 20})
    after = replace(WORSE, values={"cfg": 8.0, "steps": 20, "mode": "b"})
    (found,) = compare(before, [after])
    assert found.values == {"cfg": (7.0, 8.0), "mode": (None, "b")}
    (change,) = found.scores
    assert change.difference.mean == pytest.approx(-0.05)
    assert change.p == change.difference.p == 2 / 256
    assert change.is_evident
    assert not change.is_better
    assert {name for name, _ in change.worst(2)} == {"b", "f"}


def test_where_less_is_better_a_rise_is_a_loss() -> None:
    before = run_of("before", [0.0] * 8, metric="lpips", direction="min")
    after = run_of("after", [0.1, -0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2], metric="lpips", direction="min")
    (change,) = compare(before, [after])[0].scores
    assert change.worst(1)[0][0] == "h"
    assert all(name != "b" for name, _ in change.worst(8))
    assert not change.is_better


def test_several_comparisons_pay_for_their_number() -> None:
    once, twice = compare(SAME, [WORSE]), compare(SAME, [WORSE, WORSE])
    assert twice[0].scores[0].p == 2 * once[0].scores[0].p


def test_items_that_only_one_run_has_or_that_have_other_images_are_told() -> None:
    before = replace(SAME, eval_set={name: {"Input": "1"} for name in NAMES})
    after = replace(
        WORSE, items=NAMES[:6], eval_set={name: {"Input": "2" if name == "c" else "1"} for name in NAMES[:6]}
    )
    assert compare(before, [after])[0].problems == (
        "1 item of the same name has other images: c",
        "left out, because only one of them has it: 2 items",
    )


@pytest.mark.parametrize(
    ("changes", "limit", "outcome"),
    [
        ([0.0] * 8, 0.0, "passed"),
        ([-0.05, -0.06, -0.04, -0.05, -0.05, -0.06, -0.04, -0.05], 0.1, "passed"),
        ([-0.05, -0.06, -0.04, -0.05, -0.05, -0.06, -0.04, -0.05], 0.01, "worse"),
        ([0.05, -0.06, 0.04, -0.05, 0.05, -0.06, 0.04, -0.05], 0.01, "undecided"),
        ([0.05, 0.06, 0.04, 0.05, 0.05, 0.06, 0.04, 0.05], 0.0, "passed"),
    ],
)
def test_a_run_passes_if_it_is_sure_to_be_within_its_limit(
    changes: list[float], limit: float, outcome: str
) -> None:
    for direction, sign in (("max", 1.0), ("min", -1.0)):
        before = run_of("before", [0.0] * 8, direction=direction)
        after = run_of("after", [sign * change for change in changes], direction=direction)
        (found,) = gate(before, after, {"ssim": limit})
        assert found.outcome == outcome, found.sentence


def test_an_item_that_has_no_score_any_more_is_worse_and_few_items_are_undecided() -> None:
    scores = {name: score for name, score in SAME.scores["ssim"].items() if name != "c"}
    (found,) = gate(SAME, replace(SAME, scores={"ssim": scores}), {"ssim": 0.1})
    assert (found.outcome, found.sentence) == ("worse", "1 item without a score now: c")
    few = {name: SAME.scores["ssim"][name] for name in NAMES[:4]}
    changed = {name: score + 0.1 for name, score in few.items()}
    before, after = replace(SAME, scores={"ssim": few}), replace(SAME, scores={"ssim": changed})
    (found,) = gate(before, after, {"ssim": 0.1})
    assert found.outcome == "undecided"
    assert "too few to be sure, it takes 6" in found.sentence
    assert gate(before, before, {"ssim": 0.0})[0].outcome == "passed"


def test_the_worst_outcome_counts_and_junit_says_which() -> None:
    results = [
        *gate(SAME, SAME, {"ssim": 0.0}),
        *gate(SAME, WORSE, {"ssim": 0.01}),
        *gate(SAME, run_of("x", [0.1, -0.1] * 4), {"ssim": 0.0}),
    ]
    assert outcome_of(results) == "worse"
    assert outcome_of([results[0], results[2]]) == "undecided"
    assert outcome_of(results[:1]) == "passed"
    assert EXIT_CODES == {"passed": 0, "worse": 1, "undecided": 4}
    suite = ElementTree.fromstring(junit(results))
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    allowed = ElementTree.fromstring(junit(results, allow_undecided=True))
    assert allowed.get("failures") == "1"
    assert [child.tag for case in allowed for child in case] == ["system-out", "failure", "skipped"]


def test_limits_are_read_and_all_that_is_wrong_is_told() -> None:
    assert read_limits(["ssim=0.01", "lpips=0"]) == {"ssim": 0.01, "lpips": 0.0}
    with pytest.raises(ConfigurationError) as error:
        read_limits(["ssim", "psnr=-1", "mae=x", "iou=nan"])
    assert len(error.value.problems) == 4


def test_another_eval_set_or_an_unknown_score_is_refused_before_anything_runs() -> None:
    baseline = replace(SAME, eval_set={"a": {"Input": "1"}, "b": {"Input": "2"}})
    check_baseline(baseline, {"a": {"Input": "1"}, "b": {"Input": "2"}}, {"ssim": 0.1})
    with pytest.raises(ConfigurationError) as error:
        check_baseline(baseline, {"a": {"Input": "9"}, "c": {"Input": "2"}}, {"ssmi": 0.1})
    told = str(error.value)
    for words in ("1 new items (c)", "items that are gone (b)", "other images (a)", "did you mean 'ssim'"):
        assert words in told


def test_a_baseline_is_kept_without_images_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    kept = replace(
        WORSE, eval_set={"a": {"Input": "1"}}, workflow="abc", values={"cfg": 7.0}, folder=tmp_path / "run"
    )
    kept.save(file)
    assert read_run(tmp_path, str(file)) == replace(kept, folder=None)
    file.write_text(json.dumps({"pixaris": "baseline", "name": 3}))
    with pytest.raises(ConfigurationError, match="damaged baseline"):
        read_run(tmp_path, str(file))
    file.write_text("{}")
    with pytest.raises(ConfigurationError, match="is no baseline; pixaris gate FILE --save"):
        read_run(tmp_path, str(file))


def test_a_reference_is_a_search_s_winner_a_trial_or_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "look"
    search = search_of(
        trial_of(0, {"cfg": 1.0}, (0.1, 0.2)), trial_of(1, {"cfg": 2.0}, (0.3, 0.4)), folder=folder
    )
    write_json(SearchPaths(folder).head, {**search.head(), "items": ["a", "b"]})
    write_json_lines(SearchPaths(folder).trials, (trial.as_dict() for trial in search.trials))
    for trial in search.trials:
        _write_run(folder / trial.name, search="look", values=dict(trial.values), scores=trial.item_scores)
    _write_run(tmp_path / "tests" / "photos" / "nightly", search="", values={}, scores=(0.5, None))
    assert read_run(tmp_path, "look").name == "look/trial_0001 (the winner, picked from 1)"
    assert read_run(tmp_path, "look/0").scores == {"ssim": {"a": 0.1, "b": 0.2}}
    assert read_run(tmp_path, "tests/look/trial_0001").values == {"cfg": 2.0}
    assert read_run(tmp_path, str(folder / "trial_0000")).values == {"cfg": 1.0}
    assert read_run(tmp_path, "nightly").scores == {"ssim": {"a": 0.5}}
    assert read_run(tmp_path, str(tmp_path / "tests" / "photos" / "nightly")).name == "nightly"
    with pytest.raises(ConfigurationError, match="did you mean 'look'"):
        read_run(tmp_path, "lok")


def _write_run(
    folder: Path, *, search: str, values: dict[str, object], scores: tuple[float | None, ...]
) -> None:
    metrics = {"ssim": {"mean": 0.5, "std": 0.1, "count": 2, "direction": "max"}}
    record = {"name": folder.name, "search": search, "values": values, "metrics": metrics}
    write_json(folder / "run.json", record)
    rows = [
        {"name": name, "scores": {} if score is None else {"ssim": score}}
        for name, score in zip("ab", scores, strict=True)
    ]
    write_json_lines(folder / "items.jsonl", rows)
