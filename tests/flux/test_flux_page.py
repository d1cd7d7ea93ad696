"""docs/flux.md: its tables are what the models declare, its search files and its code run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flux_kit import KEY, standing_in

from pixaris.components import GENERATORS, resolve
from pixaris.data_loaders import demo
from pixaris.flux.fields import Field
from pixaris.flux.models import Model
from pixaris.generation.base import ImageGenerator
from pixaris.generation.flux import FluxGenerator
from pixaris.search.file.spec import read_search_file

PAGE = (Path(__file__).parents[2] / "docs" / "flux.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


def models() -> dict[str, Model]:
    found = {name: resolve(name, GENERATORS, ImageGenerator) for name in GENERATORS}
    return {name: cls.model for name, cls in found.items() if issubclass(cls, FluxGenerator)}


def described(field: Field) -> str:
    kinds = {
        "text": "text",
        "integer": "whole number",
        "boolean": "true/false",
        "ratio": "21:9–9:21",
        "number": "number",
    }
    what = "/".join(field.options) or kinds[field.kind]
    if field.low is not None:
        what = f"≥ {field.low:g}" if field.high is None else f"{field.low:g}–{field.high:g}"
    if field.multiple:
        what += f" ×{field.multiple}"
    if field.default is not None:
        default = field.default if isinstance(field.default, str) else f"{field.default:g}"
        what += f" ({str(field.default).lower() if isinstance(field.default, bool) else default or 'empty'})"
    return f"`{field.name}` {what}{', required' if field.required else ''}"


def folders(model: Model) -> str:
    names = [f"`{image.folder}`" for image in model.images]
    return ", ".join(names) if len(names) < 3 else f"{names[0]}, {names[1]} … {names[-1]}"


@pytest.mark.parametrize(("name", "model"), models().items())
def test_every_model_stands_in_both_tables_as_it_is(name: str, model: Model) -> None:
    credits = (
        "–"
        if model.price is None
        else f"{model.price.first:g}" + (f" + {model.price.more:g}" if model.price.more else "")
    )
    assert f"| `{name}` | `{model.name}` | {folders(model)} | {credits} | {model.active_tasks} |\n" in PAGE
    assert f"| `{name}` | {', '.join(map(described, model.fields))} |\n" in PAGE


def test_the_search_files_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
    monkeypatch.setenv("TEAM_FLUX_KEY", KEY)
    whole, part = blocks("yaml")
    for text in (whole, whole + part):
        (tmp_path / "beach.yaml").write_text(text)
        spec, problems = read_search_file(tmp_path / "beach.yaml")
        assert problems == []
    assert spec.endpoints[0].slots == 12


def test_the_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.prepare(tmp_path / "local_experiment_inputs" / "demo")
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    with standing_in() as server:
        monkeypatch.setenv("PIXARIS_FLUX_BASE_URL", server.places.api)
        monkeypatch.setenv("PIXARIS_FLUX_API_KEY", KEY)
        exec(compile(code, "docs/flux.md", "exec"), {})
    assert re.fullmatch(r"beach: 0\.\d{4} for 60 credits\n", capsys.readouterr().out)
