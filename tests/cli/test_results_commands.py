"""``pixaris runs``, ``show`` and ``export``, on one real search whose file and workflow are gone by then."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pixaris.cli import main
from pixaris.files import append_json_line, write_json
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Load Input Image"}},
    "2": {
        "class_type": "LoadImage",
        "inputs": {"image": "own.png"},
        "_meta": {"title": "Load Inspiration Image"},
    },
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 0.5, "blend_mode": "normal"},
        "_meta": {"title": "Blend"},
    },
    "4": {
        "class_type": "ImageBlur",
        "inputs": {"image": ["3", 0], "blur_radius": 1, "sigma": 1.0},
        "_meta": {"title": "Blur"},
    },
    "5": {
        "class_type": "SaveImage",
        "inputs": {"images": ["4", 0], "filename_prefix": "own"},
        "_meta": {"title": "Save Image"},
    },
}
FILE: dict[str, Any] = {
    "name": "look",
    "project": "tests",
    "dataset": "./set",
    "generator": {"type": "comfyui", "workflow": "workflow.json"},
    "generation_params": [{"node_name": "Blend", "input": "blend_mode", "value": "screen"}],
    "parameters": {
        "look": {"node_name": "Load Inspiration Image", "images": "looks"},
        "strength": {
            "node_name": "Blend",
            "input": "blend_factor",
            "uniform": [0.1, 0.9],
            "when": {"look": "light.png"},
        },
        "smooth": {
            "targets": {
                "radius": {"node_name": "Blur", "input": "blur_radius"},
                "sigma": {"node_name": "Blur", "input": "sigma"},
            },
            "choice": [{"radius": 1, "sigma": 0.4}, {"radius": 3, "sigma": 1.5}],
        },
        "file": {"node_name": "Save Image", "input": "filename_prefix", "template": "{look}_{strength:.2f}"},
    },
    "metrics": [
        {"type": "mae", "reference": "Original"},
        {"type": "psnr", "reference": "Original"},
        "contrast",
    ],
    "objective": [{"metric": "mae"}, {"metric": "contrast"}],
    "search": {"algorithm": "tpe", "num_samples": 8, "seed": 3, "scheduler": "fifo"},
    "results": "./results",
}


def numbered(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True)
    for index in range(3):
        pixels = np.random.default_rng(seed + index).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"item{index}.png")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, endpoints: list[str], ray_session: None) -> Path:
    """The results of one search."""
    folder = tmp_path_factory.mktemp("look")
    numbered(folder / "set" / "Input", 0)
    numbered(folder / "set" / "Original", 10)
    (folder / "looks").mkdir()
    for name, level in (("dark", 20), ("light", 230)):
        Image.new("RGB", (16, 16), (level, level, level)).save(folder / "looks" / f"{name}.png")
    (folder / "workflow.json").write_text(json.dumps(WORKFLOW))
    (folder / "search.yaml").write_text(yaml.safe_dump({**FILE, "endpoints": endpoints}, sort_keys=False))
    assert main(["search", str(folder / "search.yaml"), "--no-cache"]) == 0
    for gone in ("search.yaml", "workflow.json"):
        (folder / gone).unlink()
    return folder / "results"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([*map(str, arguments)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    return told.err


def bound(trial: TrialResult) -> dict[str, Any]:
    """What a trial's workflow must be, worked out from its values."""
    graph: dict[str, Any] = json.loads(json.dumps(WORKFLOW))
    graph["3"]["inputs"]["blend_mode"] = "screen"
    if "strength" in trial.values:
        graph["3"]["inputs"]["blend_factor"] = trial.values["strength"]
    radius = int(re.search(r"radius=(\d)", str(trial.values["smooth"]))[1])  # type: ignore[index]
    graph["4"]["inputs"].update(
        {1: {"blur_radius": 1, "sigma": 0.4}, 3: {"blur_radius": 3, "sigma": 1.5}}[radius]
    )
    return graph


