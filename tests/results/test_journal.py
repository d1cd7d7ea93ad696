"""The journal: what a search was told, kept so that another process knows the same."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pixaris.results.journal import History, Journal
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.report import Stop, TrialReport, Usage

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def report(scores: dict[str, dict[int, float]], **facts: object) -> TrialReport:
    items = max((len(known) for known in scores.values()), default=0)
    return TrialReport((0.5,), items, item_scores=scores, **facts)  # type: ignore[arg-type]


@given(values=st.lists(NUMBERS, min_size=1, max_size=6), seconds=NUMBERS, cost=st.none() | NUMBERS)
def test_numbers_come_back_exactly_as_they_were(
    tmp_path_factory: object, values: list[float], seconds: float, cost: float | None
) -> None:
    paths = SearchPaths(tmp_path_factory.mktemp("search"))  # type: ignore[attr-defined]
    told = TrialReport(
        objectives=(values[0], None),
        items=len(values),
        failures=1,
        scores={"ssim": values[-1]},
        item_scores={"ssim": dict(enumerate(values))},
        usage=Usage(seconds, cost, 2, 3),
        state="ended",
        error="no",
    )
    journal = Journal(paths)
    journal.proposed(0, {"cfg": values[0], "steps": 20, "sampler": "euler", "tiled": True})
    journal.ended(0, told)
    history = History.read(paths)
    assert history.latest == {0: told}
    assert history.values == {0: {"cfg": values[0], "steps": 20, "sampler": "euler", "tiled": True}}


def test_every_report_has_the_scores_of_its_items_and_no_line_repeats_those_before(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    journal = Journal(paths)
    journal.proposed(1, {})
    told = [report({"ssim": {3: 0.1}}), report({"ssim": {3: 0.1, 0: 0.2}, "mae": {0: 4.0}})]
    journal.reported(1, told[0], None)
    journal.reported(1, told[1], Stop("race", 2, against=0, difference=-0.04, half_width=0.02))
    history = History.read(paths)
    assert [event.report for event in history.replayed()][1:] == told
    lines = [json.loads(line) for line in paths.journal.read_text().splitlines()]
    assert [line["report"]["item_scores"].get("ssim") for line in lines[1:]] == [{"3": 0.1}, {"0": 0.2}]
    assert history.over == {1: told[1]}
    assert history.stops[1].difference == -0.04


def test_a_process_that_goes_on_writes_only_what_is_new(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    first = Journal(paths)
    first.proposed(0, {})
    first.reported(0, report({"ssim": {0: 0.5}}), None)
    later = Journal(paths, History.read(paths))
    whole = report({"ssim": {0: 0.5, 1: 0.75}})
    later.reported(0, whole, None)
    assert json.loads(paths.journal.read_text().splitlines()[-1])["report"]["item_scores"] == {
        "ssim": {"1": 0.75}
    }
    assert History.read(paths).latest[0] == whole


OLD_HEAD = {
    "name": "restore",
    "status": "interrupted",
    "metric": "ssim",
    "direction": "max",
    "items": ["a", "b"],
    "seconds": 3.5,
    "images": 5,
    "reason": "it was interrupted (SIGINT)",
    "cached": 0,
    "cost": None,
    "unaccounted": 0,
    "best": "trial_0001",
}
OLD_JOURNAL = [
    {"proposed": 0, "values": {"cfg": 7.0}},
    {"proposed": 1, "values": {"cfg": 3.5}},
    {"reported": 0, "stop": False, "result": {"objective": 0.25, "items": 1, "scores/ssim": 0.25}},
    {
        "reported": 1,
        "stop": True,
        "result": {
            "objective": 0.75,
            "items": 1,
            "scores/ssim": 0.75,
            "item_scores": [None, 0.75],
            "failures": 0,
            "seconds": 1.5,
            "error": "",
        },
    },
    {"proposed": 2, "values": {"cfg": 1.0}},
]


def test_a_folder_of_an_older_version_opens(tmp_path: Path) -> None:
    (tmp_path / "search.json").write_text(json.dumps(OLD_HEAD))
    (tmp_path / "recipe.json").write_text(json.dumps({"scheduler": "asha", "space": {}}))
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(row) + "\n" for row in OLD_JOURNAL))
    result = SearchResult.load(tmp_path)
    assert [(trial.status, trial.objective, trial.items) for trial in result.trials] == [
        ("interrupted", 0.25, 1),
        ("stopped", 0.75, 1),
        ("interrupted", None, 0),
    ]
    assert result.trials[1].item_scores == (None, 0.75)
    assert result.trials[1].scores == {"ssim": 0.75}
    assert result.best is not None
    assert result.best.number == 1
    assert History.read(SearchPaths(tmp_path)).unfinished == (0, 2)


def test_a_line_of_something_else_spoils_only_itself(tmp_path: Path) -> None:
    paths = SearchPaths(tmp_path)
    journal = Journal(paths)
    journal.proposed(0, {"cfg": 1})
    foreign = ['{"reported": 0, "report": []}', '{"reported": 0, "report": {"items": "many"}}']
    foreign += ['{"reported": 0, "result": {"items": {}}}', '{"proposed": 1, "values": 3}', "{", "[]"]
    with paths.journal.open("a") as file:
        file.write("\n".join(foreign) + "\n")
    journal.reported(0, report({"ssim": {0: 1.0}}), None)
    history = History.read(paths)
    assert history.values == {0: {"cfg": 1}}
    assert history.latest == {0: report({"ssim": {0: 1.0}})}
