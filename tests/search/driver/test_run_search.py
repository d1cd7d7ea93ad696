"""Whole searches on real Ray and real sockets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from gray_kit import Blank
from kit import WORKFLOW, start_servers
from PIL import Image
from ray import tune
from ray.tune.schedulers import MedianStoppingRule
from ray.tune.search.optuna import OptunaSearch

from pixaris.data_loaders.base import DatasetLoader
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.endpoints.dispatch.dispatcher import Policy
from pixaris.exceptions import ConfigurationError, NoEndpointError, SearchFailedError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.iou import IoUMetric
from pixaris.results.progress import SearchProgress
from pixaris.results.trial import TrialResult
from pixaris.search import Search, SearchResult
from pixaris.types import EvalItem

pytestmark = pytest.mark.usefixtures("ray_session")

SPACE = {
    "radius": ("Blur", "blur_radius", tune.randint(1, 6)),
    "value": ("Threshold", "value", tune.uniform(0.1, 0.9)),
    "grow": ("Grow", "expand", tune.randint(-3, 4)),
}


def search(loader: DatasetLoader, results: Path, endpoints: list[str], **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": loader,
        "image_generator": ComfyGenerator(WORKFLOW),
        "space": SPACE,
        "metrics": [IoUMetric(reference="Mask")],
        "objective": "iou",
        "experiment_handler": LocalExperimentHandler(results),
        "endpoints": endpoints,
        "project": "tests",
        "name": "cells",
        "num_samples": 6,
        "scheduler": "fifo",
        "seed": 3,
        "results_dir": results,
    }
    return Search(**{**settings, **changes})


def facts(result: SearchResult) -> list[tuple[Any, ...]]:
    return [(t.number, t.status, dict(t.values), t.objective, t.item_scores) for t in result.trials]


def test_a_grid_runs_every_set_once_with_the_baseline_first(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    space = {
        "value": ("Threshold", "value", [0.3, 0.5]),
        "grow": ("Grow", "expand", tune.grid_search([0, 2])),
    }
    result = search(cells_loader, tmp_path, endpoints, space=space, algorithm="grid", scheduler="fifo").run()
    assert result.status == "finished"
    assert result.trials[0].values == {"value": 0.5, "grow": 0}
    assert sorted(tuple(t.values.values()) for t in result.trials) == [(0.3, 0), (0.3, 2), (0.5, 0), (0.5, 2)]
    assert result.baseline is not None
    assert result.baseline.objective == pytest.approx(0.923, abs=5e-4)  # what real ComfyUI servers give
    assert result.images == 24
    assert all(t.status == "finished" and t.scored == 6 for t in result.trials)


@pytest.mark.slow
def test_one_trial_at_a_time_with_a_seed_agrees_exactly(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    def run(folder: str) -> SearchResult:
        return search(
            cells_loader, tmp_path / folder, endpoints, scheduler="asha", max_concurrent=1, num_samples=8
        ).run()

    first, second = run("a"), run("b")
    assert facts(first) == facts(second)
    assert {t.status for t in first.trials} == {"finished", "stopped"}


def test_everything_is_kept_where_the_result_says(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    result = search(cells_loader, tmp_path, endpoints, scheduler="asha", num_samples=8).run()
    assert result.folder == tmp_path / "tests" / "cells"
    assert facts(SearchResult.load(result.folder)) == facts(result)
    for trial in result.trials:
        run = json.loads((Path(trial.folder) / "run.json").read_text())
        assert (run["status"], run["values"]) == (trial.status, dict(trial.values))
        assert run["metrics"]["iou"]["mean"] == pytest.approx(trial.objective)
        rows = [json.loads(line) for line in (Path(trial.folder) / "items.jsonl").read_text().splitlines()]
        assert {row["index"]: row["scores"]["iou"] for row in rows} == {
            index: score for index, score in enumerate(trial.item_scores) if score is not None
        }
        assert len(list((Path(trial.folder) / "generated_images").glob("*.png"))) == trial.items
        bound = json.loads((Path(trial.folder) / "workflow_apiformat.json").read_text())
        assert bound["4"]["inputs"]["value"] == trial.values["value"]
    again = search(cells_loader, tmp_path, endpoints, num_samples=1).run()
    assert again.folder == tmp_path / "tests" / "cells-2"


@pytest.mark.slow
def test_a_killed_endpoint_changes_nothing_but_the_time(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    def run(folder: str, *, kill: bool) -> tuple[SearchResult, list[str]]:
        heard: list[str] = []

        class Killer:
            def update(self, progress: SearchProgress) -> None: ...

            def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
                if kill and trial.number == 0:
                    servers.processes[0].stop()

            def event(self, sentence: str) -> None:
                heard.append(sentence)

        with start_servers(tmp_path / folder, 2) as servers:
            urls = [process.url for process in servers.processes]
            result = search(cells_loader, tmp_path / folder, urls, max_concurrent=1, scheduler="asha").run(
                Killer()
            )
        return result, heard

    (whole, calm), (hurt, heard) = run("whole", kill=False), run("hurt", kill=True)
    assert calm == []
    assert any("is quarantined" in sentence for sentence in heard), heard
    assert facts(hurt) == facts(whole)


@pytest.mark.slow
def test_items_that_fail_keep_their_place_and_the_search_goes_on(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    space = {"channel": ("Channel", "channel", ["red", "alpha"])}  # "alpha" raises on RGB images
    result = search(cells_loader, tmp_path, endpoints, space=space, algorithm="grid").run()
    red, alpha = result.trials
    assert (red.status, alpha.status) == ("finished", "failed")
    assert alpha.objective is None
    assert "index 3 is out of bounds" in alpha.error
    assert result.best == red


@pytest.mark.slow
def test_a_search_without_a_single_score_fails_and_says_why(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    args = {"generation_params": [{"node_name": "Channel", "input": "channel", "value": "alpha"}]}
    with pytest.raises(SearchFailedError, match="index 3 is out of bounds"):
        search(cells_loader, tmp_path, endpoints, args=args, num_samples=1).run()
    assert SearchResult.load(tmp_path / "tests" / "cells").status == "failed"


@pytest.mark.slow
def test_a_search_whose_endpoints_all_die_stops_with_what_is_done(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    class Killer:
        def update(self, progress: SearchProgress) -> None: ...

        def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
            servers.processes[0].stop()

        def event(self, sentence: str) -> None: ...

    with start_servers(tmp_path) as servers:
        started = search(
            cells_loader,
            tmp_path,
            [servers.processes[0].url],
            policy=Policy(wait_limit=2, first_quarantine=0.2),
            num_samples=200,
        )
        with pytest.raises(NoEndpointError, match="no endpoint has been healthy"):
            started.run(Killer())
    kept = SearchResult.load(tmp_path / "tests" / "cells")
    assert kept.status == "interrupted"
    assert "finished" in {trial.status for trial in kept.trials}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_what_is_begun_before_the_trials_are_up_is_not_made_twice(
    cells_loader: LocalDatasetLoader, tmp_path: Path, algorithm: str
) -> None:
    with start_servers(tmp_path / "servers") as servers:
        url = servers.processes[0].url
        how: dict[str, Any] = {"num_samples": 3, "step": 2, "max_concurrent": 2, "algorithm": algorithm}
        result = search(cells_loader, tmp_path, [url], **how).run()
        made = requests.get(f"{url}/history", timeout=10).json()
    assert [trial.items for trial in result.trials] == [6] * 4
    assert len(made) == 24
    assert len({row["prompt"][3]["pixaris"]["request"] for row in made.values()}) == 24


@pytest.mark.slow
def test_any_searcher_and_scheduler_of_tune_can_be_given(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    result = search(
        cells_loader,
        tmp_path,
        endpoints,
        algorithm=OptunaSearch(seed=1),
        scheduler=MedianStoppingRule(time_attr="items", grace_period=2, min_samples_required=2),
        num_samples=5,
        step=2,
    ).run()
    assert len(result.trials) == 6
    assert all(set(t.values) == set(SPACE) for t in result.trials)
    assert list(tmp_path.rglob("error.txt")) == [], "a paused trial must go on, not begin again"


class Painter(ImageGenerator):
    """Makes its images itself, without an endpoint."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        level = {param["input"]: param["value"] for param in args["generation_params"]}.get("level", 255)
        return Image.new("RGB", (8, 8), (int(level),) * 3), args.item


