"""``pixaris endpoints``: who answers, what runs there and whose it is, what a running search makes of
them.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
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

from pixaris.cli import main
from pixaris.endpoints.base import EndpointStatus
from pixaris.files import write_json
from pixaris.results.endpoints_file import running_search, write_endpoints

DEAD = "http://127.0.0.1:9"
SLOW = '[{"fault": "delay", "seconds": 60, "times": null}]'


def search_file(folder: Path, dataset: Path | str, endpoints: Any) -> Path:
    path = folder / "search.yaml"
    content = {
        "name": "cells",
        "project": "tests",
        "dataset": str(dataset),
        "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
        "endpoints": endpoints,
        "parameters": {"value": {"node_name": "Threshold", "input": "value", "grid_search": [0.3, 0.5, 0.7]}},
        "metrics": [{"type": "iou", "reference": "Mask"}],
        "objective": {"metric": "iou"},
        "search": {"algorithm": "grid"},
        "results": "./results",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def line(out: str, start: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(start))


def submit(url: str, **extra_data: Any) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    body = {"prompt": graph, "prompt_id": str(uuid.uuid4()), "client_id": "c", "extra_data": extra_data}
    requests.post(f"{url}/prompt", json=body, timeout=5).raise_for_status()


def test_two_servers_and_one_that_is_dead(endpoints: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", *endpoints, DEAD, "--once"]) == 0
    out = capsys.readouterr().out
    for url in endpoints:
        assert re.search(r"healthy +0 +0 +[\d.]+ +cpu \w+ +[\d.]+ of [\d.]+ GiB", line(out, url))
    assert re.search(r"does not answer: cannot be reached: Connection refused +– +– +–", line(out, DEAD))
    assert "images/s" not in out, "no search, nothing to say of one"


def test_none_that_answers_is_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["endpoints", DEAD]) == 3
    assert "does not answer" in capsys.readouterr().out


def test_prompts_of_others_are_told_from_those_of_pixaris(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_servers(tmp_path, 1, "--faults", SLOW) as servers:
        url = servers.processes[0].url
        submit(url, pixaris={"session": "s", "request": "r"})
        for _ in range(2):
            submit(url)
        submit(url, pixaris={"session": "s", "request": "t"})
        time.sleep(0.2)
        assert main(["endpoints", url]) == 0
    assert re.search(r"busy +1 +1 \+ 2 of others ", line(capsys.readouterr().out, url))


def test_a_file_whose_search_does_not_run_says_so(
    tmp_path: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = search_file(tmp_path, "no/such/dataset", [endpoints[0], {"embedded": 2}])
    assert main(["endpoints", str(file), endpoints[1]]) == 0
    out = capsys.readouterr().out
    for url in endpoints:
        assert re.search(r"healthy .* – +– +– +– +– +–", line(out, url))
    assert f"no search of {file} runs now" in out
    assert "2 embedded: started with a search, and none runs now" in out


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("gpu-1:8188", "write http://gpu-1:8188"),
        ("http://", "needs a host"),
        ("http://user:secret@gpu-1:8188", "***"),
        ("nothing.yaml", "nothing.yaml"),
    ],
)
def test_what_is_no_endpoint_is_told_with_the_way_out(
    target: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["endpoints", target]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "secret" not in err
    assert "--endpoint" not in err


def test_wrong_endpoints_of_a_file_are_told_and_what_else_is_wrong_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = search_file(tmp_path, "no/such/dataset", ["ftp://gpu-1"])
    assert main(["endpoints", str(file)]) == 2
    err = capsys.readouterr().err
    assert "endpoints.0 (line " in err
    assert "dataset" not in err


def test_only_a_search_that_runs_now_counts_and_the_newest_of_a_name(tmp_path: Path) -> None:
    made = [
        EndpointStatus("http://a", "healthy", done=number, speed=0.5, models=("ckpt_name=x",))
        for number in range(5)
    ]
    for folder, status, number, when in (
        ("cells", "finished", 0, 100.0),
        ("cells-2", "running", 1, 40.0),  # it was killed
        ("cells-3", "running", 2, 98.0),
        ("cells-4", "running", 3, 99.0),
        ("cells_other", "running", 4, 100.0),
    ):
        write_json(tmp_path / folder / "search.json", {"status": status})
        write_endpoints(tmp_path / folder, [made[number]], when)
    assert running_search(tmp_path, "cells", 100.0) == (tmp_path / "cells-4", (made[3],))
    assert running_search(tmp_path, "cells", 200.0) is None
    file = tmp_path / "cells.yaml"
    file.write_text("name: cells")
    assert running_search(tmp_path, "no such name", 100.0, file) is None
    (tmp_path / "cells-4" / "search.yaml").write_text("name: cells")
    assert running_search(tmp_path, "no such name", 100.0, file) == (tmp_path / "cells-4", (made[3],))
    assert running_search(tmp_path / "none", "cells", 100.0) is None


def test_on_a_terminal_the_table_stays_until_ctrl_c(endpoints: list[str]) -> None:
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "pixaris", "endpoints", *endpoints]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    live = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    try:
        seen = b""
        while seen.count(b"healthy") < 4:  # both, and again after a second
            seen += os.read(screen, 1 << 16)
        live.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # its end of the terminal is closed
            while True:  # as a terminal does: who writes to one that is full waits
                seen += os.read(screen, 1 << 16)
        assert live.wait(10) == 0
        assert b"Traceback" not in seen
    finally:
        live.kill()
        live.wait()
        os.close(screen)
