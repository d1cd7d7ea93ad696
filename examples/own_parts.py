"""An eval set, a generator, a metric and a handler of your own, in one experiment run without server or Ray.

python examples/own_parts.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image, ImageFilter

from pixaris.data_loaders.base import DatasetLoader
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.orchestration.base import generate_images_based_on_dataset


class Stripes(DatasetLoader):
    """Draws its images; each is an item with one input, for whoever loads the "Load Input Image"."""

    def load_dataset(self) -> list[dict[str, Any]]:
        rows = []
        for width in (2, 4, 8):
            image = Image.new("RGB", (64, 64))
            for left in range(0, 64, 2 * width):
                image.paste((255, 255, 255), (left, 0, left + width, 64))
            entry = {"node_name": "Load Input Image", "pillow_image": image}
            rows.append({"name": f"stripes_{width}", "pillow_images": [entry]})
        return rows


class Blur(ImageGenerator):
    """Blurs the input. A parameter set may say how much; its default is 1."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        given = {param["input"]: param["value"] for param in args["generation_params"]}
        image = args["pillow_images"][0]["pillow_image"]
        return image.filter(ImageFilter.GaussianBlur(given.get("radius", 1))), "blurred.png"


class ContrastLeft(BaseMetric):
    """The mean difference of neighbouring pixels, over all images of a run."""

    direction = "max"

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        rows = [[image.convert("L").getpixel((x, 32)) for x in range(64)] for image in images]
        steps = [abs(a - b) for row in rows for a, b in pairwise(row)]
        return {"contrast_left": sum(steps) / len(steps)}


class Diary(ExperimentHandler):
    """Writes a line for each run, as a handler of the original's kind."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def store_results(
        self,
        experiment_run_name: str,
        image_name_pairs: Sequence[tuple[Image.Image, str]],
        metric_values: Mapping[str, float],
        args: Mapping[str, Any],
    ) -> None:
        names = ", ".join(name for _, name in image_name_pairs)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{experiment_run_name}: {names}; {dict(metric_values)}; by {args['author']}\n")


if __name__ == "__main__":
    diary = Path("diary.txt")
    for radius in (0.5, 2):
        generate_images_based_on_dataset(
            data_loader=Stripes(),
            image_generator=Blur(),
            experiment_handler=Diary(diary),
            metrics=[ContrastLeft()],
            args={
                "experiment_run_name": f"radius {radius}",
                "generation_params": [{"node_name": "Blur", "input": "radius", "value": radius}],
                "author": "me",
            },
        )
    print(diary.read_text(encoding="utf-8"), end="")
