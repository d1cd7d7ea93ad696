"""Server processes: they come up, come back, and go, however the process that started them went."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit import server
from pool_kit import until

from pixaris.endpoints.sources.base import ServerCommand
from pixaris.endpoints.sources.process import ServerProcess, ServerProcesses, free_ports
from pixaris.exceptions import ConfigurationError, UnreachableError

STUBBORN = "trap '' TERM; echo $$ >> pids; while :; do sleep 0.1; done"
"""A script that writes down its process id and ignores SIGTERM."""


def shell(script: str, folder: Path, **options: float) -> ServerCommand:
    return ServerCommand(
        ("sh", "-c", script), working_directory=str(folder), **{"start_timeout": 5.0, **options}
    )  # type: ignore[arg-type]


def process(
    command: ServerCommand, folder: Path, ready: Callable[[str], None] | None = None, **options: float
) -> ServerProcess:
    return ServerProcess(command, folder / "server.log", ready or command.probe, free_ports(1)[0], **options)


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids(folder: Path, count: int) -> list[int]:
    """The process ids that scripts wrote down in a folder."""
    file = folder / "pids"
    until(lambda: file.exists() and len(file.read_text().split()) == count)
    return [int(word) for word in file.read_text().split()]


# Coming up


def test_replicas_come_up_and_a_killed_one_comes_back_on_its_port(tmp_path: Path) -> None:
    with ServerProcesses(server(2).servers(), tmp_path) as fleet:
        first, second = fleet.processes
        assert first.url != second.url
        for each in fleet.processes:
            each.server.probe(each.url)
        url, pid = first.url, first.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: first.restarts == 1 and first.pid not in (None, pid))
        until(lambda: reachable(url))
        assert (first.url, second.restarts) == (url, 0)
        running = [each.pid for each in fleet.processes]
    assert not [pid for pid in running if pid is None or alive(pid)]
    assert first.pid is None


def reachable(url: str) -> bool:
    try:
        server().servers()[0].probe(url)
    except UnreachableError:
        return False
    return True


def test_a_command_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    source = shell(
        "for n in 1 2 3; do echo line $n; done; echo no such checkpoint >&2; exit 7",
        tmp_path,
        start_timeout=60.0,
    )
    started = time.monotonic()
    with pytest.raises(UnreachableError) as caught:
        ServerProcesses([source], tmp_path).start()
    assert time.monotonic() - started < 5
    assert "it ended with code 7" in str(caught.value)
    assert "line 3\nno such checkpoint" in str(caught.value)


def test_a_command_that_never_answers_is_given_up_after_its_time_and_all_are_stopped(tmp_path: Path) -> None:
    sources = [shell("echo $$ >> pids; echo loading; exec sleep 60", tmp_path, start_timeout=0.7)] * 2
    with pytest.raises(UnreachableError, match=r"refused(.|\n)*loading"):
        ServerProcesses(sources, tmp_path).start()
    assert not [pid for pid in pids(tmp_path, 2) if alive(pid)]


def test_an_interrupted_start_leaves_nothing_running(tmp_path: Path) -> None:
    def ctrl_c(url: str) -> None:
        pids(tmp_path, 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ServerProcesses([shell("echo $$ >> pids; exec sleep 60", tmp_path)], tmp_path, ctrl_c).start()
    assert not [pid for pid in pids(tmp_path, 1) if alive(pid)]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (ServerCommand(("no-such-program-anywhere", "{port}")), "is not a program"),
        (ServerCommand(("./no-such-script",)), "is not a program"),
        (ServerCommand(()), "is not a program"),
        (ServerCommand(("sh",), working_directory="/no/such/folder"), "is not a folder"),
    ],
)
def test_a_missing_program_or_folder_is_a_mistake_in_the_configuration(
    tmp_path: Path, source: ServerCommand, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ServerProcesses([source], tmp_path).start()


def test_a_program_is_found_from_its_working_directory_and_by_its_own_path(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text("#!/bin/sh\necho started by $0; exit 3\n")
    script.chmod(0o755)
    for source in (
        ServerCommand(("./start.sh",), working_directory=str(tmp_path)),
        ServerCommand(("start.sh",), environment={"PATH": f"{tmp_path}:/bin:/usr/bin"}),
    ):
        with pytest.raises(UnreachableError, match=r"started by .*start\.sh"):
            ServerProcesses([source], tmp_path).start()


def test_a_file_that_cannot_be_executed_is_told_at_once(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01\x02")
    program.chmod(0o755)
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="cannot be run"):
        ServerProcesses([ServerCommand((str(program),))], tmp_path).start()
    assert time.monotonic() - started < 5


# Going


@pytest.mark.parametrize(
    ("script", "count"), [("sh stubborn & exec sh stubborn", 2), ("sh stubborn & exec sleep 60", 1)]
)
def test_stop_ends_everything_a_command_started_whatever_it_ignores(
    tmp_path: Path, script: str, count: int
) -> None:
    (tmp_path / "stubborn").write_text(STUBBORN)
    one = process(shell(script, tmp_path), tmp_path, grace=0.4)
    one.start()
    found = pids(tmp_path, count)
    until(lambda: one.pid is not None, 10)  # a process may write before who started it has noted it
    found.append(one.pid or 0)
    assert all(alive(pid) for pid in found)
    started = time.monotonic()
    one.stop()
    assert time.monotonic() - started < 3
    until(lambda: not [pid for pid in found if alive(pid)], 2)


def test_a_server_whose_wrapper_dies_is_ended_before_the_next_one_starts(tmp_path: Path) -> None:
    one = process(shell("sleep 60 & echo $! >> pids; wait", tmp_path), tmp_path)
    one.start()
    try:
        (child,) = pids(tmp_path, 1)
        deadline = time.monotonic() + 10
        while (wrapper := one.pid) is None and time.monotonic() < deadline:
            time.sleep(0.01)  # the process writes before the thread that started it has noted it
        assert wrapper is not None
        os.kill(wrapper, signal.SIGKILL)
        assert len(pids(tmp_path, 2)) == 2
        assert not alive(child), "it would hold the port"
    finally:
        one.stop()


PARENT = """
import sys, time
from pathlib import Path
from pixaris.endpoints.sources.base import ServerCommand
from pixaris.endpoints.sources.process import ServerProcesses
folder = Path(sys.argv[1])
sources = [ServerCommand(("sh", "-c", script), working_directory=str(folder)) for script in sys.argv[2:]]
with ServerProcesses(sources, folder, lambda url: None):
    print("started", flush=True)
    time.sleep(60)
"""


def test_servers_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    scripts = ["echo $$ >> pids; exec sleep 60", "sleep 60 & echo $! >> pids; wait", STUBBORN]
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), *scripts], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        found = pids(tmp_path, 3)
        assert all(alive(pid) for pid in found)
    finally:
        parent.kill()
        parent.communicate()
    until(lambda: not [pid for pid in found if alive(pid)], 5)
