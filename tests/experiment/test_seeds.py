"""Several seeds for every item: the same in every run, averaged per item, all of them kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixaris.data_loaders.base import DatasetLoader
from pixaris.exceptions import ConfigurationError, ExecutionError, NoEndpointError
from pixaris.experiment.seeds import averaged, together
from pixaris.experiment.setup import SEEDLESS
from pixaris.experiment_handlers.base import ExperimentHandlers
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.experiment_handlers.tensorboard import TensorboardHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.report.thumbnails import tiled
from pixaris.types import EvalItem, EvalSet, ItemResult


class Three(DatasetLoader):
    def load_dataset(self) -> EvalSet:
        picture = EncodedImage.of(Image.new("RGB", (4, 4), "white"))
        return EvalSet(
            "three", tuple(EvalItem(index, name, {"Input": picture}) for index, name in enumerate("abc"))
        )


class Noise(ImageGenerator):
    """A gray that the seed decides; one item fails with one of its seeds, if asked to."""

    def __init__(self, fails: tuple[str, int] | None = None) -> None:
        self.fails = fails
        self.seen: list[tuple[str, int]] = []
        self._lock = threading.Lock()

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        with self._lock:
            self.seen.append((args.item, args["seed"]))
        if self.fails == (args.item, args.repeat):
            raise ExecutionError("no memory")
        return Image.new("L", (4, 4), args["seed"] % 256), "x.png"


class Gray(BaseMetric):
    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(image.convert("L").getpixel((0, 0)))  # type: ignore[arg-type]


class Levels(BaseMetric):
    """A metric of the whole run: how many images it was shown, and the first one's level."""

    def calculate(self, images: Any) -> dict[str, float]:
        return {"shown": float(len(images)), "first": float(images[0].convert("L").getpixel((0, 0)))}


def run(folder: Path, generator: ImageGenerator, **args: Any) -> Any:
    handler = ExperimentHandlers([LocalExperimentHandler(folder), TensorboardHandler(folder / "events")])
    settings = {"project": "p", "experiment_run_name": "r", "max_parallel_jobs": 3, **args}
    return generate_images_based_on_dataset(Three(), generator, handler, [Gray(), Levels()], settings)


def levels(item: str, seeds: int) -> list[int]:
    return [
        seed % 256
        for repeat in range(seeds)
        if (seed := ItemArgs({}, item=item, repeat=repeat).seed) is not None
    ]


def test_an_item_s_score_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    generator = Noise()
    record = run(tmp_path, generator, seeds=4)
    assert len(generator.seen) == len(set(generator.seen)) == 12
    for item in record.items:
        assert [sample.scores["gray"] for sample in item.samples] == levels(item.name, 4)
        assert item.scores["gray"] == pytest.approx(sum(levels(item.name, 4)) / 4)
    assert record.metrics["gray"].count == 3
    assert record.metrics["shown"].mean == 3
    assert record.metrics["first"].mean == pytest.approx(sum(levels("a", 4)) / 4)


def test_all_images_are_kept_and_told(tmp_path: Path) -> None:
    run(tmp_path, Noise(), seeds=3)
    (folder,) = (path.parent for path in tmp_path.rglob("run.json"))
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
    for row in rows:
        images = [sample["image"] for sample in row["samples"]]
        name = row["name"]
        assert images == [
            f"generated_images/{folder_of}{name}.png" for folder_of in ("", "seed_2/", "seed_3/")
        ]
        assert [EncodedImage.from_file(folder / image).digest for image in images] == [
            one["digest"] for one in row["samples"]
        ]
        assert [one["scores"]["gray"] for one in row["samples"]] == levels(name, 3)
        assert row["image"] == images[0]
    events = b"".join(path.read_bytes() for path in (tmp_path / "events").rglob("events.*"))
    assert b"images/a (seed 3)" in events


