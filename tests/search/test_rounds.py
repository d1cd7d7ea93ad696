"""Waiting for votes between rounds, without anything that makes images."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from search_kit import Made, made_search, noise
from steering_kit import raters, search

from pixaris.exceptions import StorageError
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.files import read_json
from pixaris.metrics.votes import VotesMetric
from pixaris.results.folders import holding
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import SearchProgress, Silent
from pixaris.results.records import SearchResult
from pixaris.search.driver.steering.rounds import Rounds
from pixaris.search.steering.putting_up import Stage
from pixaris.search.steering.steering import Steering


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.phases: list[str] = []

    def event(self, sentence: str) -> None:
        self.events.append(sentence)

    def update(self, progress: SearchProgress) -> None:
        self.phases.append(progress.phase)


class FailedMirror:
    """A bucket in which nothing can be kept any more."""

    failed = StorageError("the search cannot be kept in gs://pixels/team: the bucket is gone")


def run(
    results: Path, listener: Listener, mirror: Any = None, **changes: Any
) -> tuple[SearchResult, list[int]]:
    """Run the rounds of a search whose sets are there as soon as they are asked for."""
    checked = search(results, num_samples=4, metrics=[VotesMetric("looks", 8, 2)], **changes).check()
    assert checked.problems == ()
    steering = Steering.of(checked)
    assert steering is not None
    folder = results / "tests" / "gray"
    asked: list[int] = []

    def run_round(sets: int) -> SearchResult:
        asked.append(sets)
        shutil.rmtree(folder)  # `made_search` makes all sets anew
        folder.mkdir()
        made = Made(sets=sets + 1, items=3, stopped=0, status="running")
        return made_search(folder, made, lambda number, item: noise(number, 100 * number + item, made.side))

    folder.mkdir(parents=True)
    with holding(folder):
        stage = Stage(steering, "gray", "photos", {})
        paths, place = SearchPaths(folder), lambda key: f"<{key.name}>"
        rounds = Rounds(checked, stage, paths, run_round, listener, place, mirror)
        return rounds.run(), asked


def test_sets_are_made_when_the_votes_on_those_before_have_come(tmp_path: Path) -> None:
    listener = Listener()
    with raters(tmp_path) as count:
        result, asked = run(tmp_path, listener)
        assert count() >= 8
    assert (result.status, result.reason, asked) == ("finished", "", [2, 4])
    # The first vote may come before the driver first looks: then it waits for one less.
    waiting = r"waiting for about [34] votes on 'looks' \(project 'tests'\) at <looks>"
    assert re.fullmatch(waiting, listener.events[0])
    head = read_json(SearchPaths(result.folder).head) or {}
    assert (head["status"], head["reason"]) == ("finished", "")
    assert SearchPaths(result.folder).report.is_file()


def test_a_budget_of_seconds_ends_the_waiting(tmp_path: Path) -> None:
    listener = Listener()
    with raters(tmp_path, at_most=1):
        result, asked = run(tmp_path, listener, budget={"seconds": 122})  # making the sets took 120
    assert (result.status, asked) == ("stopped", [2])
    assert "the budget of 122 seconds is spent, with 1 of 4 votes" in result.reason
    assert 122 <= result.seconds < 130
    assert result.spent.seconds >= 2


def test_where_the_store_fails_nothing_is_lost(tmp_path: Path) -> None:
    class Failing(LocalFeedbackHandler):
        def read(self, *arguments: Any, **named: Any) -> Any:
            raise StorageError(f"{self.file} cannot be read: it is gone")

    result, _ = run(tmp_path, Listener(), feedback_handler=Failing(tmp_path))
    assert result.status == "interrupted"
    assert result.error is not None
    assert "feedback.sqlite cannot be read" in result.reason
    assert (read_json(SearchPaths(result.folder).head) or {})["status"] == "interrupted"


def test_where_its_bucket_cannot_be_written_any_more_nobody_waits_for_votes(tmp_path: Path) -> None:
    result, asked = run(tmp_path, Listener(), FailedMirror())
    assert (result.status, asked) == ("interrupted", [2])
    assert result.error is FailedMirror.failed
