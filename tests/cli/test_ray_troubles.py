"""Ray's own troubles, as a user of the command meets them: one line, a way out, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import start_servers
from test_commands import children_of, command
from test_commands import file as file  # the fixture

from pixaris.results.records import SearchResult


def run(file: Path, *arguments: str, seconds: float = 120, **environment: str) -> tuple[int, str, str]:
    ended = subprocess.run(
        command("search", file, *arguments),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def is_one_line(err: str) -> bool:
    said = [line for line in err.splitlines() if not line.startswith(("resume with", "to go on with"))]
    return len(said) == 1 and said[0].startswith(("error: ", "stopped: "))


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        (
            "127.0.0.1:9",
            1,
            "no Ray can be reached at 127.0.0.1:9 (Connection refused); start that",
        ),
        ("http://127.0.0.1:8265", 2, "RAY_ADDRESS is the address of Ray's dashboard"),
        ("ray://127.0.0.1:10001", 2, "a search must run inside the cluster"),
        ("gpu-1", 2, "RAY_ADDRESS must be host:port, auto or local (got 'gpu-1')"),
        ("gpu-1.invalid:6379", 1, "no Ray can be reached at gpu-1.invalid:6379"),
        ("127.0.0.1:99999", 1, "no Ray can be reached at 127.0.0.1:99999"),
    ],
)
def test_an_address_that_is_none_is_told_at_once(file: Path, address: str, code: int, words: str) -> None:
    returned, out, err = run(file, seconds=60, RAY_ADDRESS=address)
    assert (returned, is_one_line(err)) == (code, True), err
    assert words in err
    assert "Traceback" not in out + err
    assert not list((file.parent / "results").glob("tests/*")), "an empty folder would be found by --resume"


@pytest.mark.slow
def test_a_long_path_for_temporary_files_and_a_home_that_is_read_only_do_no_harm(
    file: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "scratch-of-a-batch-job-with-a-very-long-name" / "and-another-long-one"
    deep.mkdir(parents=True)
    returned, out, err = run(file, "--set", "parameters.grow=null", TMPDIR=str(deep), HOME="/proc/1")
    assert (returned, err) == (0, ""), err
    assert "winner" in out


@pytest.fixture
def slow_server(tmp_path: Path) -> Iterator[str]:
    """URL of a server that takes its time."""
    faults = '[{"fault": "delay", "seconds": 0.3, "times": null}]'
    with start_servers(tmp_path / "servers", 1, "--faults", faults) as servers:
        yield servers.processes[0].url


def started(file: Path, url: str, images: int = 0, *, own_group: bool = False) -> subprocess.Popen[str]:
    """The search as a process, maybe in a process group of its own, that has made so many images."""
    search = subprocess.Popen(
        command("search", file, "--endpoint", url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0 if own_group else None,
    )
    deadline = time.monotonic() + 120
    folder = file.parent / "results" / "tests" / "cells"
    while len(list(folder.glob("trial_*/generated_images/**/*.png"))) < images:
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return search


@pytest.mark.slow
@pytest.mark.parametrize("process", ["raylet/raylet", "gcs/gcs_server"])
def test_a_search_whose_ray_is_killed_says_so_and_can_be_resumed(
    file: Path, slow_server: str, process: str
) -> None:
    search = started(file, slow_server, images=8)
    (of_ray,) = [pid for pid in children_of([process]) if parent(pid) == search.pid]
    os.kill(of_ray, signal.SIGKILL)
    killed = time.monotonic()
    out, err = search.communicate(timeout=90)
    assert time.monotonic() - killed < 45
    assert search.returncode == 1
    assert "error: Ray has ended unexpectedly: its main process was killed" in err
    assert "--resume" in err
    assert "Traceback" not in out + err
    assert "state-dump" not in out + err
    folder = file.parent / "results" / "tests" / "cells"
    assert SearchResult.load(folder).status == "interrupted"
    returned, _, err = run(file, "--resume", seconds=200)
    assert returned == 0, err
    assert SearchResult.load(folder).status == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_anything_ran_ends_it_and_leaves_no_folder(
    file: Path, slow_server: str, number: signal.Signals
) -> None:
    search = started(file, slow_server)
    folder = file.parent / "results" / "tests" / "cells"
    deadline = time.monotonic() + 60
    while not (folder / "search.json").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    search.send_signal(number)
    out, err = search.communicate(timeout=60)
    assert search.returncode == 130, err
    assert f"it was interrupted ({number.name})" in err
    assert "Traceback" not in out + err
    assert not folder.exists()
    assert children_of(["ray", str(search.pid)]) == []


@pytest.mark.slow
def test_a_signal_to_its_whole_process_group_stops_it_in_order(file: Path, slow_server: str) -> None:
    search = started(file, slow_server, images=5, own_group=True)
    os.killpg(search.pid, signal.SIGTERM)
    out, err = search.communicate(timeout=60)
    assert search.returncode == 130, err
    assert "it was interrupted (SIGTERM)" in err
    assert "--resume" in err
    assert "Failed to connect" not in out + err
    assert children_of(["ray", str(search.pid)]) == []


@pytest.mark.slow
def test_the_second_ctrl_c_says_how_to_go_on_too(file: Path, slow_server: str) -> None:
    search = started(file, slow_server, images=5)
    search.send_signal(signal.SIGINT)
    time.sleep(0.05)
    search.send_signal(signal.SIGINT)
    out, err = search.communicate(timeout=60)
    assert search.returncode == 130
    assert "--resume" in err
    assert "Traceback" not in out + err


def parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
