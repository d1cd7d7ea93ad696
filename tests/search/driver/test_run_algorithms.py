"""Algorithms and schedulers in whole searches, on real Ray and real sockets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kit import WORKFLOW
from ray import tune
from ray.tune.search.optuna import OptunaSearch

from pixaris.cli.search import front
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import SearchFailedError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.iou import IoUMetric
from pixaris.metrics.similarity import PSNRMetric
from pixaris.search import Search, SearchResult

pytestmark = pytest.mark.usefixtures("ray_session")


def search(loader: LocalDatasetLoader, results: Path, endpoints: list[str], **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": loader,
        "image_generator": ComfyGenerator(WORKFLOW),
        "space": {
            "value": ("Threshold", "value", tune.uniform(0.1, 0.9)),
            "grow": ("Grow", "expand", tune.randint(-3, 4)),
        },
        "metrics": [IoUMetric(reference="Mask"), PSNRMetric(reference="Mask")],
        "objective": "iou",
        "experiment_handler": LocalExperimentHandler(results),
        "endpoints": endpoints,
        "project": "tests",
        "name": "cells",
        "num_samples": 7,
        "seed": 3,
        "results_dir": results,
    }
    return Search(**{**settings, **changes})


def test_hyperband_pauses_trials_and_they_go_on_where_they_were(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    result = search(
        cells_loader, tmp_path, endpoints, scheduler="hyperband", step=2, max_concurrent=2, num_samples=8
    ).run()
    assert result.status == "finished"
    assert len(result.trials) == 9
    assert {trial.status for trial in result.trials} == {"finished", "stopped"}, (
        "some are stopped, the best go through"
    )
    assert list(tmp_path.rglob("error.txt")) == [], "a paused trial must go on, not begin again"
    assert result.trials[0].status == "finished", "the baseline is in no bracket"
    bracket = result.trials[1:6]
    through = sorted(trial.status for trial in bracket)
    assert through == ["finished", "finished", "stopped", "stopped", "stopped"], "two of the first five go on"
    for trial in result.trials:
        assert trial.items in (2, 6)
        assert trial.scored == trial.items
        run = json.loads((Path(trial.folder) / "run.json").read_text())
        assert run["status"] == trial.status
        assert run["metrics"]["iou"]["mean"] == pytest.approx(trial.objective)


class Faulty(OptunaSearch):
    """Fails at its third proposal."""

    def suggest(self, trial_id: str) -> Any:
        if len(self._ot_trials) == 2:
            raise RuntimeError("out of ideas")
        return super().suggest(trial_id)


def test_a_searcher_that_fails_ends_the_search_with_its_reason_and_what_was_done(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SearchFailedError, match="Faulty failed after 3 trials: RuntimeError: out of ideas"):
        search(
            cells_loader, tmp_path, endpoints, algorithm=Faulty(seed=1), scheduler="fifo", max_concurrent=1
        ).run()
    kept = SearchResult.load(tmp_path / "tests" / "cells")
    assert kept.status == "failed"
    assert [trial.status for trial in kept.trials] == ["finished"] * 3


def test_several_objectives_end_in_a_front_that_is_kept_and_shown(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    points = [{"value": 0.25, "grow": 2}, {"value": 0.75, "grow": -1}]
    result = search(
        cells_loader,
        tmp_path,
        endpoints,
        objective=["iou", "psnr"],
        direction={"psnr": "min"},  # a compromise there is none to find for: the front has several trials
        algorithm="optuna",
        algorithm_options={"sampler": "NSGAII", "population_size": 4},
        points_to_evaluate=points,
    ).run()
    assert result.status == "finished"
    assert [dict(trial.values) for trial in result.trials[1:3]] == points
    front_of_result = result.pareto()
    assert result.best in front_of_result
    assert len(front_of_result) > 1
    head = json.loads((result.folder / "search.json").read_text())
    assert head["objectives"] == [
        {"metric": "iou", "direction": "max"},
        {"metric": "psnr", "direction": "min"},
    ]
    assert head["pareto"] == [trial.name for trial in front_of_result]
    again = SearchResult.load(result.folder)
    assert again.pareto() == front_of_result
    lines = front(again)
    assert (
        lines[0] == f"front     {len(front_of_result)} of 8 trials, the best compromises (iou max, psnr min)"
    )
    for trial, line in zip(front_of_result, lines[2:], strict=True):
        assert line.split()[:2] == [trial.name, f"{trial.scores['iou']:.4f}"]
