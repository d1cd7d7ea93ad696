"""``pixaris gate`` and ``pixaris compare`` on real runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from kit import WORKFLOW
from PIL import Image

from pixaris.cli import main


@pytest.fixture
def file(tmp_path: Path, cells: Path, endpoints: list[str]) -> Path:
    shutil.copytree(cells, tmp_path / "set")
    path = tmp_path / "gate.yaml"
    content = {
        "project": "tests",
        "dataset": "./set",
        "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
        "endpoints": endpoints[:1],
        "parameters": {"value": {"node_name": "Threshold", "input": "value", "uniform": [0.0, 1.0]}},
        "metrics": [{"type": "iou", "reference": "Mask"}],
        "results": "./results",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_gate_keeps_a_baseline_passes_what_is_as_good_and_stops_what_is_worse(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept, report, told = (file.parent / name for name in ("baseline.json", "gate.xml", "gate.json"))
    good = ["gate", str(file), "--param", "value=0.5"]
    assert main([*good, "--name", "first", "--save", str(kept)]) == 0
    against = ["--baseline", str(kept), "--max-regression", "iou=0.02"]
    assert main([*good, *against, "--name", "second", "--junit", str(report), "--json", str(told)]) == 0
    assert "all 6 items score the same" in capsys.readouterr().out
    assert ElementTree.parse(report).getroot().get("failures") == "0"
    assert json.loads(told.read_text())["outcome"] == "passed"
    before = kept.read_bytes()
    bad = ["gate", str(file), "--param", "value=0.02", *against]
    assert main([*bad, "--name", "third", "--junit", str(report), "--save", str(kept)]) == 1
    out = capsys.readouterr().out
    assert "sure to be more than 0.02 worse" in out
    assert "the workflow has changed" in out
    assert ElementTree.parse(report).getroot().get("failures") == "1"
    assert kept.read_bytes() == before, "what is worse becomes no baseline"
    assert main(["compare", "first", "third", "--results", str(file.parent / "results")]) == 0
    out = capsys.readouterr().out
    assert "Threshold.value  0.5 → 0.02" in out
    assert "worse" in out
    assert "third/generated_images/" in out


def test_a_gate_refuses_another_eval_set_and_options_that_do_not_fit(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = file.parent / "baseline.json"
    assert main(["gate", str(file), "--name", "first", "--save", str(kept)]) == 0
    image = next((file.parent / "set" / "Input").iterdir())
    Image.new("RGB", (32, 32)).save(image)
    limits = ["--baseline", str(kept), "--max-regression", "iou=0.02"]
    assert main(["gate", str(file), "--name", "second", *limits]) == 2
    assert f"1 items with other images ({image.stem})" in capsys.readouterr().err
    assert not list(file.parent.glob("results/*/*/second")), "nothing was generated"
    assert main(["gate", str(file)]) == 2
    assert main(["gate", str(file), "--baseline", str(kept)]) == 2
    assert main(["gate", str(file), "--save", str(kept), "--max-regression", "iou=1"]) == 2
    assert main(["gate", str(file), "--baseline", "nothing", "--max-regression", "iou=1"]) == 2


def test_few_items_are_undecided_which_may_be_allowed(file: Path) -> None:
    for item in sorted((file.parent / "set" / "Input").iterdir())[4:]:
        for folder in (file.parent / "set").iterdir():
            for image in folder.glob(f"{item.stem}.*"):
                image.unlink()
    kept = file.parent / "baseline.json"
    assert main(["gate", str(file), "--name", "a", "--param", "value=0.5", "--save", str(kept)]) == 0
    limits = ["--param", "value=0.4", "--baseline", str(kept), "--max-regression", "iou=0.02"]
    assert main(["gate", str(file), "--name", "b", *limits]) == 4
    assert main(["gate", str(file), "--name", "c", *limits, "--allow-undecided"]) == 0