def test_runs_lists_searches_for_people_and_for_scripts(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = shown(capsys, "runs", "--results", results)
    assert re.search(
        r"^tests/look +[\d: -]{16} +finished +9 +27 +mae \d+\.\d{4} \(trial_000\d\)", out, re.MULTILINE
    )
    (row,) = json.loads(shown(capsys, "runs", "--results", results, "--json"))["searches"]
    best = SearchResult.load(results / "tests" / "look").best
    assert best is not None
    assert (row["name"], row["trials"], row["images"], row["best"], row["score"]) == (
        "tests/look",
        9,
        27,
        best.name,
        best.objective,
    )
    assert "no searches and no runs" in shown(capsys, "runs", "--results", results / "nothing")


def test_show_tells_the_trials_the_front_the_winner_and_the_importance(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = SearchResult.load(results / "tests" / "look")
    out = shown(capsys, "show", "look", "--results", results)
    rows = re.findall(r"^(trial_\d+) +finished +(\S+) +(\S+)", out, re.MULTILINE)
    assert [name for name, *_ in rows] == [trial.name for trial in result.ranking()]
    assert rows[0][1] == f"{result.best.objective:.4f}"  # type: ignore[union-attr]
    assert f"front     {len(result.pareto())} of 9 trials" in out
    assert "importance for mae: " in out
    assert "importance for contrast: " in out
    assert f"winner    {result.best.name}" in out  # type: ignore[union-attr]
    assert f"{result.verdict().sentence}\n" in out
    assert "3 common items cannot tell whether it is better: that takes 6" in out
    assert "next\n  Add items to the eval set" in out


def test_show_in_json_holds_numbers_as_numbers(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = SearchResult.load(results / "tests" / "look")
    told = json.loads(shown(capsys, "show", results / "tests" / "look", "--json"))
    assert [trial["name"] for trial in told["trials"]] == [trial.name for trial in result.trials]
    assert told["pareto"] == [trial.name for trial in result.pareto()]
    assert told["importance"]["mae"] == pytest.approx(result.importance())
    difference = result.difference(result.trials[3])
    assert difference is not None
    assert told["trials"][3]["difference"]["mean"] == difference.mean
    assert told["trials"][0]["difference"] is None
    assert told["verdict"]["sentence"] == result.verdict().sentence


def test_show_tells_a_trial_item_by_item(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = SearchResult.load(results / "tests" / "look").trials[2]
    out = shown(capsys, "show", "tests/look", "2", "--results", results)
    assert out == shown(capsys, "show", "tests/look", "trial_0002", "--results", results)
    assert re.search(rf"smooth +{trial.values['smooth']}", out)
    assert re.search(rf"mae +{trial.scores['mae']:.4f}\n", out), "three items give no interval"
    assert "mind: 3 common items are too few for a 95 % interval" in out
    for index, score in enumerate(trial.item_scores):
        assert re.search(rf"item{index} +{score:.4f}", out)
    told = json.loads(shown(capsys, "show", "look", "2", "--results", results, "--json"))
    assert [row["scores"]["mae"] for row in told["item_results"]] == list(trial.item_scores)


def test_export_writes_exactly_what_each_trial_was_given(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for trial in SearchResult.load(results / "tests" / "look").trials[1:]:
        graph = json.loads(
            shown(capsys, "export", "look", "--trial", str(trial.number), "--results", results)
        )
        prefix = graph["5"]["inputs"]["filename_prefix"]
        graph["5"]["inputs"]["filename_prefix"] = "own"
        assert graph == bound(trial)
        if "strength" in trial.values:
            assert prefix == f"{trial.values['look']}_{trial.values['strength']:.2f}"


def test_export_writes_the_winner_and_tells_what_changed(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best = SearchResult.load(results / "tests" / "look").best
    assert best is not None
    file = tmp_path / "best_apiformat.json"
    assert main(["export", "look", "--results", str(results), "-o", str(file)]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{best.name} of look (the winner" in told.err
    assert "node 'Blend', input 'blend_mode': \"normal\" → \"screen\"" in told.err
    assert "image1" not in told.err
    if best.number:
        assert f"node 'Load Inspiration Image' loaded {best.values['look']}" in told.err
    assert json.loads(file.read_text())["2"]["inputs"]["image"] == "own.png"
    before = file.read_bytes()
    assert "exists; name another file, or add --force" in refused(
        capsys, "export", "look", "--results", results, "-o", file
    )
    assert (
        main(["export", "look", "--results", str(results), "--trial", "1", "-o", str(file), "--force"]) == 0
    )
    assert json.loads(file.read_text()) != json.loads(before) or best.number == 1


def test_the_command_that_a_search_ends_with_exports_its_winner(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = re.findall(
        r"^  use it +\S*pixaris (.*)$", shown(capsys, "show", "look", "--results", results), re.MULTILINE
    )
    *words, file = shlex.split(line)
    assert main([*words, str(tmp_path / file)]) == 0
    assert (tmp_path / file).is_file()


def test_what_does_not_exist_is_told_with_the_nearest(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "did you mean 'look'" in refused(capsys, "show", "lok", "--results", results)
    assert "did you mean 'tests/look'" in refused(capsys, "export", "test/look", "--results", results)
    assert "it has trial_0000 … trial_0008" in refused(capsys, "show", "look", "99", "--results", results)
    assert "cannot be written" in refused(
        capsys, "export", "look", "--results", results, "-o", results, "--force"
    )


def test_the_results_are_python_s_own_numbers(results: Path) -> None:
    for trial in SearchResult.load(results / "tests" / "look").trials:
        values = [
            *trial.values.values(),
            *trial.scores.values(),
            *trial.item_scores,
            trial.objective,
            trial.seconds,
        ]
        assert {type(value) for value in values} <= {int, float, str, bool}


def test_the_page_on_results_says_what_works(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "results.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    lines = [
        line.partition(" #")[0].strip()
        for kind, block in blocks
        if kind == "sh"
        for line in block.splitlines()
    ]
    told = [line.replace("restore", "look").replace("demo/", "tests/") for line in lines]
    told = [line.replace("amount", "smooth") for line in told]
    assert len(told) > 6
    for line in told:
        words = shlex.split(line)
        assert words[0] == "pixaris"
        words = [str(tmp_path / word) if word.endswith(".json") else word for word in words[1:]]
        assert shown(capsys, *words, "--results", results) or "export" in words
    assert (tmp_path / "best_apiformat.json").is_file()
    (code,) = [block for kind, block in blocks if kind == "python"]
    exec(code.replace("local_results/demo/restore", str(results / "tests" / "look")), {})
    assert "trial_000" in capsys.readouterr().out


def kept(folder: Path, trials: list[dict[str, Any]], **head: Any) -> Path:
    """A search's folder as it is while it runs."""
    facts = {
        "name": folder.name,
        "status": "finished",
        "metric": "m",
        "direction": "max",
        "items": ["a", "b"],
    }
    write_json(folder / "search.json", {**facts, "seconds": 1.0, "images": 2, "reason": "", **head})
    for row in trials:
        append_json_line(folder / "trials.jsonl", row)
    return folder


def test_a_name_that_several_projects_have_must_be_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path / "p" / "same", [])
    kept(tmp_path / "q" / "same", [])
    assert "write p/same or q/same" in refused(capsys, "show", "same", "--results", tmp_path)
    assert "q/same (finished)" in shown(capsys, "show", "q/same", "--results", tmp_path)


def test_a_damaged_search_hides_no_other_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept(tmp_path / "p" / "whole", [])
    write_json(tmp_path / "p" / "broken" / "search.json", {"name": "broken"})
    assert main(["runs", "--results", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert "p/whole" in told.out
    assert "broken/search.json is damaged, or none of a search: status is missing" in told.err
    assert "is damaged" in refused(capsys, "show", "broken", "--results", tmp_path)


def test_failures_are_shown_and_a_trial_without_score_comes_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = {
        "number": 1,
        "name": "trial_0001",
        "status": "failed",
        "values": {"cfg": 7.5},
        "items": 2,
        "failures": 2,
    }
    good = {
        "number": 2,
        "name": "trial_0002",
        "status": "finished",
        "values": {"cfg": 2.0},
        "objective": 0.5,
        "items": 2,
    }
    rows = [{**failed, "error": "out of memory"}, {**good, "scores": {"m": 0.5}, "item_scores": [0.4, 0.6]}]
    folder = kept(tmp_path / "p" / "s", rows)
    out = shown(capsys, "show", folder)
    assert out.index("trial_0002  finished  0.5000 ") < out.index("trial_0001  failed    none")
    assert "0/2 (2 failed)" in out
    assert "out of memory" in out
    assert "importance: needs at least 5 comparable trials" in out


def test_export_names_what_a_workflow_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"start": "picture=a.png, denoise=0.4"}
    folder = kept(
        tmp_path / "p" / "s", [{"number": 1, "name": "trial_0001", "status": "finished", "values": values}]
    )
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "own.png"}, "_meta": {"title": "Load Start"}},
        "2": {"class_type": "KSampler", "inputs": {"seed": 3, "denoise": 0.4}, "_meta": {"title": "First"}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 5}, "_meta": {"title": "Second"}},
    }
    targets = {
        "picture": {"node_name": "Load Start", "input": "image"},
        "denoise": {"node_name": "First", "input": "denoise"},
    }
    space = {"start": {"targets": targets, "choice": [{"picture": {"image": "0a1b"}, "denoise": 0.4}]}}
    write_json(folder / "recipe.json", {"space": space, "workflow": workflow})
    write_json(folder / "trial_0001" / "workflow_apiformat.json", workflow)
    write_json(
        folder / "trial_0001" / "run.json", {"params": [{"node_name": "Second", "input": "seed", "value": 5}]}
    )
    assert main(["export", str(folder), "--trial", "1"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == workflow
    assert "nothing differs from the search's workflow" in told.err
    assert "node 'Load Start' loaded its image of picture=a.png, denoise=0.4" in told.err
    assert "node 'First', input 'seed': every item had a seed of its own" in told.err
    assert "'Second'" not in told.err


def test_a_search_without_a_score_or_a_workflow_cannot_be_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = kept(tmp_path / "p" / "flux", [])
    assert "no trial of" in refused(capsys, "export", folder)
    values = {"guidance": 3.5, "prompt": "it's 7", "text": "7"}
    append_json_line(
        folder / "trials.jsonl", {"number": 1, "name": "trial_0001", "status": "finished", "values": values}
    )
    assert "trial_0001 has no results yet, or they are kept elsewhere" in refused(
        capsys, "export", folder, "--trial", "1"
    )
    params = [{"node_name": "", "input": "guidance", "value": 3.5}]
    write_json(folder / "trial_0001" / "run.json", {"params": params})
    told = refused(capsys, "export", folder, "--trial", "1")
    assert "was made without a workflow" in told
    assert "guidance: 3.5" in told
    assert "pixaris run FILE --param guidance=3.5 --param 'prompt=it'\"'\"'s 7' --param 'text=\"7\"'" in told
