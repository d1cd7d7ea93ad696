"""Folders of searches made by hand: all files that a search leaves, without Ray and without endpoints."""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pixaris.files import write_json, write_json_lines
from pixaris.images import EncodedImage
from pixaris.results.evidence.eval_set import write_pictures
from pixaris.results.manifest import items as item_digests
from pixaris.results.manifest import write_manifest
from pixaris.results.objective import Objective
from pixaris.results.paths import RunPaths, SearchPaths, trial_name
from pixaris.results.records import SearchResult, SearchStatus, Totals
from pixaris.results.report import Stop, TrialReport, Usage
from pixaris.results.trial import TrialResult
from pixaris.types import EvalItem, EvalSet, ParamValue

Picture = Callable[[int, int], bytes]
"""Number of a set and index of an item to the bytes of an image file."""

SPACE = {
    "amount": {"node_name": "Sharpen", "input": "alpha", "loguniform": [0.01, 1.0]},
    "radius": {"node_name": "Blur", "input": "blur_radius", "randint": [1, 8]},
    "mode": {"node_name": "Blend", "input": "blend_mode", "choice": ["normal", "soft_light"]},
}
WORKFLOW = {
    "1": {"class_type": "ImageBlur", "inputs": {"blur_radius": 1}, "_meta": {"title": "Blur"}},
    "2": {"class_type": "ImageSharpen", "inputs": {"alpha": 1.0}, "_meta": {"title": "Sharpen"}},
}


@dataclass(frozen=True)
class Made:
    """How a search is to be.

    Attributes:
        sets: Trials, the baseline included.
        items: Of the eval set.
        stopped: Every so many-th set is stopped after a quarter of the items; 0: none.
        status: How it stands.
        side: Pixels of the images.
        prefix: Of the items' names.
        metric: The leading score.
        lift: Added to all scores but the baseline's.
        seed: Of everything random.
    """

    sets: int = 6
    items: int = 4
    stopped: int = 3
    status: SearchStatus = "finished"
    side: int = 48
    prefix: str = "photo"
    metric: str = "ssim"
    lift: float = 0.1
    seed: int = 1


def made_search(folder: Path, made: Made = Made(), picture: Picture | None = None) -> SearchResult:
    """Write a search's folder, and read it."""
    random = np.random.default_rng(made.seed)
    paths = SearchPaths(folder)
    names = [f"{made.prefix} {index:02d}" for index in range(made.items)]
    eval_set = _eval_set(names, made.side)
    hardness = random.normal(0.5, 0.1, made.items)
    trials = []
    for number in range(made.sets):
        values: dict[str, ParamValue] = {
            "amount": float(0.01 * 100 ** random.random()) if number else 1.0,
            "radius": int(random.integers(1, 8)) if number else 1,
            "mode": str(random.choice(["normal", "soft_light"])) if number else "normal",
        }
        level = made.lift * (1 + random.random()) if number else 0.0
        scores = hardness + level + random.normal(0, 0.02, made.items)
        is_stopped = bool(number and made.stopped and number % made.stopped == 0)
        done = max(1, made.items // 4) if is_stopped else made.items
        each = {index: float(scores[index]) for index in range(done)}
        trials.append(_trial(paths, number, values, each, made, is_stopped))
        _write_run(paths, trials[-1], names, eval_set, picture or (lambda n, i: noise(n, i, made.side)))
    totals = Totals(seconds=120.0, images=sum(trial.items for trial in trials))
    objectives = (Objective(made.metric, "max"),)
    result = SearchResult(
        folder.name, folder, made.status, objectives, tuple(trials), tuple(names), totals=totals
    )
    write_json(paths.head, result.head())
    write_json_lines(paths.trials, [trial.as_dict() for trial in trials])
    manifest = {"space": SPACE, "seeds": 1, "algorithm": "tpe", "scheduler": "asha", "seed": made.seed}
    write_manifest(paths, {**manifest, "workflow": WORKFLOW, "items": item_digests(eval_set)})
    write_pictures(paths, eval_set)
    paths.source(".yaml").write_text(f"name: {folder.name}\n# <script>alert('a search file')</script>\n")
    return SearchResult.load(folder)


def noise(number: int, index: int, side: int) -> bytes:
    """An image of its own for each set and item, as PNG."""
    image = _clouds(index, side).copy()
    image.putpixel((0, 0), (number % 256, number // 256, index % 256))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


@functools.cache
def _clouds(index: int, side: int) -> Image.Image:
    pixels = np.random.default_rng(index).integers(0, 255, (side // 4, side // 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def _eval_set(names: list[str], side: int) -> EvalSet:
    items = []
    for index, name in enumerate(names):
        given = EncodedImage.from_bytes(noise(0, index, side))
        wanted = EncodedImage.from_bytes(noise(7, index, side))
        items.append(EvalItem(index, name, {"Input": given}, {"Original": wanted}))
    return EvalSet("photos", tuple(items))


def _trial(
    paths: SearchPaths,
    number: int,
    values: dict[str, ParamValue],
    scores: dict[int, float],
    made: Made,
    is_stopped: bool,
) -> TrialResult:
    mean = sum(scores.values()) / len(scores)
    others = {index: 20 + 10 * score for index, score in scores.items()}
    report = TrialReport(
        objectives=(mean,),
        items=len(scores),
        scores={made.metric: mean, "psnr": 20 + 10 * mean},
        item_scores={made.metric: scores, "psnr": others},
        usage=Usage(seconds=len(scores)),
        state="running" if is_stopped else "ended",
    )
    return TrialResult(
        number,
        values,
        "stopped" if is_stopped else "finished",
        report,
        tuple(scores.get(index) for index in range(made.items)),
        str(paths.trial(number).folder),
        Stop("asha", len(scores)) if is_stopped else None,
    )


def _write_run(
    paths: SearchPaths, trial: TrialResult, names: list[str], eval_set: EvalSet, picture: Picture
) -> None:
    run = paths.trial(trial.number)
    run.images.mkdir(parents=True)
    rows = []
    for index in range(trial.items):
        data = picture(trial.number, index)
        file = RunPaths.image_name(names[index])
        (run.folder / file).write_bytes(data)
        scores = {name: each[index] for name, each in trial.report.item_scores.items()}
        rows.append(
            {
                "index": index,
                "name": names[index],
                "scores": scores,
                "error": None,
                "image": file,
                "digest": hashlib.sha256(data).hexdigest(),
                "endpoint": f"http://127.0.0.1:81{trial.number % 2}0",
                "seconds": 1.5,
                "attempts": 1,
                "cached": False,
            }
        )
    write_json_lines(run.items, rows)
    metrics = {name: {"mean": mean, "direction": "max"} for name, mean in trial.scores.items()}
    write_json(run.record, {"name": trial_name(trial.number), "metrics": metrics, "pixaris": "0.1.0"})
    write_json(run.workflow, WORKFLOW)
