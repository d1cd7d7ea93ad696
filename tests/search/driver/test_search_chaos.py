"""A whole search while its trial processes are killed: every trial is there at the end, in full."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import resume_kit
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
