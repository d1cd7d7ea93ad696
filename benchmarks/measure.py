"""What the benchmarks share: an eval set, a search over sleeping endpoints, and the servers' own clocks."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from PIL import Image
from sleepers import WORKFLOW

from pixaris.data_loaders.base import DatasetLoader
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.base import COMPUTING, BaseMetric
from pixaris.search import Search, SearchResult
from pixaris.types import EvalItem, EvalSet


class Noise(DatasetLoader):
    """Items of random pixels."""

    def __init__(self, items: int, side: int) -> None:
        self.items, self.side = items, side

    def load_dataset(self) -> EvalSet:
        pixels = np.random.default_rng(0).integers(
            0, 256, (self.items, self.side, self.side, 3), dtype=np.uint8
        )
        return EvalSet(
            "noise",
            tuple(
                EvalItem(i, f"item{i}", {"Input": EncodedImage.of(Image.fromarray(p))})
                for i, p in enumerate(pixels)
            ),
        )


class Constant(BaseMetric):
    """A metric that costs nothing."""

    direction = "max"
    parallel = COMPUTING

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(item.index)


def ask(urls: Sequence[str]) -> list[dict[str, Any]]:
    """Every server's own statistics."""
    return [json.load(urlopen(f"{url}/stats")) for url in urls]


def run(
    urls: Sequence[str],
    space: dict[str, Any],
    *,
    items: int,
    side: int = 512,
    metric: BaseMetric | None = None,
    **settings: Any,  # noqa: ANN401  (fields of Search)
) -> tuple[SearchResult, float]:
    """Search on these endpoints; gives the result and the seconds from the call to its end."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        metric = metric or Constant()
        started = time.monotonic()
        result = Search(
            data_loader=Noise(items, side),
            image_generator=ComfyGenerator(WORKFLOW),
            space=space,
            metrics=[metric],
            objective=metric.name,
            experiment_handler=LocalExperimentHandler(folder),
            endpoints=list(urls),
            results_dir=Path(folder),
            **settings,
        ).run()
        return result, time.monotonic() - started


def span(stats: Sequence[dict[str, Any]]) -> float:
    """Seconds from the first prompt's arrival to the last one's end, over all servers."""
    return max(s["last"] for s in stats if s["last"]) - min(s["first"] for s in stats if s["first"])


def say(name: str, measured: float, ideal: float, limit: float, *, lower: bool = True) -> None:
    """Print a measurement against its ideal of the same run."""
    ratio = measured / ideal
    good = ratio <= limit if lower else ratio >= limit
    verdict = f"{'≤' if lower else '≥'} {limit}: {'yes' if good else 'NO'}"
    print(f"{name}: {measured:.2f} against {ideal:.2f} ideal: {ratio:.3f} ({verdict})", flush=True)
