"""docs/metrics.md: its table is what the classes declare, its search file, commands and code run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from pixaris.cli import main
from pixaris.cli.metrics import markdown
from pixaris.components import METRICS, make, resolve
from pixaris.metrics.base import BaseMetric
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import parse_yaml
from pixaris.testing import samples

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


def test_the_table_is_what_the_classes_declare() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(("| ", "|--"))]
    declared = markdown({name: resolve(name, METRICS, BaseMetric) for name in METRICS})
    assert rows == declared, "the table in docs/metrics.md is what `pixaris metrics --markdown` prints"


def test_the_search_file_s_metrics_can_be_made() -> None:
    (text,) = blocks("yaml")
    document = parse_yaml(text)
    reader = Reader(document)
    components = [
        reader.component(f"metrics.{index}", entry) for index, entry in enumerate(document.value["metrics"])
    ]
    metrics = [
        make(resolve(component.type, METRICS, BaseMetric), component.options) for component in components
    ]
    assert reader.problems == []
    assert document.value["objective"]["metric"] in {
        name for metric in metrics for name in metric.directions()
    }


def test_the_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, make_image in (
        ("out", samples.picture),
        ("originals", samples.picture),
        ("masks", samples.mask),
    ):
        (tmp_path / folder).mkdir()
        for number in range(3):
            make_image(number, (48, 32)).save(tmp_path / folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    (text,) = blocks("sh")
    for line in text.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "pixaris"
        assert main(arguments) == 0, line
    assert (tmp_path / "scores.json").is_file()
    assert "Traceback" not in capsys.readouterr().err


def test_the_metric_of_your_own_fulfils_the_contract() -> None:
    (code,) = blocks("python")
    namespace: dict[str, object] = {}
    exec(compile(code, "docs/metrics.md", "exec"), namespace)
    metric = namespace["Brightness"]
    assert isinstance(metric, type)
    scores = [metric().score(Image.new("L", (4, 4), level).convert("RGB"), None) for level in (0, 255)]
    assert scores == [0.0, 1.0]
