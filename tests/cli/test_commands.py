"""The commands as processes: what they print, where results lie, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml
from kit import WORKFLOW, start_servers

from pixaris.cli import main
from pixaris.results.records import SearchResult

FILE = {
    "name": "cells",
    "project": "tests",
    "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
    "endpoints": {"embedded": 2},
    "parameters": {
        "value": {"node_name": "Threshold", "input": "value", "grid_search": [0.3, 0.5, 0.7]},
        "grow": {"node_name": "Grow", "input": "expand", "grid_search": [0, 2]},
    },
    "metrics": [{"type": "iou", "reference": "Mask"}],
    "objective": {"metric": "iou"},
    "search": {"algorithm": "grid", "scheduler": "fifo"},
    "results": "./results",
}


@pytest.fixture
def file(tmp_path: Path, cells: Path) -> Path:
    path = tmp_path / "search.yaml"
    path.write_text(yaml.safe_dump({**FILE, "dataset": str(cells)}))
    return path


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pixaris", *map(str, arguments)]


def pixaris(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False)


def children_of(words: Sequence[str]) -> list[int]:
    """Processes whose command line holds all the words."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if all(word in line for word in words):
                found.append(int(folder.name))
    return found


def test_a_search_says_who_won_against_what_and_where_to_look(file: Path, cells: Path) -> None:
    raced = {**FILE, "search": {"algorithm": "grid", "scheduler": "race"}}
    file.write_text(yaml.safe_dump({**raced, "dataset": str(cells)}))
    ended = pixaris("search", file)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    out = ended.stdout
    assert re.search(r"6 trials \(\d finished, \d stopped\), \d+ images", out)
    assert re.search(r"stopped after \d of 6 items: -0\.\d+ ± 0\.\d+ against trial_000\d", out)
    assert re.search(r"winner +trial_000\d", out)
    assert re.search(r"baseline +0\.9230 \(the workflow's own values\)", out)
    folder = file.parent / "results" / "tests" / "cells"
    for words in (
        "comparison.png",
        "generated_images",
        f"pixaris tensorboard {folder}\n",
        f"pixaris report {folder} --open\n",
    ):
        assert words in out
    assert out.rstrip().endswith(f"report       {folder / 'report.html'}")
    assert f"<h1>{folder.name}</h1>" in (folder / "report.html").read_text()
    assert (folder / "comparison.png").stat().st_size > 1000
    assert (folder / "search.yaml").read_text() == file.read_text()
    assert sorted(p.name for p in (folder / "tensorboard").iterdir()) == [f"trial_000{i}" for i in range(6)]
    assert SearchResult.load(folder).status == "finished"
    assert "Traceback" not in out


@pytest.mark.slow
def test_what_the_command_line_changes_counts(file: Path, endpoints: list[str]) -> None:
    given = [part for url in endpoints for part in ("--endpoint", url)]
    ended = pixaris(
        "search",
        file,
        *given,
        "--set",
        "search.algorithm=random",
        "--num-samples",
        "1",
        "--set",
        "name=changed",
    )
    assert ended.returncode == 0, ended.stderr
    assert endpoints[0] in ended.stdout
    assert "7 trials" in ended.stdout  # the baseline, and one sample times the grid of six
    assert (file.parent / "results" / "tests" / "changed").is_dir()