class Darkness(BaseMetric):
    direction = "min"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(image.getpixel((0, 0))[0]) + item.index  # type: ignore[index]


@pytest.mark.slow
def test_a_generator_of_the_users_own_is_searched_too_and_lower_can_be_better(tmp_path: Path) -> None:
    result = search(
        Blank(3),
        tmp_path,
        [],
        image_generator=Painter(),
        metrics=[Darkness()],
        objective="darkness",
        space={"level": ("Any", "level", tune.grid_search([90, 30, 60]))},
        algorithm="grid",
        args={"max_parallel_jobs": 2},
    ).run()
    assert [t.objective for t in result.ranking()] == [31.0, 61.0, 91.0, 256.0]
    assert result.best is not None
    assert result.best.values == {"level": 30}


def test_all_that_is_wrong_is_told_before_anything_is_generated(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    space = {"value": ("Threshold", "value", tune.uniform(0.1, 1.9)), "x": ("Blurr", "sigma", [1.0])}
    with pytest.raises(ConfigurationError) as caught:
        search(
            cells_loader,
            tmp_path,
            endpoints,
            space=space,
            objective="iuo",
            metrics=[IoUMetric(reference="Msk")],
        ).run()
    text = str(caught.value)
    for words in ("'iuo' is no score", "'iou'", "must be at most 1", "Blurr", "'Blur'", "'Msk'"):
        assert words in text
    assert not (tmp_path / "tests").exists()


@pytest.fixture
def stopper() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_progress_counts_images_trials_and_the_best(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    seen: list[SearchProgress] = []
    ended: list[TrialResult] = []

    class Listener:
        def update(self, progress: SearchProgress) -> None:
            seen.append(progress)

        def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
            ended.append(trial)

        def event(self, sentence: str) -> None: ...

    started = time.monotonic()
    search(cells_loader, tmp_path, endpoints, num_samples=3, scheduler="fifo").run(Listener())
    assert time.monotonic() - started < 60
    last = seen[-1]
    assert (last.trials, last.finished, last.images, last.images_planned) == (4, 4, 24, 24)
    assert len(ended) == 4
    assert last.best is not None
    assert last.baseline is not None
    assert last.best.objective == max(t.objective for t in ended if t.objective is not None)
    assert {e.state for e in last.endpoints} == {"healthy"}
