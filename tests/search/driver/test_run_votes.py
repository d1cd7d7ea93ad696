"""Searches that votes steer, whole ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from steering_kit import BASELINE, ITEMS, KEY, Redness, raters, search

from pixaris.exceptions import ConfigurationError
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.files import read_json_lines
from pixaris.metrics.votes import VotesMetric
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult
from pixaris.search.driver.start import rechecked

pytestmark = pytest.mark.usefixtures("ray_session")


def test_votes_lead_a_search_to_what_people_prefer(tmp_path: Path) -> None:
    with raters(tmp_path) as count:
        result = search(tmp_path).run()
    assert result.status == "finished"
    assert len(result.trials) == 13
    assert result.baseline is not None
    assert result.baseline.objective == 0.5
    best = result.best
    assert best is not None
    assert abs(float(best.values["x"]) - 0.3) < 0.2 < BASELINE - 0.3
    said = read_preferences(SearchPaths(result.folder))
    assert said is not None
    assert 36 <= said.votes <= count()
    preferred = said.of(best.number)
    assert preferred is not None
    assert preferred.low > 0.5
    assert best.objective == preferred.rate == best.scores["preference"]
    iteration = LocalFeedbackHandler(tmp_path).load(KEY)
    assert len(iteration.images) == 13 * ITEMS
    assert iteration.directions == {"redness": "max"}
    assert len(read_json_lines(tmp_path / "made.jsonl")) == 13 * ITEMS
    assert SearchResult.load(result.folder).best == best
    with pytest.raises(ConfigurationError, match="votes are no score that a re-check could measure"):
        rechecked(search(tmp_path).check(), result)
    verdict = result.verdict()
    assert verdict.kind == "better"
    assert verdict.winner == best.number
    assert re.match(
        rf"People prefer {best.name} to the baseline \d+% of the time \(95 % int", verdict.sentence
    )
    assert f"after {said.votes:,} votes of 1 person" in verdict.sentence


def test_an_iteration_of_another_search_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with raters(tmp_path):
        search(tmp_path, num_samples=2, metrics=[VotesMetric("looks", votes=2)]).run()
    made = len(read_json_lines(tmp_path / "made.jsonl"))
    with pytest.raises(ConfigurationError, match="a feedback iteration 'looks' already") as caught:
        search(tmp_path, name="other").run()
    assert "with images of gray" in str(caught.value)
    with pytest.raises(ConfigurationError, match="or go on with its search"):
        search(tmp_path).run()
    assert len(read_json_lines(tmp_path / "made.jsonl")) == made
    assert not (tmp_path / "tests" / "gray-2").exists()


def test_a_budget_of_images_ends_the_sets_and_of_few_sets_not_more_is_asked_than_can_be(
    tmp_path: Path,
) -> None:
    few = {"metrics": [VotesMetric("looks", votes=40, sets_per_round=2), Redness()], "num_samples": 8}
    with raters(tmp_path):
        result = search(tmp_path, **few, budget={"images": 3 * ITEMS}).run()
    assert result.status == "stopped"
    assert "images" in result.reason
    assert len(result.trials) == 3
    said = read_preferences(SearchPaths(result.folder))
    assert said is not None
    assert said.votes >= 3 * ITEMS, "three pairs of each item"
