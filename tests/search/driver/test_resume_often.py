"""Searches that are killed again and again, at any moment, in any way."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import resume_kit
from resume_kit import facts, made

from pixaris.search import SearchResult

CHANGES = {
    "grid, fifo": (
        "dict(algorithm='grid', algorithm_options={}, scheduler='fifo', num_samples=None, step=None,"
        " space=GRID)"
    ),
    "random, median, two at once": (
        "dict(algorithm='random', algorithm_options={}, scheduler='median', max_concurrent=2)"
    ),
    "tpe without a seed, asha, two at once": "dict(seed=None, max_concurrent=2)",
    "random, hyperband": (
        "dict(algorithm='random', algorithm_options={}, scheduler='hyperband', num_samples=8)"
    ),
}


def children(pid: int) -> list[int]:
    """All processes below one."""
    found = []
    for line in subprocess.run(
        ["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout.splitlines():
        child, parent = map(int, line.split())
        if parent == pid:
            found += [child, *children(child)]
    return found


def kill(process: subprocess.Popen[bytes], how: str) -> None:
    if how == "driver":
        process.send_signal(signal.SIGKILL)
    elif how == "interrupt":
        process.send_signal(signal.SIGINT)
    else:
        for pid in children(process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    process.wait(timeout=120)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", CHANGES)
def test_whatever_kills_it_and_whenever_no_image_is_made_twice_and_the_ranking_is_the_same(
    name: str, tmp_path: Path
) -> None:
    draw = random.Random(name)
    kills = 0
    process = resume_kit.start(tmp_path, 0.1, CHANGES[name])
    for how in ("driver", "ray", "interrupt", "driver"):
        goal = made(tmp_path).total() + draw.randint(1, 14)
        while process.poll() is None and made(tmp_path).total() < goal:
            time.sleep(0.02)
        time.sleep(draw.random() * 0.3)
        if process.poll() is None:
            kill(process, how)
            kills += 1
            time.sleep(3)  # its trials' processes end with it, but not at once
        before = over(tmp_path)
        process = resume_kit.start(tmp_path, 0.1, CHANGES[name])
        process.poll()
        assert before.items() <= over(tmp_path).items()
    assert process.wait(timeout=300) == 0, (tmp_path / "stderr.txt").read_text()[-3000:]
    assert kills >= 2
    result = SearchResult.load(tmp_path / "tests" / "gray")
    assert result.status == "finished"
    under_way = (
        2 * 2
    )  # trials at once, each with the image being made, and one that was made and not handed over yet
    assert sum(count - 1 for count in made(tmp_path).values()) <= kills * under_way
    # the same sets in a search that nobody disturbs have the same scores, and so the same ranking
    for trial in result.trials:
        level = [score for score in trial.item_scores if score is not None]
        expected = max(0, int(255 * (1 - abs(float(trial.values["x"]) - 0.3)) * int(trial.values["k"]) / 5))
        assert level == [
            expected + index / 7 for index, score in enumerate(trial.item_scores) if score is not None
        ]
    whole = [trial for trial in result.trials if trial.status == "finished"]
    assert result.best == max(whole, key=lambda trial: (trial.objective or 0.0, -trial.number))
    assert [trial.number for trial in result.trials] == list(range(len(result.trials)))
    assert len({str(sorted(trial.values.items())) for trial in result.trials}) == len(result.trials)


def over(results: Path) -> dict[int, tuple[object, ...]]:
    """What is known of the trials that are over."""
    folder = results / "tests" / "gray"
    if not (folder / "search.json").is_file():
        return {}
    return {fact[0]: fact for fact in facts(SearchResult.load(folder)) if fact[1] in ("finished", "stopped")}
