"""docs/report.md: its commands and code run, its pictures are there, and it names what a search prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from search_kit import Made, made_search

from pixaris.cli import COMMANDS, main
from pixaris.cli.looking import lines
from pixaris.report import write

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.M | re.S)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two searches."""
    for number, name in enumerate(("restore", "grade")):
        made_search(tmp_path / "local_results" / "demo" / name, Made(seed=number + 1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIXARIS_RESULTS_DIR", "local_results")
    return tmp_path


def test_the_commands_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    served = [command for command in commands if command[1] == "tensorboard"]
    assert served == [["pixaris", "tensorboard", "restore"]]  # a test of its own serves it
    for command in commands:
        if command in served or "--open" in command:
            continue
        assert main(command[1:]) == 0
        written = Path(capsys.readouterr().out.splitlines()[0])
        assert written.is_file()
    assert all(command[1] in COMMANDS for command in commands)


def test_the_code_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for code in blocks("python"):
        exec(compile(code, "docs/report.md", "exec"), {})
    assert Path(capsys.readouterr().out.strip()).is_file()


def test_the_last_lines_of_a_search_are_those_of_the_page(here: Path) -> None:
    result = made_search(here / "local_results" / "demo" / "again")
    write(result)
    (example,) = blocks("text")
    named = [line.split()[0] for line in lines(result)]
    shown = re.findall(r"^  (\w+)", example, re.M)
    assert [name for name in shown if name in named] == named
    assert named[-1] == "report"


def test_its_pictures_are_there() -> None:
    for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE):
        assert (ROOT / "docs" / target).is_file()
