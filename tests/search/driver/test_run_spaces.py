"""Whole searches over parameters that depend on each other, images, and seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixaris.data_loaders.base import DatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ImageGenerator
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.search import Search
from pixaris.types import EvalItem, EvalSet, ParamValue

pytestmark = pytest.mark.usefixtures("ray_session")

WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "x.png"}, "_meta": {"title": "Load Input Image"}},
    "2": {
        "class_type": "LoadImage",
        "inputs": {"image": "x.png"},
        "_meta": {"title": "Load Inspiration Image"},
    },
    "3": {
        "class_type": "ImageBlend",
        "inputs": {"image1": ["1", 0], "image2": ["2", 0], "blend_factor": 0.5, "blend_mode": "normal"},
        "_meta": {"title": "Blend"},
    },
    "4": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "x"},
        "_meta": {"title": "Save Image"},
    },
}


class Two(DatasetLoader):
    def load_dataset(self) -> EvalSet:
        black = EncodedImage.of(Image.new("RGB", (8, 8), "black"))
        return EvalSet(
            "two", tuple(EvalItem(index, name, {"Input": black}) for index, name in enumerate("ab"))
        )


class Level(BaseMetric):
    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(image.convert("L").getpixel((0, 0)))  # type: ignore[arg-type]

    def directions(self) -> dict[str, Any]:
        return {"level": "max"}


class Noise(ImageGenerator):
    def own_value(self, node_name: str, input: str) -> ParamValue:
        return 0

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        (param,) = args["generation_params"]
        return Image.new("L", (4, 4), (args["seed"] + param["value"]) % 256), "x.png"


def search(folder: Path, generator: ImageGenerator, space: dict[str, Any], **settings: Any) -> Search:
    return Search(
        data_loader=Two(),
        image_generator=generator,
        space=space,
        metrics=[Level()],
        objective="level",
        experiment_handler=LocalExperimentHandler(folder),
        algorithm="grid",
        results_dir=folder,
        **settings,
    )


def test_images_are_choices_and_what_does_not_count_keeps_the_workflow_s_own_value(
    endpoints: list[str], tmp_path: Path
) -> None:
    files = []
    for level in (100, 200):
        files.append(str(tmp_path / f"{level}.png"))
        Image.new("RGB", (8, 8), (level, level, level)).save(files[-1])
    space = {
        "look": {"node_name": "Load Inspiration Image", "images": files},
        "strength": {
            "node_name": "Blend",
            "input": "blend_factor",
            "domain": [0.25, 1.0],
            "when": {"look": files[1]},
        },
        "file": {
            "node_name": "Save Image",
            "input": "filename_prefix",
            "template": "strength_{strength:.1f}",
        },
    }
    result = search(tmp_path / "out", ComfyGenerator(WORKFLOW), space, endpoints=endpoints).run()
    found = {
        (Path(str(trial.values["look"])).stem, trial.values.get("strength")): trial.objective
        for trial in result.trials
        if trial.number
    }
    assert found == {
        ("200", 0.25): 50.0,
        ("200", 1.0): 200.0,
    }  # the first image's only set is the baseline's own
    assert result.trials[0].objective == 50.0  # the baseline: the first image, the workflow's own strength
    assert result.best is not None
    workflow = json.loads((Path(result.best.folder) / "workflow_apiformat.json").read_text())
    assert workflow["4"]["inputs"]["filename_prefix"] == "strength_1.0"


def test_a_search_with_seeds_counts_images_and_compares_items(tmp_path: Path) -> None:
    result = search(tmp_path, Noise(), {"p": ("N", "p", [0, 1, 2])}, seeds=3).run()
    assert all(len(trial.item_scores) == 2 and trial.items == 2 for trial in result.trials)
    assert result.images == 3 * 2 * len(result.trials)
    for trial in result.trials:
        rows = [json.loads(line) for line in (Path(trial.folder) / "items.jsonl").read_text().splitlines()]
        for row, score in zip(rows, trial.item_scores, strict=True):
            assert score == pytest.approx(sum(sample["scores"]["level"] for sample in row["samples"]) / 3)
        assert len(list((Path(trial.folder) / "generated_images").rglob("*.png"))) == 6


class Width(BaseMetric):
    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(image.width)

    def directions(self) -> dict[str, Any]:
        return {"width": "max"}


RESIZE: dict[str, Any] = {
    "1": WORKFLOW["1"],
    "2": {
        "class_type": "ResizeImageMaskNode",
        "inputs": {
            "input": ["1", 0],
            "resize_type": "scale dimensions",
            "resize_type.width": 5,
            "resize_type.height": 8,
            "resize_type.crop": "disabled",
            "scale_method": "area",
        },
        "_meta": {"title": "Resize"},
    },
    "4": {**WORKFLOW["4"], "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}


def test_a_choice_that_brings_inputs_is_searched_with_them(endpoints: list[str], tmp_path: Path) -> None:
    def resize(input: str, *domain: Any, **when: str) -> dict[str, Any]:
        return {
            "node_name": "Resize",
            "input": input,
            "domain": list(domain),
            **({"when": when} if when else {}),
        }

    space = {
        "kind": resize("resize_type", "scale dimensions", "scale by multiplier"),
        "width": resize("resize_type.width", 3, 6, kind="scale dimensions"),
        "times": resize("resize_type.multiplier", 2, 4, kind="scale by multiplier"),
    }
    made = Search(
        data_loader=Two(),
        image_generator=ComfyGenerator(RESIZE),
        space=space,
        metrics=[Width()],
        objective="width",
        experiment_handler=LocalExperimentHandler(tmp_path),
        algorithm="grid",
        results_dir=tmp_path,
        endpoints=endpoints,
    )
    trials = made.run().trials
    assert trials[0].objective == 5  # the workflow's own
    assert {tuple(trial.values.values()): trial.objective for trial in trials[1:]} == {
        ("scale dimensions", 3): 3.0,
        ("scale dimensions", 6): 6.0,
        ("scale by multiplier", 2): 16.0,
        ("scale by multiplier", 4): 32.0,
    }
