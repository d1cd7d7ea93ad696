"""Endpoints that somebody switches off and on while a search runs, on Ray, by the command."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from kit import WORKFLOW, start_servers

from pixaris.cli import main
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.endpoints.base import EndpointStatus
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import read_json_lines
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.iou import IoUMetric
from pixaris.results.endpoints_file import read_endpoints, write_endpoints
from pixaris.results.evidence.switches import ask
from pixaris.results.paths import SearchPaths
from pixaris.search import Search

FILE = """
name: cells
project: tests
dataset: ./cells
generator: {type: comfyui, workflow: workflow.json}
endpoints: [http://127.0.0.1:8188, http://127.0.0.1:8189]
results: results
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "search.yaml"
    path.write_text(FILE)
    return path


def test_the_command_tells_the_running_search(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = SearchPaths(tmp_path / "results" / "tests" / "cells")
    command = ["endpoints", str(file), "--drain", "127.0.0.1:8188/", "--enable", "http://127.0.0.1:8189"]
    assert main(command) == 2
    assert "no search of these files runs here" in capsys.readouterr().err
    paths.folder.mkdir(parents=True)
    paths.head.write_text('{"status": "running"}')
    urls = ["http://127.0.0.1:8188", "http://127.0.0.1:8189"]
    write_endpoints(paths.folder, [EndpointStatus(url, "healthy") for url in urls], time.time())
    assert main(command) == 0
    assert [(row["url"], row["use"]) for row in read_json_lines(paths.switches)] == [
        (urls[0], "drain"),
        (urls[1], "enable"),
    ]
    assert f"{paths.folder} is told: drain {urls[0]}" in capsys.readouterr().out
    assert main(["endpoints", str(file), "--disable", "http://127.0.0.1:8190"]) == 2
    assert f"is no endpoint of it; it has {urls[0]}, {urls[1]}" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_search_uses_an_endpoint_no_more_and_then_again(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    seen: list[tuple[str, int]] = []

    def switching(one: str) -> None:
        paths = SearchPaths(tmp_path / "results" / "tests" / "cells")

        def status() -> EndpointStatus:
            found = {each.url: each for each in read_endpoints(paths.folder)}
            return found.get(one, EndpointStatus(one, "starting"))

        def until(state: str, done: int = 0) -> None:
            deadline = time.monotonic() + 90
            while (status().state, status().done >= done) != (state, True):
                assert time.monotonic() < deadline
                time.sleep(0.1)

        until("healthy", 2)
        ask(paths, one, "drain")
        until("drained")
        time.sleep(2.0)  # what it had, and two looks of the file
        before = status().done
        time.sleep(2.0)
        seen.append(("drained", status().done - before))
        ask(paths, one, "enable")
        until("healthy", before + 2)
        seen.append(("enabled", 2))

    faults = '[{"fault": "delay", "seconds": 0.25, "times": null}]'
    with start_servers(tmp_path, 2, "--faults", faults) as servers:
        urls = [process.url for process in servers.processes]
        thread = threading.Thread(target=switching, args=(urls[0],))
        thread.start()
        result = Search(
            data_loader=cells_loader,
            image_generator=ComfyGenerator(WORKFLOW),
            space={"grow": ("Grow", "expand", list(range(-8, 9)))},
            metrics=[IoUMetric(reference="Mask")],
            objective="iou",
            experiment_handler=LocalExperimentHandler(tmp_path / "results"),
            endpoints=urls,
            project="tests",
            name="cells",
            algorithm="grid",
            scheduler="fifo",
            results_dir=tmp_path / "results",
        ).run()
        thread.join(10)
    assert result.status == "finished"
    assert seen == [("drained", 0), ("enabled", 2)]
