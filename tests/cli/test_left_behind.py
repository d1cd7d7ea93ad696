"""A search on Ray, seen from outside: who makes what while it runs, and that nothing is left of it once it is
killed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kit import WORKFLOW, start_servers

SLOW = '[{"fault": "delay", "seconds": 60, "after": 4, "times": null}]'  # four images, then nothing for long


@pytest.fixture
def file(tmp_path: Path, cells: Path) -> Path:
    path = tmp_path / "search.yaml"
    content = {
        "name": "cells",
        "project": "tests",
        "dataset": str(cells),
        "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
        "endpoints": {"embedded": 1},
        "parameters": {"value": {"node_name": "Threshold", "input": "value", "grid_search": [0.3, 0.5, 0.7]}},
        "metrics": [{"type": "iou", "reference": "Mask"}],
        "objective": {"metric": "iou"},
        "search": {"algorithm": "grid"},
        "results": "./results",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def rows(url: str) -> list[list[Any]]:
    queue = requests.get(f"{url}/queue", timeout=5).json()
    return [*queue["queue_running"], *queue["queue_pending"]]


def ours(url: str) -> int:
    return sum("pixaris" in row[3] for row in rows(url))


def stranger(url: str) -> str:
    """A prompt that somebody else submits."""
    prompt_id = str(uuid.uuid4())
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "theirs"}},
    }
    requests.post(
        f"{url}/prompt", json={"prompt": graph, "prompt_id": prompt_id, "client_id": "they"}, timeout=5
    )
    return prompt_id


def janitors_of(pid: int) -> list[int]:
    """Janitors that were started by a process."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
        except OSError:
            continue
        if b"pixaris.endpoints.janitor" in words and str(pid).encode() in words:
            found.append(int(folder.name))
    return found


UNASKED = ("log_monitor.py", "monitor.py", "dashboard.py")
"""What Ray starts for people who look at it."""


def started_by(pid: int) -> list[str]:
    """The programs that a process has started."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            parent = (
                (folder / "stat").read_text().rpartition(")")[2].split()[1] if folder.name.isdigit() else ""
            )
            words = (folder / "cmdline").read_bytes().split(b"\0") if parent == str(pid) else []
        except OSError:
            continue
        found += [Path(word.decode(errors="replace")).name for word in words]
    return found


def until(condition: Any, seconds: float) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - started


def shown(file: Path, url: str) -> str:
    """What ``pixaris endpoints`` says of a server."""
    command = [sys.executable, "-m", "pixaris", "endpoints", str(file), url]
    out = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert f"{file.parent / 'results' / 'tests' / 'cells'} runs" in out
    return next(line for line in out.splitlines() if line.startswith(url))


def test_a_search_is_shown_while_it_runs_and_takes_its_prompts_along_when_it_is_killed(
    file: Path, tmp_path: Path
) -> None:
    with start_servers(tmp_path / "servers", 1, "--faults", SLOW) as servers:
        url = servers.processes[0].url
        command = [sys.executable, "-m", "pixaris", "search", str(file), "--endpoint", url]
        search = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            made = file.parent / "results" / "tests" / "cells" / "endpoints.json"
            until(
                lambda: (
                    made.is_file()
                    and json.loads(made.read_text())["endpoints"][0]["done"] == 4
                    and ours(url) == 2
                ),
                60,
            )
            theirs = stranger(url)
            assert re.search(r"busy +1 +1 \+ 1 of others .* healthy +4 +[\d.]+ +0 +– +–", shown(file, url))
            assert len(janitors_of(search.pid)) == 2, "of the pool of the first images, and of the one on Ray"
            assert [name for name in started_by(search.pid) if name in UNASKED] == []
            search.kill()
            requests.delete(f"{url}/pixaris/faults", timeout=5)
            assert until(lambda: ours(url) == 0, 30) < 3
            until(lambda: requests.get(f"{url}/history/{theirs}", timeout=5).json(), 10)
            until(lambda: not janitors_of(search.pid), 30)
            assert ours(url) == 0
        finally:
            search.kill()
            search.wait()
