"""What a search is that votes steer: its rounds, what keeps it from being one, what is put up and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kit import WORKFLOW
from PIL import Image
from search_kit import Made, made_search
from steering_kit import KEY, Redness, search

from pixaris.cli import main
from pixaris.exceptions import ConfigurationError, SearchFailedError
from pixaris.feedback_handlers.base import FeedbackImage, Iteration, Vote
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.metrics.votes import VotesMetric
from pixaris.results.evidence.preferences import (
    Nearness,
    Preferences,
    Said,
    keep_preferences,
    read_preferences,
)
from pixaris.results.paths import SearchPaths
from pixaris.search.algorithms.gp.thompson import Heard
from pixaris.search.algorithms.guided import algorithm_of, reason
from pixaris.search.steering.comparisons import comparisons
from pixaris.search.steering.opinion import heard, preferences_of
from pixaris.search.steering.problems import SUBMITTED
from pixaris.search.steering.putting_up import Stage
from pixaris.search.steering.steering import Steering, of_round
from pixaris.search.steering.visible import questions


def problems(folder: Path, **changes: Any) -> dict[str, str]:
    found = search(folder, **changes).check().problems
    return {problem.path: problem.message for problem in found}


def steering(folder: Path, **changes: Any) -> Steering:
    checked = search(folder, **changes).check()
    assert checked.problems == ()
    found = Steering.of(checked)
    assert found is not None
    return found


def test_it_goes_in_rounds_with_votes_in_proportion(tmp_path: Path) -> None:
    found = steering(tmp_path, num_samples=10)
    assert found.rounds == (4, 8, 10)
    assert [found.due(sets) for sets in found.rounds] == [15, 29, 36]
    assert found.describe() == "36 votes on iteration 'looks', after 4, 8, 10 sets"
    checked = search(tmp_path, num_samples=10).check()
    assert [of_round(checked, sets).size.trials for sets in found.rounds] == [5, 9, 11]


def test_nobody_says_how_many_votes_or_sets(tmp_path: Path) -> None:
    found = steering(tmp_path, metrics=[VotesMetric("looks")], num_samples=None)
    assert (found.votes, found.rounds) == (60, (8, 16, 20))


def test_a_grid_is_put_up_as_a_whole(tmp_path: Path) -> None:
    space = {"x": ("Any", "x", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])}
    found = steering(tmp_path, space=space, algorithm="grid")
    assert found.rounds == (6,)


def test_a_search_without_votes_is_none(tmp_path: Path) -> None:
    checked = search(tmp_path, metrics=[Redness()], objective="redness").check()
    assert checked.problems == ()
    assert Steering.of(checked) is None


def test_a_look_leaves_nothing_behind(tmp_path: Path) -> None:
    assert problems(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"objective": "redness"}, "objective", "write objective: {metric: preference}"),
        ({"objective": ["preference", "redness"]}, "objective", "got preference, redness"),
        ({"direction": "min"}, "objective.direction", "has direction: max"),
        ({"scheduler": "median"}, "search.scheduler", "use fifo (got median)"),
        ({"recheck": {"top": 1, "seeds": 2}}, "recheck", "without anybody's votes"),
        ({"feedback_handler": None}, "feedback_handler", "LocalFeedbackHandler("),
        (
            {"metrics": [VotesMetric("looks"), VotesMetric("more")]},
            "metrics.1",
            "put all sets up in one iteration",
        ),
        ({"space": {}}, "parameters", "nothing to compare it with"),
        ({"storage": "gs://bucket/searches"}, "storage", "keeps its votes on this machine"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, changes: dict[str, Any], path: str, words: str) -> None:
    assert words in problems(tmp_path, **changes).get(path, "")


def test_an_iteration_of_others_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(file)
    LocalFeedbackHandler(tmp_path).create(
        Iteration(KEY, (FeedbackImage("a", file, "a", "other/trial_0000"),))
    )
    said = problems(tmp_path)["metrics.0.iteration"]
    assert "has a feedback iteration 'looks' already, with images of other" in said
    assert problems(tmp_path, project="elsewhere") == {}
    assert problems(tmp_path, name="other") == {}, "it may be what this search is to go on with"


def test_a_job_on_a_cluster_needs_a_store_that_others_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUBMITTED, "Pixaris 0, Python 3")
    said = problems(tmp_path)["metrics.0"]
    assert "LocalFeedbackHandler keeps votes on the node that runs the job" in said
    assert "configure gcp_bq_feedback_table" in said


def test_such_a_search_is_not_submitted_with_a_store_that_stays_on_a_node(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(
        "project: demo\n"
        f"dataset: {{path: {cells}, references: [Mask]}}\n"
        f"generator: {{type: comfyui, workflow: {WORKFLOW}}}\n"
        "endpoints: {embedded: 1}\n"
        "parameters: {grow: {node_name: Grow, input: expand, randint: [0, 9]}}\n"
        "metrics: [{type: votes, iteration: looks}]\n"
        "objective: {metric: preference}\n"
        "results: /somewhere/else\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "x.yaml"]) == 2
    assert "LocalFeedbackHandler keeps votes on the node" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"iteration": " "}, "iteration: must be the name of a feedback iteration"),
        ({"iteration": "a", "votes": 0}, "votes: must be a whole number of at least 1 (got 0)"),
        ({"iteration": "a", "sets_per_round": 1.5}, "sets_per_round: must be a whole number"),
    ],
)
def test_options_that_are_none_are_told(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        VotesMetric(**options)
    assert words in str(caught.value)


def test_sets_are_put_up_once_each_with_what_metrics_saw(tmp_path: Path) -> None:
    result = made_search(tmp_path / "tests" / "gray", Made(sets=3, items=2, stopped=0, metric="redness"))
    stage = Stage(steering(tmp_path), "gray", "photos", {"redness": "max", "preference": "max"})
    first = stage.put_up(result.with_trials(result.trials[:2]))
    assert (first.runs, len(first.images)) == (["gray/trial_0000", "gray/trial_0001"], 4)
    assert first.directions == {"redness": "max"}
    assert first.images[0].scores["redness"] == result.trials[0].item_scores[0]
    second = stage.put_up(result)
    assert second.runs == ["gray/trial_0000", "gray/trial_0001", "gray/trial_0002"]
    assert stage.put_up(result) == second
    with pytest.raises(SearchFailedError, match="the baseline has no image"):
        stage.put_up(result.with_trials(result.trials[1:]))
    with pytest.raises(ConfigurationError, match="of other images"):
        Stage(steering(tmp_path), "gray-2", "photos", {}).put_up(result)


def test_the_baseline_is_what_sets_are_held_against(tmp_path: Path) -> None:
    result = made_search(tmp_path / "tests" / "gray", Made(sets=3, items=2, stopped=0))
    trials = [
        trial.__class__(trial.number, {"x": 0.4 * trial.number}, "finished", trial.report)
        for trial in result.trials
    ]
    stage = Stage(steering(tmp_path), "gray", "photos", {})
    iteration = stage.put_up(result)
    by_run = {image.run: image for image in iteration.images if image.item == iteration.images[0].item}
    baseline, liked = by_run["gray/trial_0000"], by_run["gray/trial_0002"]
    votes = [
        Vote(f"rater {number}", item=liked.item, left=liked.name, right=baseline.name, outcome="left")
        for number in range(6)
    ]
    found = preferences_of(stage, iteration, votes, trials, search(tmp_path).check().space)
    assert (found.votes, found.raters, found.wanted, found.iteration) == (6, 6, 36, "looks")
    assert found.sets["0"].rate == 0.5
    assert found.sets["2"].rate > 0.7 > found.sets["1"].rate > 0.5
    assert (found.sets["0"].votes, found.sets["1"].votes, found.sets["2"].votes) == (6, 0, 6)

    keep_preferences(SearchPaths(tmp_path), found)
    again = heard(read_preferences(SearchPaths(tmp_path)), dimensions=1)
    assert again.points == ((0.0,), (0.4,), (0.8,))
    assert again.said is not None
    rates = [again.said.win_rate(place, 0).rate for place in range(3)]
    assert rates == pytest.approx([found.sets[str(number)].rate for number in range(3)])


@pytest.mark.parametrize(
    "nearness",
    [
        Nearness(),
        Nearness({"0": (0.1,), "1": (0.2, 0.3)}, (False,), (0.0,)),
        Nearness({"0": (0.1,)}, (False,), (900.0,)),
        Nearness({"first": (0.1,)}, (False,), (0.0,)),
        Nearness({"0": (0.1, 0.2)}, (False, False), (0.0, 0.0)),
    ],
)
def test_what_votes_said_is_passed_over_where_somebody_has_edited_it(nearness: Nearness) -> None:
    assert heard(Preferences("preference", "looks", nearness=nearness), dimensions=1) == Heard()


def test_votes_on_sets_that_are_gone_are_not_heard() -> None:
    nearness = Nearness({"0": (0.1,), "2": (0.9,)}, (False,), (0.0,), own=-2.0)
    said = (Said(0, 2, "second"), Said(0, 1, "first"))
    found = heard(Preferences("preference", "looks", nearness=nearness, said=said), dimensions=1).said
    assert found is not None
    assert found.win_rate(1, 0).rate > 0.5


def test_sets_are_drawn_from_votes_unless_another_algorithm_is_named(tmp_path: Path) -> None:
    settings = search(tmp_path).check().settings
    assert algorithm_of(settings) == "thompson"
    assert "a draw of what the votes say" in reason(settings)
    assert algorithm_of(search(tmp_path, algorithm="tpe").check().settings) == "tpe"
    without = search(tmp_path, metrics=[Redness()], objective="redness").check().settings
    assert algorithm_of(without) == "tpe"


def test_votes_on_images_that_are_gone_are_left_out() -> None:
    images = [
        FeedbackImage(f"{run}{item}", Path(), f"item {item}", run, "", f"{run if item else ''}{item}")
        for run in "abc"
        for item in range(2)
    ]
    votes = [Vote("ann", item="item 1", left="a1", right=right, outcome="tie") for right in ("b1", "gone1")]
    (said,) = comparisons(["a", "b", "c"], images, votes)
    assert (said.first, said.second, said.answer) == (0, 1, "tie")


def test_images_that_nobody_can_tell_apart_are_no_question(tmp_path: Path) -> None:
    images = []
    for run, level in (("a", 100), ("b", 101), ("c", 140), ("gone", 200)):
        for item in range(2):
            file = tmp_path / f"{run}{item}.png"
            if run != "gone":
                Image.new("L", (8, 8), level).save(file)
            images.append(FeedbackImage(f"{run}{item}", file, f"item {item}", run, "", f"{run}{item}"))
    assert questions(images, 100) == 4, "a and b look alike, c does not, and gone cannot be shown"
    assert questions(images, 3) == 3
