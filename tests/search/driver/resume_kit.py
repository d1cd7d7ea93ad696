"""A search that is killed again and again: made from the same parts in every process, with a log of every
image that is made.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gray_kit import Blank, Lightness
from PIL import Image
from ray import tune

from pixaris.cache.local import LocalCache
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.files import append_json_line, read_json_lines
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.search import Search, SearchResult
from pixaris.types import ParamValue

ITEMS = 6


class Painter(ImageGenerator):
    """Makes gray images by itself, takes its time, and writes down each that it has made."""

    def __init__(self, log: Path, seconds: float) -> None:
        self._log = log
        self._seconds = seconds

    def cache_key(self, args: ItemArgs) -> str:
        values = {param.input: param.value for param in args.params}
        return hashlib.sha256(f"{self._log} {values} {args.item}".encode()).hexdigest()

    def own_value(self, node_name: str, input: str) -> ParamValue:
        return {"x": 0.1, "k": 1}[input]

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        values = {param.input: param.value for param in args.params}
        time.sleep(self._seconds)
        append_json_line(self._log, {"values": values, "item": args.item})
        level = int(255 * (1 - abs(float(values["x"]) - 0.3)) * int(values["k"]) / 5)
        return Image.new("RGB", (8, 8), (max(0, level),) * 3), args.item


GRID = {"x": ("Any", "x", [0.1, 0.3, 0.7]), "k": ("Any", "k", [1, 3, 5])}
SPACE = {"x": ("Any", "x", tune.uniform(0.0, 1.0)), "k": ("Any", "k", tune.randint(1, 6))}


def search(results: Path, seconds: float = 0.05, **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": Blank(ITEMS),
        "image_generator": Painter(results / "made.jsonl", seconds),
        "space": SPACE,
        "metrics": [Lightness()],
        "objective": "lightness",
        "experiment_handler": LocalExperimentHandler(results),
        "project": "tests",
        "name": "gray",
        "algorithm": "tpe",
        "algorithm_options": {"n_startup_trials": 4},
        "scheduler": "asha",
        "step": 2,
        "num_samples": 11,
        "seed": 5,
        "max_concurrent": 1,
        "results_dir": results,
        "cache": LocalCache(results / "cache"),
    }
    return Search(**{**settings, **changes})


def facts(result: SearchResult) -> list[tuple[Any, ...]]:
    return [(t.number, t.status, dict(t.values), t.objective, t.item_scores, t.items) for t in result.trials]


def made(results: Path) -> Counter[str]:
    """How often each image was made."""
    return Counter(f"{row['values']} {row['item']}" for row in read_json_lines(results / "made.jsonl"))


def start(results: Path, seconds: float, changes: str = "{}") -> subprocess.Popen[bytes]:
    """The search in a process of its own, resumed if it was begun."""
    code = (
        f"from pathlib import Path; from resume_kit import GRID, search; search(Path({str(results)!r}),"
        f" {seconds}, **{changes})"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-c", f"{code}.run(resume=True)"],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=(results / "stderr.txt").open("ab"),
    )


def killed(results: Path, images: int, seconds: float = 0.05, changes: str = "{}") -> bool:
    """Start the search and kill it once it has made that many images; False if it ended before."""
    goal = made(results).total() + images
    process = start(results, seconds, changes)
    while process.poll() is None and made(results).total() < goal:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    ended = process.wait() == 0
    before = -1
    while before != (before := made(results).total()):
        time.sleep(2)  # its trials' processes end with it, but not at once
    return not ended
