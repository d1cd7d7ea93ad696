"""Whole commands over endpoints that want credentials, come late, or never come."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from comfyui.gateway import gateway
from kit import WORKFLOW

from pixaris.cli import main

pytestmark = pytest.mark.usefixtures("ray_session")

SERVER = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}"]


def write(folder: Path, cells: Path, endpoints: Any) -> str:
    file = folder / "search.yaml"
    content = {
        "name": "found",
        "project": "tests",
        "dataset": str(cells),
        "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
        "endpoints": endpoints,
        "parameters": {"value": {"node_name": "Threshold", "input": "value", "grid_search": [0.4, 0.6]}},
        "metrics": [{"type": "iou", "reference": "Mask"}],
        "objective": {"metric": "iou"},
        "search": {"algorithm": "grid", "scheduler": "fifo"},
        "results": "./results",
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


def kept(folder: Path) -> bytes:
    """Everything that lies in a folder."""
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_credentials_reach_the_server_and_nobody_else(
    tmp_path: Path,
    cells: Path,
    endpoints: list[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMFY_TOKEN", "Bearer do-not-show-me")
    monkeypatch.setenv("COMFY_AUTH", "me:do-not-show-me")
    basic = {"Authorization": "Basic bWU6ZG8tbm90LXNob3ctbWU="}
    with (
        gateway(endpoints[0], headers={"Authorization": "Bearer do-not-show-me"}) as first,
        gateway(endpoints[1], headers=basic) as second,
        gateway(endpoints[1], headers=basic) as third,
    ):
        sources = [
            {"url": first.url, "headers": {"Authorization": {"env": "COMFY_TOKEN"}}},
            {"dns": f"localhost:{second.url.rpartition(':')[2]}", "basic_auth": {"env": "COMFY_AUTH"}},
            third.url.replace("http://", "http://me:do-not-show-me@"),
        ]
        file = write(tmp_path, cells, sources)
        assert main(["run", file]) == 0
        assert main(["search", file]) == 0
        assert all(each.count("POST /prompt") > 0 for each in (first, second, third))
        second.required["Authorization"] = third.required["Authorization"] = "changed"
        shown = "".join(capfd.readouterr())
        assert main(["check", file]) == 0, "one of three is enough"
        checked = "".join(capfd.readouterr())
        assert checked.count("401") == 2
    copy = (tmp_path / "results" / "tests" / "found" / "search.yaml").read_text()
    assert "COMFY_TOKEN" in copy
    assert "http://***@127.0.0.1" in copy
    for secret in ("do-not-show-me", "bWU6ZG8tbm90LXNob3ctbWU"):
        assert secret not in shown + checked
        assert secret.encode() not in kept(tmp_path / "results")


def test_a_search_starts_with_what_answers_and_tells_what_does_not(
    tmp_path: Path, cells: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = {"managed": {"command": ["sh", "-c", "echo no model called sd15; exit 3", "{port}"]}}
    file = write(tmp_path, cells, [broken, {"managed": {"command": SERVER}}, "http://127.0.0.1:9"])
    assert main(["search", file]) == 0
    out, _ = capfd.readouterr()
    assert "no model called sd15" in out
    assert "winner" in out
    lines = (tmp_path / "results" / "tests" / "found" / "trials.jsonl").read_text().splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"finished"}
    assert main(["run", write(tmp_path, cells, [broken, {"managed": {"command": SERVER}}])]) == 0
    assert "no model called sd15" in capfd.readouterr().out


@pytest.mark.parametrize("command", ["search", "run"])
def test_if_no_server_comes_up_its_log_says_why(
    tmp_path: Path, cells: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    broken = {"managed": {"command": ["sh", "-c", "echo no model called sd15; exit 3", "{port}"]}}
    assert main([command, write(tmp_path, cells, broken)]) == 3
    out, err = capfd.readouterr()
    assert "\nerror: " in f"\n{err}"
    assert "ended with code 3" in err
    assert "no model called sd15" in err
    assert "no trial has a score" not in out
    unknown = {"managed": {"command": ["no-such-program", "{port}"]}}
    assert main([command, write(tmp_path, cells, unknown)]) == 2
    assert "'no-such-program' is not a program" in capfd.readouterr().err


def test_servers_that_were_started_must_have_the_workflows_nodes(
    tmp_path: Path, cells: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert os.sep in SERVER[0]
    file = write(tmp_path, cells, {"managed": {"command": SERVER}})
    wrong = ["--set", "parameters.value.grid_search=[0.5, 7.0]"]
    assert main(["run", file, *wrong]) == 2
    assert "at most 1" in capfd.readouterr().err
