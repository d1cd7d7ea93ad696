"""docs/statistics.md: its sections of a search file are right, its commands and its code run, its picture
is what the script draws.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml
from kit import WORKFLOW
from results_kit import search_of, trial_of

from pixaris.cli import main
from pixaris.files import write_json, write_json_lines
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.search.file.spec import read_search_file

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
ELSEWHERE = "recheck"
"""The command that test_recheck.py runs, on Ray."""


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line.partition(" #")[0] for block in blocks("sh") for line in block.splitlines()]
    words = [shlex.split(line) for line in lines]
    assert all(found[0] == "pixaris" for found in words)
    return [found[1:] for found in words]


@pytest.fixture
def place(tmp_path: Path, cells: Path, endpoints: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a search file ``restore.yaml``, and a search of 25 trials that is called so."""
    content = {
        "project": "demo",
        "dataset": str(cells),
        "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
        "endpoints": endpoints[:1],
        "metrics": [{"type": "ssim", "reference": "Mask"}],
        "results": "./local_results",
    }
    (tmp_path / "restore.yaml").write_text(yaml.safe_dump(content))
    folder = tmp_path / "local_results" / "demo" / "restore"
    names = tuple(f"item {number}" for number in range(12))
    rng = np.random.default_rng(1)
    scores = 0.5 + rng.normal(0.0, 0.02, (25, 12)) + 0.01 * np.arange(25.0)[:, None]
    trials = [
        trial_of(number, {"cfg": float(number)}, tuple(row.tolist())) for number, row in enumerate(scores)
    ]
    search = search_of(*trials, folder=folder, objectives=(Objective("ssim", "max"),), items=names)
    write_json(SearchPaths(folder).head, search.head())
    write_json_lines(SearchPaths(folder).trials, (trial.as_dict() for trial in search.trials))
    for trial in trials:
        record = {"name": trial.name, "search": "restore", "values": dict(trial.values)}
        write_json(folder / trial.name / "run.json", {**record, "metrics": {"ssim": {"direction": "max"}}})
        rows = [
            {"name": name, "scores": {"ssim": score}}
            for name, score in zip(names, trial.item_scores, strict=True)
        ]
        write_json_lines(folder / trial.name / "items.jsonl", rows)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_page_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []
    for words in commands():
        if words[0] != ELSEWHERE:
            assert main(words) == 0, (words, capsys.readouterr())
            ran.append(words[0])
    assert ran == ["compare", "compare", "gate", "gate"]
    assert "restore/trial_0022 against restore/trial_0014" in capsys.readouterr().out
    assert all((place / name).is_file() for name in ("baseline.json", "gate.xml", "gate.json"))


def test_the_code_of_the_page_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = SearchResult.load(place / "local_results" / "demo" / "restore")
    for block in blocks("python"):
        exec(compile(block, "docs/statistics.md", "exec"), {"result": result})
    assert "trial_0024 is better than the baseline" in capsys.readouterr().out


def test_the_sections_of_a_search_file_are_right(place: Path) -> None:
    file = place / "restore.yaml"
    for block in blocks("yaml"):
        file.write_text(f"{block}\n{(ROOT / 'search_spaces' / 'restore.yaml').read_text()}")
        spec, problems = read_search_file(file)
        assert not [problem for problem in problems if problem.path.split(".")[0] in yaml.safe_load(block)]
        assert spec.evidence.holdout or spec.evidence.recheck


def test_the_picture_is_what_its_script_draws() -> None:
    script = ROOT / "docs" / "images" / "luck.py"
    spec = importlib.util.spec_from_file_location("luck", script)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = re.findall(r"-?\d+\.\d", module.main())
    kept = re.findall(r"-?\d+\.\d", script.with_suffix(".svg").read_text(encoding="utf-8"))
    assert [float(number) for number in drawn] == pytest.approx([float(number) for number in kept], abs=0.11)
    (told,) = re.findall(r"it measured ([+-]\d\.\d+), and ([+-]\d\.\d+) is true", PAGE)
    assert told == tuple(f"{gain:+.3f}" for gain in module.winners_gain())
