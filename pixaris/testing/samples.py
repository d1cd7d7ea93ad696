"""Small values to try implementations with: pictures, an eval set, a run that grows."""

from __future__ import annotations

import statistics
from collections.abc import Collection
from typing import Any

import numpy as np
from PIL import Image

from pixaris.exceptions import ExecutionError
from pixaris.images import EncodedImage
from pixaris.types import (
    EvalItem,
    EvalSet,
    GeneratedImage,
    GenerationParam,
    ItemResult,
    MetricSummary,
    RunRecord,
    RunStatus,
)


def picture(seed: int, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Return an RGB picture with smooth and rough parts; the same for the same seed."""
    width, height = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [
        np.sin(x / rng.uniform(2, 9) + rng.uniform(0, 6)) + np.cos(y / rng.uniform(2, 9)) for _ in range(3)
    ]
    levels = 127 + 55 * np.stack(waves, axis=2) + rng.normal(0, 6, (height, width, 3))
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def mask(seed: int, size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Return a mask of mode L: a white ellipse on black; the same for the same seed."""
    width, height = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    center = (rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height)
    inside = ((x - center[0]) / (0.3 * width)) ** 2 + ((y - center[1]) / (0.3 * height)) ** 2 <= 1
    return Image.fromarray((inside * 255).astype(np.uint8))


def eval_set(count: int = 4, size: tuple[int, int] = (48, 32), name: str = "samples") -> EvalSet:
    """Return an eval set with a folder ``Input`` and two reference folders, ``Original`` and ``Mask``."""
    items = (
        EvalItem(
            index,
            f"photo {index + 1}",
            inputs={"Input": EncodedImage.of(picture(index, size))},
            references={
                "Original": EncodedImage.of(picture(1000 + index, size)),
                "Mask": EncodedImage.of(mask(index, size)),
            },
        )
        for index in range(count)
    )
    return EvalSet(name, tuple(items))


def run_record(
    items: EvalSet,
    done: int,
    status: RunStatus = "running",
    *,
    failed: Collection[int] = (),
    id: str = "run-1",
    name: str = "a run",
    **others: object,
) -> RunRecord:
    """Return a run of which the first items are done.

    Args:
        items: Its eval set.
        done: How many items are done.
        status: Its status.
        failed: Indices of items that failed, of those that are done.
        id: Its id.
        name: Its name.
        others: Further fields of the record.
    """
    results = tuple(_result(item, item.index in failed) for item in items.items[:done])
    scores = [result.scores["quality"] for result in results if result.scores]
    if len(scores) > 1:
        spread = statistics.stdev(scores)
    else:
        spread = 0.0
    metrics = {}
    if scores:
        metrics["quality"] = MetricSummary(statistics.fmean(scores), spread, len(scores))
    fields: dict[str, Any] = {
        "project": "samples",
        "params": (
            GenerationParam("KSampler", "cfg", 7.1),
            GenerationParam("KSampler", "sampler_name", "euler"),
        ),
        "metrics": metrics,
        "directions": {"quality": "max"},
        "workflow": {"3": {"class_type": "KSampler", "inputs": {"cfg": 7.1}, "_meta": {"title": "KSampler"}}},
        "started": 1_700_000_000.0,
        "seconds": float(done),
    }
    return RunRecord(id=id, name=name, eval_set=items, status=status, items=results, **{**fields, **others})


def _result(item: EvalItem, failed: bool) -> ItemResult:
    if failed:
        error = ExecutionError("out of range", endpoint="http://127.0.0.1:8188", node="KSampler")
        return ItemResult(item.index, item.name, error=error)
    image = EncodedImage.of(
        picture(2000 + item.index, item.inputs["Input"].size if "Input" in item.inputs else (48, 32))
    )
    generated = GeneratedImage(f"request-{item.index}", item.name, image, "http://127.0.0.1:8188", 0.25)
    return ItemResult(item.index, item.name, generated, scores={"quality": 0.5 + 0.05 * item.index})
