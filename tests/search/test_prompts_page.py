"""docs/prompts.md and its search file: they are right, and its code runs."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from pixaris.comfyui.workflow import Workflow
from pixaris.data_loaders.prompts import PromptDatasetLoader
from pixaris.experiment.eval_sets import placed
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.search.file.spec import SearchSpec, read_search_file
from pixaris.search.space.problems import problems_with_workflow

ROOT = Path(__file__).parents[2]
FILE = ROOT / "search_spaces" / "text_to_image.yaml"
PAGE = (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGE, flags=re.M | re.S)
    return [dedent(block) for block in found]


def fits(spec: SearchSpec) -> tuple[str, ...]:
    """Hold the file's eval set and space against its workflow; what was guessed."""
    assert spec.generator.workflow is not None
    assert spec.dataset.prompts is not None
    workflow = Workflow.load(spec.generator.workflow)
    loader = PromptDatasetLoader(spec.dataset.prompts, spec.dataset.columns)
    eval_set = placed(loader.load_dataset(), ComfyGenerator(workflow))
    assert len(eval_set) == 8
    assert problems_with_workflow(spec.space, workflow, None, (), eval_set) == []
    assert set(eval_set.feeds) == {"prompt", "negative"}
    return eval_set.remarks


def test_the_search_file_fits_its_workflow_and_its_prompts() -> None:
    spec, problems = read_search_file(FILE)
    assert problems == []
    assert fits(spec) == ("only metrics can read 'expected': no node is fed with it",)


def test_the_page_s_search_file_guesses_the_same_places(tmp_path: Path) -> None:
    walk, columns = blocks("yaml")
    for folder in ("prompts", "workflows"):
        (tmp_path / folder).symlink_to(FILE.parent / folder)
    file = tmp_path / "walk.yaml"
    file.write_text(walk)
    spec, problems = read_search_file(file)
    assert problems == []
    assert fits(spec)[0].startswith("column 'prompt' feeds `text` of 'Positive Prompt'")
    file.write_text(walk.replace("dataset: {prompts: prompts/scenes.csv}\n", columns))
    spec, problems = read_search_file(file)
    assert problems == []
    assert spec.dataset.columns["prompt"] == (("Positive Prompt", "text_g"), ("Positive Prompt", "text_l"))


def test_the_page_s_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, "docs/prompts.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["one boat", "no boat"]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ("{prompt: {node_nam: A, input: text}}", "dataset.columns.prompt.node_nam (line 3): "),
        ("{prompt: {node_name: A}}", "dataset.columns.prompt.input (line 3): "),
        ("[prompt]", "dataset.columns (line 3): "),
    ],
)
def test_columns_that_are_none_are_told(tmp_path: Path, columns: str, problem: str) -> None:
    text = FILE.read_text(encoding="utf-8").splitlines()
    rest = text[text.index(next(line for line in text if line.startswith("generator"))) :]
    file = tmp_path / "s.yaml"
    head = f"project: demo\nname: x\ndataset: {{prompts: s.csv, columns: {columns}}}\n"
    file.write_text(head + "\n".join(rest))
    _, problems = read_search_file(file)
    told = [str(one) for one in problems]
    assert any(line.startswith(problem) for line in told), told
