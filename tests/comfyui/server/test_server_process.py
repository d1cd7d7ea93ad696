"""The server as a process: its one line, its options, its end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from pixaris.comfyui.server.__main__ import main
from pixaris.comfyui.server.faults import CRASH_EXIT_CODE


class Process:
    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pixaris.comfyui.server", "--port", "0", *arguments]
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.popen.stdout is not None
        self.line = self.popen.stdout.readline()
        self.url = self.line.strip().removeprefix("Listening on ")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(timeout=10)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start processes in a folder of the test's: one that is killed cannot remove a private one."""
    started: list[Process] = []

    def run(*arguments: str) -> Process:
        started.append(Process("--base-directory", str(tmp_path), *arguments))
        return started[-1]

    yield run
    for process in started:
        process.popen.kill()
        process.popen.communicate(timeout=10)


def empty(width: int = 8) -> dict[str, Any]:
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": width, "height": 8, "batch_size": 1, "color": 0},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }


def submit(url: str, **more: Any) -> requests.Response:
    return requests.post(f"{url}/prompt", json={"prompt": empty(), "client_id": "c", **more}, timeout=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_prints_one_line_serves_and_stops_cleanly(start: Start, tmp_path: Path, number: int) -> None:
    process = start()
    assert re.fullmatch(r"Listening on http://127\.0\.0\.1:\d+\n", process.line)
    assert submit(process.url).status_code == 200
    assert requests.get(f"{process.url}/system_stats", timeout=5).json()["system"]["argv"][-1] == str(
        tmp_path
    )
    assert process.end(number) == 0
    out, err = process.popen.communicate()
    assert (out, err) == ("", "")
    assert (tmp_path / "output").is_dir()
    with pytest.raises(requests.ConnectionError):
        requests.get(process.url, timeout=1)


def test_what_is_in_memory_is_gone_after_a_restart_and_files_stay(start: Start, tmp_path: Path) -> None:
    first = start()
    prompt_id = submit(first.url).json()["prompt_id"]
    while not requests.get(f"{first.url}/history/{prompt_id}", timeout=5).json():
        time.sleep(0.01)
    (tmp_path / "temp" / "old.png").write_bytes(b"x")
    first.popen.kill()
    second = start()
    assert requests.get(f"{second.url}/history/{prompt_id}", timeout=5).json() == {}
    assert not (tmp_path / "temp" / "old.png").exists()
    reply = submit(second.url)
    assert reply.json()["number"] == 0
    while not requests.get(f"{second.url}/history", timeout=5).json():
        time.sleep(0.01)
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["x_00001_.png", "x_00002_.png"]


def test_websockets_are_cut_when_it_stops(start: Start) -> None:
    import websocket

    process = start()
    ws = websocket.create_connection(process.url.replace("http", "ws") + "/ws?clientId=c", timeout=5)
    ws.recv()
    process.popen.send_signal(signal.SIGTERM)
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        ws.recv()
    assert process.popen.wait(timeout=5) == 0


def test_crash_fault_ends_the_process(start: Start) -> None:
    process = start("--faults", '[{"fault": "crash", "after": 1}]')
    assert submit(process.url).status_code == 200
    with suppress(requests.ConnectionError):  # the crash may overtake the answer
        submit(process.url)
    assert process.popen.wait(timeout=10) == CRASH_EXIT_CODE


def test_endless_hang_is_deaf_to_sigterm_but_not_to_sigkill(start: Start) -> None:
    process = start("--faults", '[{"fault": "hang", "route": "/queue"}]')
    with pytest.raises(requests.Timeout):
        requests.get(f"{process.url}/queue", timeout=0.2)
    process.popen.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.popen.wait(timeout=0.3)
    process.popen.kill()
    assert process.popen.wait(timeout=5) == -signal.SIGKILL


def test_taken_port_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--faults", '[{"fault": "flood"}]'], ["--cache-lru", "0"], ["--cache-lru", "2", "--cache-none"]],
)
def test_wrong_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


def test_it_starts_without_ray_and_scikit_image() -> None:
    names = ("ray", "skimage", "requests", "pydantic")
    code = (
        f"import sys, pixaris.comfyui.server.__main__; sys.exit(sum(name in sys.modules for name in {names}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
