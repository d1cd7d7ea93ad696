"""docs/review.md: its commands are right, its code runs, its pictures are there; and the example serves."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from page_kit import address_of, results_of, visitor

from pixaris.cli import parser_of
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.frontend.settings import PageSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "review.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_its_commands_are_right() -> None:
    lines = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 4
    for words in lines:
        options = parser_of(words[1:]).parse_args(words[1:])
        token = "a token" if options.token else ""
        password = "a password" if options.password_file else ""
        PageSettings(options.host, options.port, password, token, options.root_path, options.https).check()


def test_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results_of(tmp_path / "local_results")
    monkeypatch.chdir(tmp_path)
    for code in blocks("python"):
        exec(compile(code, "docs/review.md", "exec"), {})
    (key,) = LocalFeedbackHandler("local_results").iterations()
    (totals,) = LocalFeedbackHandler("local_results").totals(key).values()
    assert totals.likes == 1


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


@pytest.mark.slow
def test_the_example_serves_the_page(tmp_path: Path) -> None:
    results_of(tmp_path / "local_results")
    script = ROOT / "examples" / "frontend" / "deploy_frontend_locally.py"
    process = subprocess.Popen(
        [sys.executable, "-u", str(script), "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert "restore" in visitor(address_of(process)).get("/").text
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
