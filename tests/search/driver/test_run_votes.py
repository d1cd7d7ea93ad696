"""Searches that votes steer, whole ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from steering_kit import BASELINE, ITEMS, KEY, raters, search

from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.files import read_json_lines
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.paths import SearchPaths
from pixaris.search import SearchResult

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
