"""Results that somebody edited, cut or mixed up: a command says what is wrong, and shows the rest."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results_kit import search_of, trial_of

from pixaris.cli import main
from pixaris.files import append_json_line, write_json
from pixaris.results.journal import Journal
from pixaris.results.paths import RunPaths, SearchPaths
from pixaris.results.report import TrialReport

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def made(results: Path) -> SearchPaths:
    """A search of two trials, and a run."""
    paths = SearchPaths(results / "demo" / "restore")
    paths.folder.mkdir(parents=True)
    trials = [
        trial_of(0, {"cfg": 7.0}, (0.5, 0.4), ssim=0.45),
        trial_of(1, {"cfg": 3.5}, (0.6, 0.7), ssim=0.65),
    ]
    result = search_of(*trials, folder=paths.folder, items=("a", "b"))
    write_json(paths.head, result.head())
    write_json(paths.manifest, {"space": {"cfg": {"uniform": [1, 12]}}, "workflow": {}})
    write_json(paths.spent, {"images": 4})
    journal = Journal(paths)
    for trial in trials:
        append_json_line(paths.trials, trial.as_dict())
        journal.proposed(trial.number, trial.values)
        scores = {"ssim": dict(enumerate(trial.item_scores))}
        journal.ended(trial.number, TrialReport((0.5,), 2, item_scores=scores, state="ended"))  # type: ignore[arg-type]
    run = RunPaths(results / "demo" / "photos" / "first")
    metrics = {"ssim": {"mean": 0.5, "std": 0.1, "count": 2}}
    write_json(run.record, {"id": "x", "status": "finished", "items": {"generated": 2}, "metrics": metrics})
    return paths


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    found = [path]
    if isinstance(value, dict):
        found += [way for key, inner in value.items() for way in nodes(inner, (*path, key))]
    elif isinstance(value, list):
        found += [way for index, inner in enumerate(value) for way in nodes(inner, (*path, index))]
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return changed


FILES = ["search.json", "trials.jsonl", "journal.jsonl", "manifest.json", "spent.json"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_stands_in_a_file_no_command_breaks(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path_factory.mktemp("results")
    paths = made(results)
    file = paths.folder / data.draw(st.sampled_from(FILES))
    if data.draw(st.booleans()):
        file = results / "demo" / "photos" / "first" / "run.json"
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    at = data.draw(st.integers(0, len(lines) - 1))
    value = json.loads(lines[at])
    where = data.draw(st.sampled_from(nodes(value)))
    lines[at] = json.dumps(with_value(value, where, data.draw(JSON)))
    file.write_text("\n".join(lines) + "\n")
    for command in (["runs"], ["show", "restore"], ["show", "restore", "0"], ["export", "restore"]):
        code = main([*command, "--results", str(results)])
        assert code in (0, 1, 2)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert "first" in out or "run.json" in str(file)


def test_one_strange_line_hides_no_other_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    strange = SearchPaths(tmp_path / "demo" / "strange")
    strange.folder.mkdir()
    write_json(strange.head, {"name": 3})
    (tmp_path / "demo" / "restore" / "trials.jsonl").open("a").write(
        '{"number": 7}\n[1]\n"x"\n{"number": "x"}\n'
    )
    assert main(["runs", "--results", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "restore" in out
    assert "left out" in err
    assert "strange" in err
