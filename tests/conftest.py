"""What many tests need: embedded endpoints, small eval sets, one Ray session."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from kit import DATA, start_servers

from pixaris.data_loaders.local import LocalDatasetLoader

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# a busy machine makes any example slow; what must be quick has a test of its own
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a cache of its own, which is empty."""
    monkeypatch.setenv("PIXARIS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """URLs of two embedded endpoints that every test may use and none may harm."""
    with start_servers(tmp_path_factory.mktemp("servers"), 2) as servers:
        yield [process.url for process in servers.processes]


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An eval set of six small images (``Input``) with their true masks (``Mask``)."""
    folder = tmp_path_factory.mktemp("sets") / "cells"
    for name, source in (("Input", "input"), ("Mask", "mask")):
        (folder / name).mkdir(parents=True)
        for image in (DATA / "assets" / source).glob("cells_*.png"):
            (folder / name / image.name).write_bytes(image.read_bytes())
    return folder


@pytest.fixture
def cells_loader(cells: Path) -> LocalDatasetLoader:
    """Loads `cells`, the masks as references."""
    return LocalDatasetLoader.at(cells, references=["Mask"])


@pytest.fixture(scope="module")
def ray_session() -> None:
    """One local Ray for the searches of all modules, whose processes wait for the next search; it ends with
    the test run.
    """
    import ray

    if not ray.is_initialized():
        os.environ["PYTHONPATH"] = os.pathsep.join([*(path for path in sys.path if "tests" in path)])
        os.environ["RAY_idle_worker_killing_time_threshold_ms"] = "60000"  # noqa: SIM112  (so Ray spells it)
        _start_ray()


def _start_ray() -> None:
    """Start Ray, once more where it fails: on a machine that is busy with other work it often takes longer
    than the thirty seconds that Ray waits for itself.
    """
    import ray

    from pixaris.search.driver.session.head import Head

    leftovers = Head()
    try:
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    except Exception:  # noqa: BLE001  (Ray raises many kinds; the second try lets them through)
        ray.shutdown()
        leftovers.end_leftovers()
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)


LONG = {
    "test_autoscaler.py",
    "test_flux_ray_deaths.py",
    "test_left_behind.py",
    "test_more_of_two_nodes.py",
    "test_own_classes_on_two_nodes.py",
    "test_nodes_come_and_go.py",
    "test_ray_orphans.py",
    "test_ray_pool.py",
    "test_run_in_bucket.py",
    "test_resume_often.py",
    "test_sources_managed.py",
    "test_sources_ray.py",
    "test_sources_search.py",
    "test_janitor.py",
}
"""Files that kill and restart real Ray processes and servers again and again: minutes, so `make test-long`
runs them.
"""


SLOW = {
    "test_chaos.py",
    "test_docs_cluster_tutorial.py",
    "test_docs_tutorials.py",
    "test_flux_search.py",
    "test_in_notebook.py",
    "test_judge_tutorial.py",
    "test_metric_hosts.py",
    "test_page_in_browser.py",
    "test_results_commands.py",
    "test_run_algorithms.py",
    "test_run_budget.py",
    "test_run_on_cluster.py",
    "test_run_cache.py",
    "test_run_own_classes.py",
    "test_run_prompts.py",
    "test_run_rejected.py",
    "test_run_resume.py",
    "test_run_spaces.py",
    "test_run_storage.py",
    "test_run_votes.py",
    "test_run_votes_in_bucket.py",
    "test_search_chaos.py",
    "test_shared_pool.py",
    "test_sources_pools.py",
    "test_steered_in_browser.py",
    "test_steered_search.py",
    "test_submit.py",
    "test_two_nodes.py",
}
"""Files of whole searches, one after the other: `make test-slow` runs them, and `make test` some of those of
`FIRST`.
"""

FIRST = {"test_run_search.py", "test_commands.py", "test_examples.py"}
"""Files that take long for their few tests: begun last, they would keep one process busy while the other has
nothing left.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much chaos: `make chaos` has more of it."""
    parser.addoption("--chaos-requests", type=int, default=400, help="images that the chaos test asks for")
    parser.addoption(
        "--fuzz-cases", type=int, default=120, help="inputs that the fuzz tests try; `make fuzz` tries more"
    )
    parser.addoption("--chaos-seed", type=int, default=7, help="what it breaks, and when")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of `LONG` and `SLOW`; of those on threads and on Ray alike, the latter are slow. `FIRST`
    are first.
    """
    items.sort(key=lambda item: item.path.name not in FIRST)
    for item in items:
        if item.path.name in LONG:
            item.add_marker(pytest.mark.long)
        elif item.path.name in SLOW or "[ray" in item.name:
            item.add_marker(pytest.mark.slow)
