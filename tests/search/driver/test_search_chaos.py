"""A whole search while its processes are killed and stopped: every trial is there at the end, in full."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import resume_kit
import yaml
from kit import WORKFLOW
from resume_kit import ITEMS, made

from pixaris.search import SearchResult

SETTINGS = (
    "dict(algorithm='random', algorithm_options={}, scheduler='fifo', num_samples=24, step=1,"
    " max_concurrent=2)"
)


def descendants(pid: int) -> dict[int, str]:
    """Process id to command, of everything below a process."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    parents: dict[int, list[tuple[int, str]]] = {}
    for line in rows.stdout.splitlines():
        child, parent, command = line.split(None, 2)
        parents.setdefault(int(parent), []).append((int(child), command))
    found: dict[int, str] = {}
    todo = [pid]
    while todo:
        for child, command in parents.get(todo.pop(), ()):
            found[child] = command
            todo.append(child)
    return found


def trial_processes(pid: int) -> list[int]:
    """The processes that run trials, or are about to."""
    titles = ("ray::ExperimentTrial", "ray::ResourceTrainable")
    return [child for child, command in descendants(pid).items() if command.startswith(titles)]


@pytest.mark.timeout(600)
def test_trial_processes_that_are_killed_lose_no_trial(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    draw = random.Random(request.config.getoption("--chaos-seed"))
    wanted = max(6, request.config.getoption("--chaos-requests") // 60)
    process = resume_kit.start(tmp_path, 0.05, SETTINGS)
    kills = 0
    while process.poll() is None and kills < wanted:
        time.sleep(draw.uniform(0.05, 1.2))
        targets = trial_processes(process.pid) if made(tmp_path).total() else []
        if targets:
            try:
                os.kill(draw.choice(targets), signal.SIGKILL)
            except ProcessLookupError:
                continue
            kills += 1
    assert process.wait(timeout=300) == 0, (tmp_path / "stderr.txt").read_text()[-3000:]
    assert kills >= 4
    result = SearchResult.load(tmp_path / "tests" / "gray")
    assert result.status == "finished"
    assert [trial.number for trial in result.trials] == list(range(25))
    assert {trial.status for trial in result.trials} == {"finished"}
    assert all(trial.items == trial.scored == ITEMS for trial in result.trials)


FILE = {
    "name": "cells",
    "project": "tests",
    "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
    "parameters": {
        "value": {"node_name": "Threshold", "input": "value", "uniform": [0.2, 0.8]},
        "grow": {"node_name": "Grow", "input": "expand", "randint": [0, 4]},
    },
    "metrics": [{"type": "iou", "reference": "Mask"}],
    "objective": {"metric": "iou"},
    "search": {"algorithm": "random", "num_samples": 30, "scheduler": "fifo", "seed": 3},
    "results": "./results",
    "cache": False,
}
SLOW = json.dumps([{"fault": "delay", "seconds": 0.2, "times": None}])
SERVER = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}", "--faults", SLOW]

TITLES = {
    "trial": ("ray::ExperimentTrial", "ray::ResourceTrainable"),
    "worker": ("ray::WorkerActor",),
    "pool": ("ray::PoolActor",),
}


def search_file(folder: Path, cells: Path, endpoints: dict[str, Any], **changes: Any) -> Path:
    folder.mkdir()
    path = folder / "search.yaml"
    path.write_text(yaml.safe_dump({**FILE, "dataset": str(cells), "endpoints": endpoints, **changes}))
    return path


def begin(file: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pixaris", "search", str(file), *options],
        stdout=(file.parent / "out.txt").open("ab"),
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def processes(pid: int, kind: str) -> list[int]:
    below = descendants(pid)
    if kind == "server":
        return [child for child, command in below.items() if "pixaris.comfyui.server" in command]
    return [child for child, command in below.items() if command.startswith(TITLES[kind])]


def scores(folder: Path) -> dict[int, Any]:
    result = SearchResult.load(folder / "results" / "tests" / "cells")
    assert result.status == "finished"
    assert {trial.status for trial in result.trials} == {"finished"}
    return {trial.number: trial.item_scores for trial in result.trials}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory, cells: Path) -> dict[int, Any]:
    """The scores of the search where nothing goes wrong."""
    folder = tmp_path_factory.mktemp("quiet") / "search"
    file = search_file(folder, cells, {"embedded": 2})
    assert begin(file).wait(timeout=300) == 0, (folder / "out.txt").read_text()
    return scores(folder)


def kill_something(draw: random.Random, pid: int) -> str:
    """Kill a process of a search, or the search itself; says what it was, "" where there was nothing."""
    kind = draw.choice(["trial", "trial", "worker", "pool", "server", "server", "driver"])
    targets = [pid] if kind == "driver" else processes(pid, kind)
    if not targets:
        return ""
    with contextlib.suppress(ProcessLookupError):
        os.kill(draw.choice(targets), signal.SIGKILL)
    return kind


@pytest.mark.timeout(3600)
def test_whatever_is_killed_the_search_ends_with_the_same_scores(
    tmp_path: Path, cells: Path, truth: dict[int, Any], request: pytest.FixtureRequest
) -> None:
    draw = random.Random(request.config.getoption("--chaos-seed"))
    wanted = max(8, request.config.getoption("--chaos-requests") // 50)
    file = search_file(tmp_path / "search", cells, {"managed": {"command": SERVER, "replicas": 3}})
    output = file.parent / "out.txt"
    process = begin(file)
    kills: Counter[str] = Counter()
    while process.poll() is None:
        time.sleep(draw.uniform(0.5, 3.0))
        started = "trial" in output.read_text(errors="replace") and processes(process.pid, "trial")
        if kills.total() < wanted and started:
            killed = kill_something(draw, process.pid)
            kills.update([killed] if killed else [])
            if killed == "driver":
                process.wait()
                process = begin(file, "--resume")
    assert process.returncode == 0, output.read_text()[-3000:]
    assert kills.total() >= 4, kills
    assert scores(file.parent) == truth
    assert "Traceback" not in output.read_text()


@pytest.mark.timeout(600)
def test_processes_that_are_stopped_are_told_and_replaced(
    tmp_path: Path, cells: Path, truth: dict[int, Any]
) -> None:
    file = search_file(tmp_path / "search", cells, {"managed": {"command": SERVER, "replicas": 2}})
    process = begin(file)
    stopped: dict[str, int] = {}
    deadline = time.monotonic() + 120
    while len(stopped) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        if (file.parent / "results" / "tests" / "cells" / "trials.jsonl").exists():
            found = {kind: processes(process.pid, kind) for kind in TITLES}
            if all(found.values()):
                stopped = {kind: pids[0] for kind, pids in found.items()}
                for pid in stopped.values():
                    os.kill(pid, signal.SIGSTOP)
    assert len(stopped) == 3, "they were all at work once"
    assert process.wait(timeout=300) == 0, (file.parent / "out.txt").read_text()[-3000:]
    said = (file.parent / "out.txt").read_text()
    for words in ("the endpoint pool", "an endpoint worker", "a trial's process"):
        assert f"{words} (process" in said
    assert scores(file.parent) == truth
