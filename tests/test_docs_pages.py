"""The pages of the documentation: their commands are right, their code runs, what they name is there."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from pixaris.cli import COMMANDS, main, parser_of
from pixaris.cli.schema import schema
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.judges.base import Judge
from pixaris.search.driver.session import session
from pixaris.search.file.parameters import read_parameters
from pixaris.search.file.python_module import read_space_module
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import Document, parse_yaml
from pixaris.testing import contracts
from pixaris.testing.contracts import check_image_generator, check_judge

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md"))
SHELL = ("sh", "bash", "")
NEW = ("behind-https", "write-your-own", "coming-from/optuna", "coming-from/swarmui", "tutorials/masks")
NEW += ("tutorials/text-to-image", "tutorials/judge-and-votes")


def blocks(page: str, *languages: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", text, flags=re.M | re.S)
    return [re.sub(rf"^{indent}", "", body, flags=re.M) for indent, kind, body in found if kind in languages]


def commands(page: str) -> list[list[str]]:
    """The words of every call of ``pixaris`` in a page's blocks."""
    lines = [line for block in blocks(page, *SHELL) for line in block.splitlines()]
    calls = [shlex.split(line, comments=True) for line in lines if line.startswith("pixaris ")]
    return [[word for word in call[1:] if word != "&"] for call in calls]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_every_command_of_the_pages_is_one(page: str) -> None:
    for words in commands(page):
        options = parser_of(words).parse_args(words)
        assert options.command in COMMANDS


@pytest.mark.parametrize("page", NEW)
def test_every_search_file_of_the_new_pages_follows_the_schema(page: str) -> None:
    found = blocks(f"{page}.md", "yaml")
    assert found
    validator = jsonschema.Draft202012Validator({**schema(), "required": []})
    for block in found:
        problems = [error.message for error in validator.iter_errors(parse_yaml(block).value)]
        assert problems == [], block


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a page's code as a module of the user's, so that its classes travel; gives what it defines."""
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []

    def imported(page: str, number: int = 0) -> dict[str, Any]:
        names.append(f"code_of_page_{len(names)}")
        (tmp_path / f"{names[-1]}.py").write_text(blocks(page, "python")[number], encoding="utf-8")
        return vars(import_module(names[-1]))

    yield imported
    for name in names:
        sys.modules.pop(name, None)


def test_the_metric_of_write_your_own_keeps_its_contract(run: Run) -> None:
    assert run("write-your-own.md")["Warmth"].name == "warmth"


def test_write_your_own_names_every_contract_suite_and_its_class() -> None:
    text = (DOCS / "write-your-own.md").read_text(encoding="utf-8")
    suites = {name for name in vars(contracts) if name.startswith("check_")}
    assert suites <= set(re.findall(r"`(check_\w+)`", text))
    for name in re.findall(r"^\| .*? \| `(pixaris\.[\w.]+)` \|", text, flags=re.M):
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(import_module(module), cls), type), name


def test_the_cache_s_generator_keeps_its_contract_and_is_cached_by_colour(run: Run) -> None:
    generator = run("cache.md", 1)["Plain"]()
    assert isinstance(generator, ImageGenerator)
    check_image_generator(generator, [{"colour": "red"}, {"colour": "blue"}])
    red, blue = ({"colour": colour} for colour in ("red", "blue"))
    assert generator.cache_key(red) == generator.cache_key(red) != generator.cache_key(blue)


@pytest.fixture
def my_model() -> Iterator[None]:
    """A model that the page's judge asks."""
    module = ModuleType("my_model")
    module.ask = lambda prompt, images, wanted: {  # type: ignore[attr-defined]
        name: len(images) for name in wanted["properties"]
    }
    sys.modules["my_model"] = module
    yield
    del sys.modules["my_model"]


@pytest.mark.usefixtures("my_model")
def test_the_judge_of_the_page_keeps_its_contract(run: Run) -> None:
    judge = run("llm-judge.md", 1)["MyJudge"]()
    assert isinstance(judge, Judge)
    check_judge(judge)


def test_the_space_of_the_page_for_ray_tune_is_one(tmp_path: Path) -> None:
    (code,) = blocks("coming-from/ray-tune.md", "python")
    (tmp_path / "space_of_page.py").write_text(code.replace("space = ", "SPACE = "), encoding="utf-8")
    reader = Reader(Document({}))
    given = read_space_module(tmp_path / "space_of_page.py")
    space = read_parameters(reader, "parameters", given, ())
    assert reader.problems == []
    assert space.names == ("amount", "mix")


ORIGINAL = "coming-from/original-pixaris.md"


def test_every_import_path_of_the_original_works() -> None:
    text = (DOCS / ORIGINAL).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(pixaris\.[\w.]+)` \| (.*) \|$", text, flags=re.M)
    assert len(rows) == 16
    for name, _ in rows:
        module, _, thing = name.rpartition(".")
        assert hasattr(import_module(module), thing), name


def test_the_walk_of_the_original_s_readme_runs(
    endpoints: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search_spaces").symlink_to(ROOT / "search_spaces")
    assert main(["dataset", "demo", "local_experiment_inputs/demo"]) == 0
    (code,) = blocks(ORIGINAL, "python")
    assert "localhost:8188" in code
    exec(compile(code.replace("localhost:8188", endpoints[0]), ORIGINAL, "exec"), {})
    assert float(capsys.readouterr().out.splitlines()[-1]) > 0.5
    assert len(list(Path("local_results/demo/cutout/example_run/generated_images").iterdir())) == 12


def test_ray_s_usage_statistics_are_off_as_the_page_of_privacy_says() -> None:
    assert "`RAY_USAGE_STATS_ENABLED=0`" in (DOCS / "privacy.md").read_text(encoding="utf-8")
    assert session._QUIET["RAY_USAGE_STATS_ENABLED"] == "0"
