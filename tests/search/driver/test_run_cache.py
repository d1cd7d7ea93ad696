"""A search that overlaps with an earlier one pays for what is new."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from kit import start_servers
from ray import tune
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


def test_a_set_that_is_proposed_again_is_made_once_also_without_a_cache_and_while_it_is_being_made(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    with start_servers(tmp_path / "servers") as servers:
        url = servers.processes[0].url
        same = [{"value": 0.3}, {"value": 0.3}, {"value": 0.3}, {"value": 0.5}]
        result = search(
            cells_loader,
            tmp_path / "results",
            [url],
            space={"value": ("Threshold", "value", tune.choice([0.3, 0.5]))},
            algorithm="random",
            points_to_evaluate=same,
            num_samples=8,
            scheduler="fifo",
            step=1,
            max_concurrent=2,
            budget={"images": 100},
        ).run()
        made = len(requests.get(f"{url}/history", timeout=10).json())
    assert result.status == "finished"
    sets = {str(trial.values) for trial in result.trials}
    assert len(result.trials) == 9 > len(sets) == 2
    assert (made, result.spent.images) == (12, 12)
    assert (result.images, result.cached) == (54, 42)
    by_set: dict[str, set[object]] = {}
    for trial in result.trials:
        by_set.setdefault(str(trial.values), set()).add(str(trial.item_scores))
    assert all(len(scores) == 1 for scores in by_set.values())