def test_the_first_seed_is_the_one_that_an_item_has_alone(tmp_path: Path) -> None:
    one, two = Noise(), Noise()
    run(tmp_path / "one", one)
    run(tmp_path / "two", two, seeds=2)
    assert set(one.seen) < set(two.seen)
    assert not list((tmp_path / "one").rglob("seed_*"))


def test_a_score_counts_only_where_every_seed_has_it(tmp_path: Path) -> None:
    record = run(tmp_path, Noise(fails=("b", 0)), seeds=3)
    a, b, c = record.items
    assert "gray" in a.scores
    assert "gray" in c.scores
    assert b.scores == {}
    assert "no memory" in str(b.error)
    assert b.generated is b.samples[1].generated
    assert [sample.generated is None for sample in b.samples] == [True, False, False]
    assert record.metrics["gray"].count == 2
    assert record.notes["metric_failures"] == {"levels": "needs every image, and 1 failed"}
    (rows,) = (
        [json.loads(line) for line in path.read_text().splitlines()] for path in tmp_path.rglob("items.jsonl")
    )
    assert rows[1]["image"] == "generated_images/seed_2/b.png"


@pytest.mark.parametrize("seeds", [0, -1, 1.5, True, "4", 10**6])
def test_seeds_are_a_number(tmp_path: Path, seeds: Any) -> None:
    with pytest.raises(ConfigurationError, match="seeds must be a whole number from 1 to 1000"):
        run(tmp_path, Noise(), seeds=seeds)


def test_seeds_that_change_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="every seed would give the same image"):
        run(tmp_path, Noise(), seeds=2, seed=7)


SAMPLER: dict[str, Any] = {
    "1": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 4}, "_meta": {"title": "K"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Save Image"}},
}


def test_a_workflow_s_seed_is_set_unless_the_parameters_set_it() -> None:
    generator = ComfyGenerator(SAMPLER)
    free = ItemArgs.of({})
    fixed = ItemArgs.of({"generation_params": [{"node_name": "K", "input": "seed", "value": 3}]})
    assert generator.takes_seed(free)
    assert not generator.takes_seed(fixed)
    payloads = [
        json.loads(generator.request(free.for_item(EvalItem(0, "a"), repeat)).payload) for repeat in range(3)
    ]
    seeds = [payload["1"]["inputs"]["seed"] for payload in payloads]
    assert seeds == [ItemArgs({}, item="a", repeat=repeat).seed for repeat in range(3)]
    assert len(set(seeds)) == 3
    assert "remove seeds" in SEEDLESS


def sample(score: float | None, error: Exception | None = None) -> ItemResult:
    return ItemResult(0, "a", error=error, scores={} if score is None else {"s": score})  # type: ignore[arg-type]


def test_what_ends_the_run_wins_over_what_an_image_failed_of() -> None:
    ending = NoEndpointError("none is left")
    assert averaged([sample(None, ExecutionError("x")), sample(None, ending)]).error is ending


def test_cancelling_the_whole_cancels_every_seed() -> None:
    parts: list[Future[ItemResult]] = [Future(), Future()]
    whole = together(parts)
    parts[0].set_result(sample(1.0))
    assert not whole.done()
    assert whole.cancel()
    assert parts[1].cancelled()


def test_the_whole_is_there_with_the_last_seed() -> None:
    parts: list[Future[ItemResult]] = [Future(), Future()]
    whole = together(parts)
    parts[1].set_result(sample(1.0))
    parts[0].set_result(sample(2.0))
    assert whole.result(0).scores == {"s": 1.5}


def test_the_images_of_all_seeds_are_shown_as_one_picture() -> None:
    colours = ["red", "green", "blue"]
    whole = tiled([Image.new("RGB", (2, 3), colour) for colour in colours])
    assert whole is not None
    assert whole.size == (4, 6)
    corners = [whole.getpixel(place) for place in ((0, 0), (2, 0), (0, 3), (2, 3))]
    assert corners == [(255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)]