@pytest.mark.slow
def test_a_failed_search_exits_with_1_and_the_servers_words(file: Path) -> None:
    broken = 'generation_params=[{node_name: Channel, input: channel, value: "alpha"}]'
    ended = pixaris("search", file, "--set", broken, "--set", "search.max_concurrent=1")
    assert ended.returncode == 1
    assert "index 3 is out of bounds" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_leaves_nothing_behind(file: Path, tmp_path: Path) -> None:
    with start_servers(
        tmp_path / "servers", 1, "--faults", '[{"fault": "delay", "seconds": 0.3, "times": null}]'
    ) as servers:
        url = servers.processes[0].url
        search = subprocess.Popen(
            command("search", file, "--endpoint", url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        folder = file.parent / "results" / "tests" / "cells"
        deadline = time.monotonic() + 60
        while len(list(folder.glob("trial_*/generated_images/*.png"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.1)
        search.send_signal(signal.SIGINT)
        out, err = search.communicate(timeout=30)
        queue = json.load(urlopen(f"{url}/queue"))
    assert search.returncode == 130, err
    assert "stopped: it was interrupted (SIGINT); what was done is kept" in err
    assert "look at it" in out
    assert "Traceback" not in out + err
    assert queue == {"queue_running": [], "queue_pending": []}
    result = SearchResult.load(folder)
    assert result.status == "interrupted"
    assert {trial.status for trial in result.trials} <= {"finished", "interrupted", "stopped"}
    assert sum(trial.items for trial in result.trials) >= 6
    assert children_of(["ray", str(search.pid)]) == []
    assert children_of(["pixaris.endpoints.janitor", str(search.pid)]) == []


@pytest.mark.slow
def test_a_killed_search_leaves_no_server_behind(file: Path) -> None:
    search = subprocess.Popen(
        command("search", file), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    folder = file.parent / "results" / "tests" / "cells"
    deadline = time.monotonic() + 60
    while not list(folder.glob("trial_*/run.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    servers = [pid for pid in children_of(["pixaris.comfyui.server"]) if _parent(pid) == search.pid]
    assert len(servers) == 2
    search.kill()
    search.wait()
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in servers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in servers if Path(f"/proc/{pid}").exists()]
    assert search.stdout is not None
    search.stdout.close()


def _parent(pid: int) -> int:
    try:
        return int(re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), flags=re.M).group(1))  # type: ignore[union-attr]
    except OSError:
        return 0


def test_a_run_stores_one_experiment_run_with_its_parameters(
    file: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(file), "--endpoint", endpoints[0], "--param", "value=0.3", "--name", "low"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"iou +0\.\d{4} on 6 images, spread 0\.\d{4}", out)
    folder = next((file.parent / "results" / "tests").glob("*/low"))
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "finished"
    assert {"node_name": "Threshold", "input": "value", "value": 0.3} in run["params"]
    bound = json.loads((folder / "workflow_apiformat.json").read_text())
    assert bound["4"]["inputs"]["value"] == 0.3
    assert len(list((folder / "generated_images").iterdir())) == 6


def test_a_run_whose_every_image_fails_exits_with_1(
    file: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    broken = 'generation_params=[{node_name: Channel, input: channel, value: "alpha"}]'
    assert main(["run", str(file), "--endpoint", endpoints[0], "--set", broken]) == 1
    assert "cells_00: node 'Channel': IndexError" in capsys.readouterr().err


def test_what_happens_to_endpoints_is_told_in_a_line_of_its_own(
    file: Path, endpoints: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = "http://127.0.0.1:9"
    assert main(["run", str(file), "--endpoint", endpoints[0], "--endpoint", nobody]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"note: {nobody} does not answer yet: cannot be reached: Connection refused" in lines


def test_serve_answers_and_ends_with_sigterm() -> None:
    server = subprocess.Popen(command("serve", "--port", "0"), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = re.fullmatch(r"Listening on (http://127\.0\.0\.1:\d+)\n", server.stdout.readline()).group(1)  # type: ignore[union-attr]
    assert json.load(urlopen(f"{url}/system_stats"))["system"]["comfyui_version"]
    server.terminate()
    assert server.wait(10) == 0
    server.stdout.close()


def test_help_and_version_name_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["search", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "--endpoint" in out
    assert "exit codes" in out
    assert os.linesep in out


@pytest.mark.slow
@pytest.mark.parametrize("lines", [0, 1])
def test_a_search_goes_on_quietly_when_nobody_reads_its_lines(
    file: Path, endpoints: list[str], lines: int
) -> None:
    search = subprocess.Popen(
        command("search", file, "--endpoint", endpoints[0], "--set", "name=piped"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert search.stdout is not None
    assert search.stderr is not None
    for _ in range(lines):
        search.stdout.readline()
    search.stdout.close()
    errors = search.stderr.read().decode()
    search.wait(60)
    search.stderr.close()
    assert (search.returncode, errors) == (0, "")
    assert SearchResult.load(file.parent / "results" / "tests" / "piped").status == "finished"


@pytest.mark.slow
def test_sigterm_ends_a_search_that_is_only_starting_in_order(file: Path, endpoints: list[str]) -> None:
    search = subprocess.Popen(
        command("search", file, "--endpoint", endpoints[0]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert search.stdout is not None
    for line in search.stdout:
        if "starting Ray" in line:
            break
    time.sleep(0.5)
    search.terminate()
    out, err = search.communicate(timeout=40)
    assert search.returncode == 130, err
    assert "Traceback" not in out + err
