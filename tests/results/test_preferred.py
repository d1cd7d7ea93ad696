"""What votes say stands in place of what trials told, wherever a search is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from search_kit import Made, made_search

from pixaris.cli import main
from pixaris.results.evidence.preferences import (
    Preferences,
    Preferred,
    keep_preferences,
    read_preferences,
)
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult


def said(*sets: Preferred, votes: int = 40, raters: int = 2) -> Preferences:
    known = {str(number): preferred for number, preferred in enumerate(sets)}
    return Preferences("ssim", "looks", votes, 60, raters, known)


BASELINE = Preferred(0.5, 0.5, 0.5, 0.05, 12)
SURE = (BASELINE, Preferred(0.8, 0.6, 0.9, 0.7, 20), Preferred(0.6, 0.4, 0.75, 0.2, 18))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_search(tmp_path / "demo" / "liked", Made(sets=3, stopped=0)).folder


def test_the_objective_is_what_the_votes_say_by_now(folder: Path) -> None:
    keep_preferences(SearchPaths(folder), said(*SURE))
    result = SearchResult.load(folder)
    assert [trial.objective for trial in result.trials] == [0.5, 0.8, 0.6]
    assert [trial.scores["ssim"] for trial in result.trials] == [0.5, 0.8, 0.6]
    interval = result.interval(result.trials[1])
    assert interval is not None
    assert (interval.low, interval.high) == (0.6, 0.9)
    assert result.interval(result.trials[0]) is None, "the baseline is what all are held against"


@pytest.mark.parametrize(
    ("sets", "kind", "words"),
    [
        (
            SURE,
            "better",
            "People prefer trial_0001 to the baseline 80% of the time (95 % interval 60% to 90%)",
        ),
        ((BASELINE, Preferred(0.6, 0.4, 0.8, 0.6)), "no evidence", "they are expected to 60% of the time"),
        ((BASELINE, Preferred(0.3, 0.1, 0.4)), "baseline", "People prefer no set to the baseline"),
    ],
)
def test_the_verdict_is_that_of_the_votes(
    folder: Path, sets: tuple[Preferred, ...], kind: str, words: str
) -> None:
    trials = SearchPaths(folder).trials
    # votes are of whole sets: their trials have no scores of items
    trials.write_text(trials.read_text().replace('"item_scores"', '"none"'))
    keep_preferences(SearchPaths(folder), said(*sets))
    result = SearchResult.load(folder)
    assert result.objectives == (Objective("ssim", "max"),)
    verdict = result.verdict()
    assert verdict.kind == kind
    assert words in verdict.sentence
    assert "after 40 votes of 2 people" in verdict.sentence
    if kind == "better":
        assert verdict.lines == (
            "It is the best of 3 sets with a probability of 70%.",
            "So may be trial_0002.",
        )
        assert verdict.next_steps == ()
    else:
        assert "larger number of votes" in verdict.next_steps[0].words


def test_without_votes_nothing_is_said(folder: Path) -> None:
    keep_preferences(SearchPaths(folder), said(BASELINE, votes=0, raters=0))
    assert SearchResult.load(folder).verdict().sentence == "Nobody has voted yet."


def test_it_is_shown_with_its_interval(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep_preferences(SearchPaths(folder), said(*SURE))
    assert main(["show", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "0.8000 ± 0.1500" in shown
    assert "People prefer trial_0001" in shown


def test_what_is_damaged_is_as_if_nobody_had_voted(folder: Path) -> None:
    before = SearchResult.load(folder)
    SearchPaths(folder).votes.write_text('{"score": 5}')
    assert read_preferences(SearchPaths(folder)) is None
    assert [trial.objective for trial in SearchResult.load(folder).trials] == [
        trial.objective for trial in before.trials
    ]
