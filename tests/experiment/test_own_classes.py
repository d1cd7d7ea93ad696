"""Classes as the original's users wrote them, in the plain functions."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixaris.data_loaders.base import DatasetLoader
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ConfigurationError, DatasetError, StorageError
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import read_json
from pixaris.generation.base import ImageGenerator
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.iou import IoUMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.testing import samples
from pixaris.testing.contracts import check_dataset_loader
from pixaris.types import RunRecord


class Dicts(DatasetLoader):
    """Loads what the original's loaders did."""

    def __init__(self, rows: Iterable[object]) -> None:
        self.rows = list(rows)

    def load_dataset(self) -> Any:
        return self.rows


def row(number: int, **others: object) -> dict[str, object]:
    image = samples.picture(number)
    return {"pillow_images": [{"node_name": "Load Input Image", "pillow_image": image}], **others}


class Inverter(ImageGenerator):
    """Inverts the input, or shifts it by args["shift"]."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        given = args["pillow_images"][0]["pillow_image"]
        shift = int(args.get("shift", 255))
        if args.get("broken") == args.get("kind", ""):
            raise RuntimeError("no such kind")
        return given.convert("RGB").point(lambda level: abs(shift - level)), "made.png"


class Shelf(ExperimentHandler):
    """Stores as the original's handlers did."""

    def __init__(self) -> None:
        self.stored: list[dict[str, Any]] = []

    def store_results(  # type: ignore[override]
        self,
        project: str,
        dataset: str,
        experiment_run_name: str,
        image_name_pairs: Iterable[tuple[Image.Image, str]],
        metric_values: dict[str, float],
        args: dict[str, Any],
    ) -> None:
        self.stored.append(
            {
                "where": (project, dataset, experiment_run_name),
                "names": [name for _, name in image_name_pairs],
                "metrics": metric_values,
                "args": args,
            }
        )


class Brightness(BaseMetric):
    """Names its scores as it likes."""

    def calculate(self, images: Iterable[Image.Image]) -> dict[str, float]:
        levels = [image.convert("L").resize((1, 1)).getpixel((0, 0)) for image in images]
        return {"how bright": sum(levels) / len(levels)}  # type: ignore[arg-type, misc]


def run(loader: DatasetLoader, handler: Any, **args: Any) -> RunRecord:
    args = {"project": "mine", "dataset": "photos", "experiment_run_name": "first", **args}
    return generate_images_based_on_dataset(loader, Inverter(), handler, [Brightness()], args)


def test_dicts_a_handler_and_a_metric_of_the_original_s_kind_work_together() -> None:
    shelf = Shelf()
    record = run(Dicts([row(1), row(2), row(3, name="last")]), shelf, shift=200, tenant="blue")
    assert [name for _, name in record] == ["item_001", "item_002", "last"]
    (stored,) = shelf.stored
    assert stored["where"] == ("mine", "photos", "first")
    assert stored["names"] == ["item_001", "item_002", "last"]
    assert stored["metrics"].keys() == {"how bright"}
    assert (stored["args"]["shift"], stored["args"]["tenant"]) == (200, "blue")


def test_the_pairs_are_in_the_eval_set_s_order_and_failures_are_told(tmp_path: Path) -> None:
    kinds = ["a", "b", "c", "d"]
    rows = [row(number, kind=kind, name=f"photo {kind}") for number, kind in enumerate(kinds)]
    record = run(Dicts(rows), LocalExperimentHandler(tmp_path), broken="c", max_parallel_jobs=4)
    assert [name for _, name in record.image_name_pairs] == ["photo a", "photo b", "photo d"]
    for image, name in record.image_name_pairs:
        given = samples.picture(kinds.index(name[-1]))
        assert image.tobytes() == given.point(lambda level: abs(255 - level)).tobytes()
    (failed,) = record.failures
    assert (failed.name, "no such kind" in str(failed.error)) == ("photo c", True)
    kept = read_json(tmp_path / "mine" / "photos" / "first" / "run.json")
    assert kept is not None
    assert kept["failures"][0]["name"] == "photo c"


def test_args_of_one_s_own_are_in_the_record_but_no_secrets(tmp_path: Path) -> None:
    run(Dicts([row(1)]), LocalExperimentHandler(tmp_path), shift=3, my_api_key="sesame", client=object())
    kept = read_json(tmp_path / "mine" / "photos" / "first" / "run.json")
    assert kept is not None
    assert kept["notes"]["args"] == {"shift": 3}


def test_images_are_named_by_the_files_they_were_read_from(tmp_path: Path) -> None:
    samples.picture(1).save(tmp_path / "Ä.png")
    image = Image.open(tmp_path / "Ä.png")
    loaded = check_dataset_loader(
        Dicts([{"pillow_images": [{"node_name": "Load Input Image", "pillow_image": image.copy()}]}])
    )
    assert loaded.items[0].name == "item_001"
    record = run(Dicts([{"pillow_images": [{"node_name": "Load X Image", "pillow_image": image}]}]), Shelf())
    assert [name for _, name in record] == ["Ä"]


