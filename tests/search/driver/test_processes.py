"""Who counts as frozen: stopped for long enough, each time somebody looked who was awake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pixaris.search.driver.processes import Process, StoppedProcesses, is_stopped


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


ONE, OTHER = Process("node", 1, "a trial's process"), Process("node", 2, "an endpoint worker")


def test_who_was_stopped_all_the_time_is_given_up_and_nobody_else() -> None:
    counts = StoppedProcesses(30.0)
    assert counts.look([ONE], 0.0) == []
    assert counts.look([ONE, OTHER], 15.0) == []
    assert counts.look([ONE, OTHER], 29.0) == []
    assert counts.look([ONE, OTHER], 30.0) == [ONE]


def test_who_went_on_in_between_starts_anew() -> None:
    counts = StoppedProcesses(30.0)
    counts.look([ONE], 0.0)
    counts.look([], 15.0)
    counts.look([ONE], 20.0)
    assert counts.look([ONE], 40.0) == []
    assert counts.look([ONE], 50.0) == [ONE]


def test_a_judge_that_was_asleep_itself_gives_nobody_up() -> None:
    counts = StoppedProcesses(30.0)
    counts.look([ONE], 0.0)
    assert counts.look([ONE], 3600.0) == [], "the whole machine was suspended"
    assert counts.look([ONE], 3602.0) == []
    assert counts.look([ONE], 3618.0) == []
    assert counts.look([ONE], 3631.0) == [ONE]


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "asleep"])
def test_only_a_signal_stops_a_process(busy: bool) -> None:
    code = "while True: pass" if busy else "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            assert not is_stopped(process.pid)
            os.kill(process.pid, signal.SIGSTOP)
            until(lambda: is_stopped(process.pid))
            os.kill(process.pid, signal.SIGCONT)
            until(lambda: not is_stopped(process.pid))
        finally:
            process.kill()
    assert not is_stopped(process.pid), "one that is gone is not stopped"
