"""Several images of one execution: scored each by itself, averaged per item, all of them kept and cached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import start_servers
from PIL import Image
from test_seeds import Levels, Three

from pixaris.cache.local import LocalCache
from pixaris.experiment_handlers.base import ExperimentHandlers
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.experiment_handlers.tensorboard import TensorboardHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.resources import SecondsMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.types import EvalItem, RunRecord

BATCH = 3
WORKFLOW = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Load Input Image"}},
    "2": {
        "class_type": "EmptyImage",
        "inputs": {"width": 4, "height": 4, "batch_size": BATCH, "color": 0x646464, "seed": 5},
        "_meta": {"title": "Batch"},
    },
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["2", 0], "image2": ["1", 0], "blend_factor": 0.5, "blend_mode": "normal"},
        "_meta": {"title": "Blend"},
    },
    "4": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "batch"},
        "_meta": {"title": "Save Image"},
    },
}


class Counting(BaseMetric):
    """The level of an image, one higher for every image that was shown before."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def score(self, image: Image.Image, item: EvalItem) -> float:
        self.shown.append(item.name)
        return float(self.shown.count(item.name))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_servers(tmp_path_factory.mktemp("servers")) as servers:
        yield servers.processes[0].url


def run(url: str, folder: Path, images: Any, metrics: list[BaseMetric], **args: Any) -> RunRecord:
    handlers = ExperimentHandlers([LocalExperimentHandler(folder), TensorboardHandler(folder / "events")])
    return generate_images_based_on_dataset(
        Three(),
        ComfyGenerator(WORKFLOW, url, images=images),
        handlers,
        metrics,
        {"project": "p", "experiment_run_name": "r", **args},
        cache=LocalCache(folder / "images"),
    )


def test_all_images_are_scored_and_averaged_and_kept(url: str, tmp_path: Path) -> None:
    record = run(url, tmp_path, "all", [Counting(), Levels(), SecondsMetric()])
    for item in record.items:
        assert sorted(sample.scores["counting"] for sample in item.samples) == [1, 2, 3]
        assert item.scores["counting"] == 2
        assert item.generated is not None
        assert item.scores["seconds"] * BATCH == pytest.approx(item.samples[0].scores["seconds"] * BATCH)
    assert record.metrics["counting"].count == 3
    assert record.metrics["shown"].mean == 3
    (folder,) = (path.parent for path in tmp_path.rglob("run.json"))
    row = json.loads((folder / "items.jsonl").read_text().splitlines()[0])
    assert [sample["image"] for sample in row["samples"]] == [
        f"generated_images/{folder_of}a.png" for folder_of in ("", "seed_2/", "seed_3/")
    ]
    assert all((folder / sample["image"]).is_file() for sample in row["samples"])
    assert record.notes.get("remarks") is None


def test_a_second_run_takes_all_of_them_from_the_cache(url: str, tmp_path: Path) -> None:
    first = run(url, tmp_path, "all", [Counting()])
    again = run(url, tmp_path, "all", [Counting()], experiment_run_name="again")
    assert (first.cached, again.cached) == (0, 9)
    assert [item.scores for item in again.items] == [item.scores for item in first.items]
    assert [[one.generated.image for one in item.samples if one.generated] for item in again.items] == [
        [one.generated.image for one in item.samples if one.generated] for item in first.items
    ]
    for pick in ("first", 2):
        assert run(url, tmp_path, pick, [Counting()], experiment_run_name=f"r{pick}").cached == 0


def test_several_seeds_of_several_images_are_all_repeats(url: str, tmp_path: Path) -> None:
    record = run(url, tmp_path, "all", [Counting(), Levels()], seeds=2)
    assert [len(item.samples) for item in record.items] == [6, 6, 6]
    assert record.items[0].scores["counting"] == 3.5
    assert len(list(tmp_path.rglob("generated_images/seed_6/*.png"))) == 3


def test_the_first_alone_is_told_once(url: str, tmp_path: Path) -> None:
    record = run(url, tmp_path, "first", [Counting()])
    assert [item.samples for item in record.items] == [(), (), ()]
    (remark,) = record.notes["remarks"]
    assert remark.startswith("node 'Save Image' gives 3 images at once, and the first counts")


def test_an_image_that_is_not_there_fails_the_item_and_not_the_endpoint(url: str, tmp_path: Path) -> None:
    record = run(url, tmp_path, 4, [Counting()])
    assert all(item.error for item in record.items)
    assert "it gave 3 images, and the generator's images asks for number 4" in str(record.items[2].error)
    then = run(url, tmp_path, 3, [Counting()], experiment_run_name="then")
    assert not any(item.error for item in then.items)
