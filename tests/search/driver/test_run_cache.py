"""A search that overlaps with an earlier one pays for what is new."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from kit import start_servers
from test_run_search import facts, search

from pixaris.cache.local import LocalCache
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.search import SearchResult

pytestmark = pytest.mark.usefixtures("ray_session")


def test_the_overlap_with_an_earlier_search_is_neither_generated_nor_paid_nor_scored_otherwise(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    with start_servers(tmp_path / "servers") as servers:
        url = servers.processes[0].url

        def run(name: str, values: list[float]) -> SearchResult:
            return search(
                cells_loader,
                tmp_path / "results",
                [url],
                name=name,
                space={"value": ("Threshold", "value", values)},
                algorithm="grid",
                num_samples=None,
                budget={"images": 100},
                cache=LocalCache(tmp_path / "images"),
            ).run()

        first = run("first", [0.3, 0.5])
        made = len(requests.get(f"{url}/history", timeout=10).json())
        second = run("second", [0.3, 0.5, 0.7])
        made_then = len(requests.get(f"{url}/history", timeout=10).json())
    assert (first.images, first.cached, first.spent.images, made) == (12, 0, 12, 12)
    assert (second.images, second.cached, second.spent.images, made_then) == (18, 12, 6, 18)
    assert sorted(trial.cached for trial in second.trials) == [0, 6, 6]
    by_values = {str(fact[2]): fact[3:] for fact in facts(second)}
    assert all(by_values[str(fact[2])] == fact[3:] for fact in facts(first))
    assert SearchResult.load(second.folder).cached == 12
