"""Searches with classes as the original's users wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixaris.cli.search import report
from pixaris.data_loaders.base import DatasetLoader
from pixaris.exceptions import ConfigurationError, PixarisError
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.orchestration.base import generate_images_for_hyperparameter_search_based_on_dataset
from pixaris.search import Search, SearchResult
from pixaris.testing import samples

pytestmark = pytest.mark.usefixtures("ray_session")


class Dicts(DatasetLoader):
    def load_dataset(self) -> Any:
        rows = []
        for number in range(3):
            image = samples.picture(number)
            rows.append({"pillow_images": [{"node_name": "Load Input Image", "pillow_image": image}]})
        return rows


class Dimmer(ImageGenerator):
    """Its light is half on, which it tells nobody."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        given = {param["input"]: param["value"] for param in args["generation_params"]}
        level = round(255 * given.get("light", 0.5) * args.get("power", 1.0))
        return Image.new("RGB", (8, 8), (level,) * 3), "x.png"


def level_of(images: Iterable[Image.Image]) -> float:
    levels = [image.getpixel((0, 0))[0] for image in images]  # type: ignore[index]
    return sum(levels) / len(levels)


class Glow(BaseMetric):
    def calculate(self, images: Iterable[Image.Image]) -> dict[str, float]:
        return {"how bright": level_of(images)}


class Shine(BaseMetric):
    def calculate(self, images: Iterable[Image.Image]) -> dict[str, float]:
        return {"bright": level_of(images), "dark": 255 - level_of(images)}


class Nothing(BaseMetric):
    def calculate(self, images: Iterable[Image.Image]) -> Any:
        return None


class Shelf(ExperimentHandler):
    """Writes a line for each run, as the original's handlers did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def store_results(  # type: ignore[override]
        self,
        project: str,
        dataset: str,
        experiment_run_name: str,
        image_name_pairs: Iterable[tuple[Image.Image, str]],
        metric_values: dict[str, float],
        args: dict[str, Any],
    ) -> None:
        names = "+".join(name for _, name in image_name_pairs)
        with (self.folder / "shelf.txt").open("a") as file:
            file.write(f"{project} {experiment_run_name} {names} {sorted(metric_values)} {args['tenant']}\n")


class Holding(Dimmer):
    """Holds what cannot be sent."""

    def __init__(self, file: Path) -> None:
        self.log = file.open("w")


def search(folder: Path, metric: BaseMetric, **settings: Any) -> Search:
    parts: dict[str, Any] = {
        "data_loader": Dicts(),
        "image_generator": Dimmer(),
        "experiment_handler": LocalExperimentHandler(folder),
        "args": {"tenant": "blue"},
        **settings,
    }
    return Search(
        space={"light": ("Lamp", "light", [0.2, 0.9])},
        metrics=[metric],
        objective=metric.name,
        direction="max",
        name="lamps",
        algorithm="grid",
        scheduler="fifo",
        max_concurrent=1,
        results_dir=folder,
        **parts,
    )


def test_the_baseline_is_the_generator_s_own_and_one_free_score_the_objective(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = search(tmp_path, Glow(), experiment_handler=Shelf(tmp_path)).run()
    told = capsys.readouterr().out
    assert "trial_0000 finished    128.0000 on" in told, "Search.run shows what the command shows"
    assert result.baseline is not None
    assert result.best is not None
    assert (result.baseline.values, result.baseline.objective) == ({}, 128.0)
    assert (result.best.values, result.best.objective) == ({"light": 0.9}, 230.0)
    assert result.best.scores == {"how bright": 230.0, "glow": 230.0}
    report(SearchResult.load(result.folder), "default")
    assert "light  0.9   (default: the generator's own)" in capsys.readouterr().out
    lines = (tmp_path / "shelf.txt").read_text().splitlines()
    items = "item_001+item_002+item_003"
    expected = [f"default lamps_trial_000{n} {items} ['glow', 'how bright'] blue" for n in range(3)]
    assert sorted(lines) == expected


def test_of_several_free_scores_one_must_be_chosen_before_the_second_trial(tmp_path: Path) -> None:
    with pytest.raises(PixarisError) as caught:
        search(tmp_path, Shine()).run()
    assert "gives several scores; choose one of bright, dark: objective: {metric: bright}" in str(
        caught.value
    )
    ((folder,),) = [[*tmp_path.glob("default/lamps")]]
    assert len(SearchResult.load(folder).trials) == 1


def test_a_metric_that_gives_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PixarisError, match="nothing returned None, which is no score; return a number"):
        search(tmp_path, Nothing()).run(progress=False)
    assert capsys.readouterr().out == ""


def test_what_cannot_be_sent_is_told_before_anything_runs(tmp_path: Path) -> None:
    results = tmp_path / "results"
    with pytest.raises(ConfigurationError) as caught:
        search(results, Glow(), image_generator=Holding(tmp_path / "log.txt")).run()
    told = str(caught.value)
    assert "image_generator: Holding cannot be sent to the processes of trials: its attribute 'log'" in told
    assert "open files, connections and models where they are first used" in told
    assert not results.exists()


def test_the_grid_function_takes_a_direction_for_a_metric_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grid(**args: Any) -> SearchResult:
        values = {"node_name": "Lamp", "input": "light", "value": [0.2, 0.9]}
        return generate_images_for_hyperparameter_search_based_on_dataset(
            Dicts(), Dimmer(), Shelf(tmp_path), [Glow()], {"tenant": "x", "hyperparameters": [values], **args}
        )

    with pytest.raises(ConfigurationError, match=r"direction = 'max' or 'min' in its class, or args"):
        grid()
    monkeypatch.setenv("PIXARIS_RESULTS_DIR", str(tmp_path / "results"))
    result = grid(direction="min")
    assert result.best is not None
    assert result.best.values == {"Lamp.light": 0.2}
