"""The tutorials that need neither models nor accounts, walked command by command in an empty folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from kit import start_servers

from pixaris.cli import main

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"

pytestmark = pytest.mark.usefixtures("ray_session")


def lines(page: str) -> list[str]:
    text = (TUTORIALS / page).read_text(encoding="utf-8")
    found = re.findall(r"^```sh\n(.*?)^```", text, flags=re.M | re.S)
    return [line for block in found for line in block.splitlines()]


def walk(commands: list[str]) -> None:
    """Call every command in its order; ``cd`` is followed until the end."""
    with contextlib.chdir(Path.cwd()):
        for line in commands:
            program, *words = shlex.split(line)
            if program == "cd":
                os.chdir(words[0])
            else:
                assert program == "pixaris", line
                assert main(words) == 0, line


def test_the_first_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make, activate, install, demonstrate, enter, *rest = lines("first-search.md")
    assert (make, activate, install) == ("python3 -m venv .venv", ". .venv/bin/activate", "pip install .")
    assert (demonstrate, enter) == ("pixaris demo", "cd pixaris-demo")
    # the demo's whole search runs with the wheel; here it is a shorter one
    short = "pixaris search search_spaces/restore.yaml --set budget.images=24 --set search.algorithm=random"
    walk(["pixaris demo --files-only", enter, short, *rest])
    assert "images 24 of 24" in capsys.readouterr().out
    demo = tmp_path / "pixaris-demo"
    assert json.loads((demo / "best_apiformat.json").read_text())
    assert (demo / "local_results" / "demo" / "restore" / "report.html").is_file()
    assert (demo / "local_results" / "demo" / "restore-2").is_dir()


def test_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "search_spaces").symlink_to(ROOT / "search_spaces")
    walk(lines("masks.md"))
    assert re.search(r"^mean +1\.0000 +1\.0000$", capsys.readouterr().out, re.M), (
        "masks held against themselves"
    )
    assert (tmp_path / "local_results" / "demo" / "cutout" / "trials.jsonl").is_file()


def test_three_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = lines("three-servers.md")
    started = [line for line in commands if line.endswith("&")]
    assert started == [f"pixaris serve --port {port} &" for port in (8188, 8189, 8190)]
    rest = "\n".join(line for line in commands if line not in started)
    with start_servers(tmp_path / "servers", 3) as servers:
        for port, process in zip((8188, 8189, 8190), servers.processes, strict=True):
            rest = rest.replace(f"http://localhost:{port}", process.url)
        walk(rest.splitlines())
    search = tmp_path / "local_results" / "default" / "mine"
    used = {
        json.loads(line)["endpoint"] for file in search.glob("trial_*/items.jsonl") for line in file.open()
    }
    assert used == {process.url for process in servers.processes}
    assert "7 trials" in capsys.readouterr().out
