"""A search that votes steer, kept in a bucket, goes on on another machine: its votes are where both reach
them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gcs_stand_in import BucketServer
from gcs_stand_in import server as server  # the fixture
from steering_kit import KEY, Painter, raters, search

from pixaris.exceptions import ConfigurationError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.files import read_json_lines
from pixaris.metrics.votes import VotesMetric
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.paths import SearchPaths
from pixaris.search import Search

pytest.importorskip("google.cloud.storage")
pytestmark = pytest.mark.usefixtures("ray_session")

STORAGE = "gs://pixels/team"


class TeamFeedback(LocalFeedbackHandler):
    """Keeps votes in a folder that all machines share."""

    is_local = False


def in_bucket(results: Path, team: Path, votes: int) -> Search:
    """The search on a machine whose results folder this is."""
    return search(
        results,
        image_generator=Painter(team / "made.jsonl"),
        experiment_handler=LocalExperimentHandler(results),
        feedback_handler=TeamFeedback(team),
        metrics=[VotesMetric("looks", votes=votes, sets_per_round=2)],
        num_samples=4,
        storage=STORAGE,
    )


def test_it_goes_on_on_another_machine_with_the_votes_that_there_are(
    server: BucketServer, tmp_path: Path
) -> None:
    here, there, team = tmp_path / "here", tmp_path / "there", tmp_path / "team"
    with raters(team) as count:
        first = in_bucket(here, team, votes=8).run()
        assert first.status == "finished"
        before = count()
        shutil.rmtree(here)  # the first machine is gone
        result = in_bucket(there, team, votes=16).run(resume=True)
    assert result.status == "finished"
    assert result.folder == there / "tests" / "gray"
    assert len(result.trials) == 5
    assert len(read_json_lines(team / "made.jsonl")) == 5 * 3, "nothing is made twice"
    said = read_preferences(SearchPaths(result.folder))
    assert said is not None
    assert said.votes >= 16 > before >= 8
    kept = {name.removeprefix("team/tests/gray/") for name in server.buckets["pixels"]}
    assert {"search.json", "votes.json", "trial_0004/run.json"} <= kept
    head = json.loads(server.buckets["pixels"]["team/tests/gray/search.json"].data)
    assert head["status"] == "finished"
    assert TeamFeedback(team).load(KEY).runs[0].startswith("gray/")


def test_votes_that_one_machine_alone_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keeps its votes on this machine, where no other") as told:
        search(tmp_path, storage=STORAGE).run()
    assert "configure gcp_bq_feedback_table" in str(told.value)
