"""The baseline's first images, which are made while Ray comes up."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from kit import WORKFLOW, start_servers

from pixaris.cache.local import NO_LIMIT, LocalCache
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.iou import IoUMetric
from pixaris.results.budget import Budget
from pixaris.results.folders import new_folder
from pixaris.results.paths import SearchPaths
from pixaris.search import Search
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.ahead.first_images import FirstImages, can_be_made
from pixaris.search.driver.identity import run_id_of
from pixaris.search.driver.storage.own import own_images, own_key

SLOW = json.dumps({"fault": "delay", "seconds": 60, "times": None})


def search(loader: LocalDatasetLoader, results: Path, urls: list[str], **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": loader,
        "image_generator": ComfyGenerator(WORKFLOW),
        "space": {"value": ("Threshold", "value", [0.3, 0.7])},
        "metrics": [IoUMetric(reference="Mask")],
        "objective": "iou",
        "experiment_handler": LocalExperimentHandler(results),
        "endpoints": urls,
        "project": "tests",
        "name": "first",
        "algorithm": "grid",
        "scheduler": "fifo",
        "results_dir": results,
    }
    return Search(**{**settings, **changes})


def begun(checked: CheckedSearch, results: Path) -> tuple[FirstImages, SearchPaths]:
    paths = SearchPaths(new_folder(results / "tests", "first"))
    first = FirstImages(checked, paths, "some")
    first.start()
    return first, paths


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


def test_they_lie_where_the_baselines_trial_looks_for_them(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    checked = search(cells_loader, tmp_path, endpoints).check()
    assert can_be_made(checked)
    assert not can_be_made(search(cells_loader, tmp_path, endpoints, budget=Budget(seconds=60)).check())
    first, paths = begun(checked, tmp_path)
    until(lambda: first.made == 6)
    first.hand_over()
    run_id = run_id_of("some", 0)
    kept = [own_images(paths).get(own_key(run_id, item.name, 0)) for item in checked.setup.eval_set.items]
    assert all(kept)
    assert {image.endpoint for image in kept if image} == set(endpoints)
    assert len({image.image.digest for image in kept if image}) == 6


def test_no_more_are_made_than_the_budget_pays_for(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    checked = search(cells_loader, tmp_path, endpoints, budget=Budget(images=2)).check()
    first, paths = begun(checked, tmp_path)
    until(lambda: first.made == 2)
    time.sleep(0.5)
    first.hand_over()
    assert first.made == 2
    assert sum(1 for _ in own_images(paths).entries()) == 2


def test_nothing_is_made_that_a_cache_has(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    checked = search(
        cells_loader, tmp_path, endpoints, cache=LocalCache(tmp_path / "cache", NO_LIMIT)
    ).check()
    first, _ = begun(checked, tmp_path)
    until(lambda: first.made == 6)
    first.hand_over()
    again, paths = begun(checked, tmp_path)
    again.hand_over()
    assert again.made == 0
    assert not list(own_images(paths).entries())


def test_an_image_that_takes_long_is_given_up_while_another_endpoint_has_nothing_to_do(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    with start_servers(tmp_path, 2, "--faults", SLOW) as servers:
        urls = [process.url for process in servers.processes]
        checked = search(cells_loader, tmp_path, urls, budget=Budget(images=1)).check()
        first, paths = begun(checked, tmp_path)
        until(lambda: any(requests.get(f"{url}/queue", timeout=5).json()["queue_running"] for url in urls))
        since = time.monotonic()
        first.hand_over()
        assert 4.0 < time.monotonic() - since < 15.0
        until(
            lambda: not any(requests.get(f"{url}/queue", timeout=5).json()["queue_running"] for url in urls)
        )
    assert first.made == 0
    assert not list(own_images(paths).entries())


@pytest.mark.usefixtures("ray_session")
def test_a_search_makes_every_image_once_and_counts_it_once(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    with start_servers(tmp_path, 2) as servers:
        urls = [process.url for process in servers.processes]
        kept = LocalCache(tmp_path / "kept", NO_LIMIT)
        result = search(cells_loader, tmp_path, urls, budget=Budget(images=18), cache=kept).run()
        executed = sum(len(requests.get(f"{url}/history", timeout=10).json()) for url in urls)
    assert result.status == "finished"
    assert (result.images, result.cached, result.spent.images) == (18, 0, 18)
    assert executed == 18
    assert result.baseline is not None
    assert result.baseline.objective == pytest.approx(0.923, abs=5e-4)  # what real ComfyUI servers give


def test_asking_for_them_does_not_wait_for_the_import_of_ray() -> None:
    code = "import sys, pixaris.search.driver.start; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_they_are_made_before_a_cluster_has_let_the_search_in(cells: Path, tmp_path: Path) -> None:
    with start_servers(tmp_path, 1) as servers, socket.create_server(("127.0.0.1", 0)) as silent:
        url = servers.processes[0].url
        content = {
            "name": "first",
            "project": "tests",
            "dataset": str(cells),
            "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
            "endpoints": [url],
            "parameters": {"value": {"node_name": "Threshold", "input": "value", "grid_search": [0.3, 0.7]}},
            "metrics": [{"type": "iou", "reference": "Mask"}],
            "objective": {"metric": "iou"},
            "search": {"algorithm": "grid", "scheduler": "fifo"},
            "results": str(tmp_path / "results"),
        }
        (tmp_path / "search.yaml").write_text(json.dumps(content))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        words = [sys.executable, "-m", "pixaris", "search", "search.yaml", "--address", address]
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: len(requests.get(f"{url}/history", timeout=5).json()) == 6)
        assert process.poll() is None, "it waits for the cluster"
        process.kill()
        process.wait()