@pytest.mark.parametrize(
    ("loaded", "told"),
    [
        (None, "must return an EvalSet, or a list of dicts with pillow_images (got NoneType)"),
        ("photos", "must return an EvalSet, or a list of dicts with pillow_images (got str)"),
        ([3], "item 1: must be a dict with pillow_images (got int)"),
        ([], "has no items"),
        ([row(1, name="x"), row(2, name="x")], "item 'x': is there twice"),
        ([{"pillow_images": [{"node_name": "Photo", "pillow_image": samples.picture(1)}]}], "Load … Image"),
        (
            [{"pillow_images": [{"node_name": "Load A Image", "pillow_image": "a.png"}]}],
            "must be a PIL image",
        ),
        ([{"pillow_images": 3}], "item 1, pillow_images: must be a list of dicts (got int)"),
        ([row(1), row(2, prompt="a")], "must have the same images and texts as the first item"),
    ],
)
def test_what_is_no_eval_set_is_told_before_anything_is_made(loaded: object, told: str) -> None:
    class Loader(DatasetLoader):
        def load_dataset(self) -> Any:
            return loaded

    shelf = Shelf()
    with pytest.raises(DatasetError) as caught:
        run(Loader(), shelf)
    assert told in str(caught.value)
    assert shelf.stored == []


def test_a_loader_that_breaks_is_quoted() -> None:
    class Loader(DatasetLoader):
        def load_dataset(self) -> Any:
            return {}["photos"]

    with pytest.raises(DatasetError, match=r"Loader\.load_dataset raised KeyError: 'photos'"):
        run(Loader(), Shelf())


def test_a_handler_that_fits_nothing_is_told_before_anything_is_made() -> None:
    made = []

    class Odd(ExperimentHandler):
        def store_results(self, folder: str, images: list[Any]) -> None:  # type: ignore[override]
            made.append(folder)

    with pytest.raises(ConfigurationError) as caught:
        run(Dicts([row(1)]), Odd())
    assert "Odd.store_results takes (folder, images); it must take (run), or any of (project, " in str(
        caught.value
    )
    with pytest.raises(ConfigurationError, match=r"str has no store_results\(run\)"):
        run(Dicts([row(1)]), "results")


def test_a_handler_that_breaks_is_quoted() -> None:
    class Full(ExperimentHandler):
        def store_results(self, image_name_pairs: Any, **others: Any) -> None:  # type: ignore[override]
            raise ValueError("the shelf is full")

    with pytest.raises(StorageError, match=r"Full\.store_results raised ValueError: the shelf is full"):
        run(Dicts([row(1)]), Full())


def test_a_handler_may_take_some_of_it_only() -> None:
    class Short(ExperimentHandler):
        names: list[str]

        def store_results(self, experiment_run_name: str, metric_values: Any) -> None:  # type: ignore[override]
            self.names = [experiment_run_name, *metric_values]

    short = Short()
    run(Dicts([row(1)]), short)
    assert short.names == ["first", "how bright"]


def test_a_metric_that_gives_nothing_says_so_in_words() -> None:
    class Silent(BaseMetric):
        def calculate(self, images: object) -> Any:
            return None

    record = generate_images_based_on_dataset(Dicts([row(1)]), Inverter(), Shelf(), [Silent()], {})
    assert record.notes["metric_failures"] == {
        "silent": "silent returned None, which is no score; return a number, or score names with numbers"
    }


def test_no_more_calls_at_once_than_max_parallel_jobs_says() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    class Slow(ImageGenerator):
        def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.1)
            with lock:
                at_once -= 1
            return Image.new("RGB", (8, 8)), "x.png"

    args = {"max_parallel_jobs": 3}
    generate_images_based_on_dataset(Dicts(map(row, range(9))), Slow(), Shelf(), [], args)
    assert most == 3


INSPIRED = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "Load Input Image"}},
    "2": {"class_type": "LoadImage", "inputs": {"image": "b.png"}, "_meta": {"title": "Load Inspo Image"}},
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 1.0, "blend_mode": "normal"},
        "_meta": {"title": "Blend"},
    },
    "4": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "x"},
        "_meta": {"title": "Save Image"},
    },
}
"""Gives the inspiration and nothing of the input."""


def test_pillow_images_reach_the_node_of_their_title_pixel_by_pixel(endpoints: list[str]) -> None:
    inspiration = samples.picture(77)
    given = [{"node_name": "Load Inspo Image", "pillow_image": inspiration}]
    record = generate_images_based_on_dataset(
        Dicts([row(1), row(2)]), ComfyGenerator(INSPIRED, endpoints[0]), Shelf(), [], {"pillow_images": given}
    )
    assert [image.tobytes() for image, _ in record] == [inspiration.tobytes()] * 2


def test_iou_by_the_readme_s_listing_is_the_iou_of_the_folder(cells: Path, endpoints: list[str]) -> None:
    class Echo(ImageGenerator):
        def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
            return args["pillow_images"][0]["pillow_image"], "x.png"

    def iou(metric: IoUMetric, *references: str) -> float:
        loader = LocalDatasetLoader.at(cells, references=references)
        record = generate_images_based_on_dataset(loader, Echo(), Shelf(), [metric], {})
        return record.metrics["iou"].mean

    folder = f"{cells}/Mask/"
    unsorted = sorted(os.listdir(folder), reverse=True)
    listed = [Image.open(folder + name) for name in unsorted]
    by_name = iou(IoUMetric(listed), "Mask")
    assert by_name == iou(IoUMetric(reference="Mask"), "Mask")
    assert by_name != iou(IoUMetric([image.copy() for image in listed]), "Mask")
