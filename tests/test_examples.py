"""The documentation is executed: the README's file and code, the examples, the commands and keys that it
names.
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from pixaris.cli import COMMANDS
from pixaris.data_loaders import demo
from pixaris.search.file.spec import read_search_file

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return [
        dedent(block) for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", README, flags=re.M | re.S)
    ]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder as after `pixaris dataset demo`."""
    folder = tmp_path_factory.mktemp("clone")
    demo.prepare(folder / "local_experiment_inputs" / "demo")
    (folder / "search_spaces").symlink_to(ROOT / "search_spaces")
    return folder


def run(name: str, *arguments: str) -> None:
    before = sys.argv
    sys.argv = [name, *arguments]
    try:
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    finally:
        sys.argv = before


def test_the_readme_s_search_file_is_right(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    file = tmp_path / "search.yaml"
    file.write_text(text)
    spec, problems = read_search_file(file)
    assert problems == []
    assert spec.search.num_samples == 48


def test_the_readme_s_code_is_the_example_s() -> None:
    (code,) = blocks("python")
    imports, _, body = code.partition("\n\nresult = ")
    example = (ROOT / "examples" / "search.py").read_text(encoding="utf-8")
    assert imports in example
    assert dedent(example.partition('if __name__ == "__main__":\n')[2]) == f"result = {body}"


def test_the_page_of_commands_names_every_command_and_no_other() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `pixaris (\w+)", page, flags=re.M))
    assert named == set(COMMANDS)


def test_every_file_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.usefixtures("ray_session")
def test_the_search_of_the_readme_beats_the_baseline(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    run("search.py")
    best, baseline, folder = capsys.readouterr().out.splitlines()[-3:]
    scores = [float(re.search(r"objective=([\d.]+)", line).group(1)) for line in (best, baseline)]  # type: ignore[union-attr]
    assert scores[0] > scores[1] + 0.05
    assert (clone / folder / "trials.jsonl").is_file()


def test_the_single_run_example_gives_the_score_of_its_parameters(
    clone: Path, endpoints: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    run("experiment_run.py", endpoints[0])
    assert re.search(r"blue_channel: IoU 0\.\d{4} on 12 images", capsys.readouterr().out)
    assert (
        len(
            list(
                (clone / "local_results" / "demo" / "cutout" / "blue_channel" / "generated_images").iterdir()
            )
        )
        == 12
    )


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_the_grid_example_ranks_every_combination(
    clone: Path, endpoints: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    run("hyperparameter_grid.py", endpoints[0])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("0.")]
    assert len(lines) == 4
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert "'blue'" in lines[0]


def test_the_example_of_own_parts_runs_and_keeps_the_contracts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run("own_parts.py")
    sharp, soft = capsys.readouterr().out.splitlines()
    assert sharp.startswith("radius 0.5: stripes_2, stripes_4, stripes_8; {'contrast_left': ")
    assert soft.endswith("; by me")

    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import own_parts  # type: ignore[import-not-found]

    page = (ROOT / "docs" / "own-parts.md").read_text(encoding="utf-8")
    default, contracts = re.findall(r"^```python\n(.*?)^```", page, flags=re.M | re.S)
    exec(compile(contracts, "docs/own-parts.md", "exec"), dict(vars(own_parts)))
    namespace = dict(vars(own_parts))
    exec(compile(default.replace("(ImageGenerator)", "(Blur)"), "docs/own-parts.md", "exec"), namespace)
    assert namespace["Blur"]().own_value("Blur", "radius") == 1.0
