"""An eval set without a workflow, and what a gray image is worth: for generators that paint by themselves."""

from __future__ import annotations

from PIL import Image

from pixaris.data_loaders.base import DatasetLoader
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.types import EvalItem, EvalSet


class Blank(DatasetLoader):
    """So many items, each with the same picture for metrics alone."""

    def __init__(self, items: int) -> None:
        self.items = items

    def load_dataset(self) -> EvalSet:
        picture = EncodedImage.of(Image.new("RGB", (8, 8)))
        items = tuple(EvalItem(index, f"i{index}", {}, {"Seen": picture}) for index in range(self.items))
        return EvalSet("blank", items)


class Lightness(BaseMetric):
    """How light an image is, a little more for every later item."""

    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(image.getpixel((0, 0))[0]) + item.index / 7  # type: ignore[index]
