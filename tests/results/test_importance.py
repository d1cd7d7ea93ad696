"""How much each parameter matters, by fANOVA."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from results_kit import search_of, trial_of

from pixaris.exceptions import ConfigurationError
from pixaris.results.importance import _shares, importances
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.types import ParamValue


def samples(
    score: Callable[[Mapping[str, Any]], float], count: int = 80
) -> list[tuple[dict[str, ParamValue], float]]:
    draw = random.Random(3)
    sets: list[dict[str, ParamValue]] = [
        {
            "a": draw.random(),
            "b": draw.random(),
            "mode": draw.choice(["x", "y"]),
            "tiny": 10 ** draw.uniform(-6, 0),
            "same": 7,
        }
        for _ in range(count)
    ]
    return [(values, score(values)) for values in sets]


def test_shares_are_those_of_the_variance() -> None:
    rows = samples(lambda v: 3 * v["a"] + v["b"], 90)
    found = importances(rows)
    assert list(found)[:2] == ["a", "b"]
    assert found["a"] == pytest.approx(0.9, abs=0.05)  # a variance nine times b's
    assert sum(found.values()) == pytest.approx(1.0)
    assert "same" not in found
    assert all(type(share) is float for share in found.values())
    _shares.cache_clear()
    assert found == importances(rows)


def test_whoever_asks_again_gets_the_same_without_reckoning() -> None:
    rows = samples(lambda v: 3 * v["a"] + v["b"], 12)
    importances(rows)
    before = _shares.cache_info()
    assert importances(list(rows)) == importances(rows)
    assert _shares.cache_info().hits == before.hits + 2
    importances([*rows[:-1], (rows[-1][0], 0.5)])
    assert _shares.cache_info().misses == before.misses + 1


def test_words_and_logarithmic_numbers_matter_too() -> None:
    assert next(iter(importances(samples(lambda v: v["mode"] == "y")))) == "mode"
    small = samples(lambda v: float(v["tiny"] > 1e-3) + v["b"])
    assert importances(small, {"tiny"})["tiny"] > 0.5
    assert importances(small)["tiny"] < 0.5  # on a linear scale nearly all values are above


def test_a_condition_s_parameter_matters_where_it_counts() -> None:
    rows = [
        (
            values
            if values["mode"] == "y"
            else {name: value for name, value in values.items() if name != "a"},
            score,
        )
        for values, score in samples(lambda v: v["a"] if v["mode"] == "y" else 0.5)
    ]
    assert next(iter(importances(rows))) == "a"


def test_equal_scores_are_explained_by_nothing() -> None:
    assert set(importances(samples(lambda v: 0.5)).values()) == {0.0}


def test_differences_of_any_size_are_explained() -> None:
    assert next(iter(importances(samples(lambda v: 1e-12 * v["a"])))) == "a"


@pytest.mark.parametrize(
    "large", [lambda a: 2**63 + int(a * 10_000), lambda a: (a - 0.5) * 1.5e308 * 2], ids=["seeds", "floats"]
)
def test_numbers_of_any_size_are_told_apart(large: Callable[[float], float]) -> None:
    rows = [
        ({**values, "a": large(float(values["a"]))}, score) for values, score in samples(lambda v: v["a"], 20)
    ]
    assert next(iter(importances(rows))) == "a"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (samples(lambda v: v["a"], 4), r"needs at least 5 comparable trials \(4 so far\)"),
        ([({"a": 1}, float(score)) for score in range(6)], "a parameter that varies"),
    ],
)
def test_what_cannot_be_told_is_said(rows: list[tuple[dict[str, ParamValue], float]], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        importances(rows)


def search(folder: Path, stopped: bool) -> SearchResult:
    """Forty trials of which the score is a; the third item is hard, and half of the trials may end before
    it.
    """
    draw, items = random.Random(1), (0.0, 0.1, -8.0)
    trials = [trial_of(0, {"a": 99.0, "b": 0.5}, items, ssim=-2.6, other=0.0)]
    for number in range(1, 41):
        values = {"a": draw.random(), "b": number % 2 / 2}
        scores: list[float | None] = [values["a"] + item for item in items]
        if stopped and number % 2:
            scores[2] = None
        known = [score for score in scores if score is not None]
        mean = sum(known) / len(known)
        trials.append(trial_of(number, values, tuple(scores), ssim=mean, other=-values["a"]))
    return search_of(*trials, folder=folder, items=("1", "2", "3"))


def test_a_stopped_trial_counts_by_its_difference_to_the_baseline_over_the_items_that_both_have(
    tmp_path: Path,
) -> None:
    assert (
        search(tmp_path, stopped=True).importance()["a"] > 0.95
    )  # b decides who is stopped, and means over easy items are higher


def test_every_score_has_an_importance_of_its_own(tmp_path: Path) -> None:
    result = search(tmp_path, stopped=True)
    assert next(iter(result.importance("other"))) == "a"
    assert "b" not in result.importance("other")  # among the whole trials it is the same everywhere
    with pytest.raises(ConfigurationError, match="did you mean 'other'"):
        result.importance("othr")


def test_the_space_s_logarithms_are_taken_from_what_the_search_keeps(tmp_path: Path) -> None:
    scored = samples(lambda v: float(v["tiny"] > 1e-3) + v["b"])
    trials = [
        trial_of(n, {"tiny": values["tiny"], "b": values["b"]}, (score,), m=score)
        for n, (values, score) in enumerate(scored, 1)
    ]
    result = search_of(*trials, folder=tmp_path, objectives=(Objective("m", "max"),))
    assert result.importance()["tiny"] < 0.5
    SearchPaths(tmp_path).manifest.write_text(
        json.dumps({"space": {"tiny": {"loguniform": [1e-6, 1]}, "b": {"uniform": [0, 1]}}})
    )
    assert result.importance()["tiny"] > 0.5
