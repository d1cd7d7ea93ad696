"""Searches that votes steer, with raters who are simulated and vote in the order that the queue asks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from gray_kit import Blank
from PIL import Image
from ray import tune

from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.feedback_handlers.base import (
    FeedbackHandler,
    FeedbackImage,
    IterationKey,
    Outcome,
    Vote,
    votes_of,
)
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.files import append_json_line
from pixaris.frontend.blind import BlindQueue
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.metrics.base import BaseMetric
from pixaris.metrics.votes import VotesMetric
from pixaris.search import Search
from pixaris.threads import beside
from pixaris.types import EvalItem, ParamValue

KEY = IterationKey("tests", "looks")
ITEMS = 3
BASELINE = 0.95


class Painter(ImageGenerator):
    """Makes gray images by itself, whose level is the parameter, and writes down each."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def own_value(self, node_name: str, input: str) -> ParamValue:
        return BASELINE

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        assert isinstance(args, ItemArgs)
        x = next(float(param.value) for param in args.params)
        append_json_line(self._log, {"x": x, "item": args.item})
        return Image.new("RGB", (8, 8), (round(250 * x), 0, 0)), args.item


class Redness(BaseMetric):
    direction = "max"

    def score(self, image: Image.Image, item: EvalItem) -> float:
        return float(image.getpixel((0, 0))[0])  # type: ignore[index]


def search(results: Path, **changes: Any) -> Search:
    settings: dict[str, Any] = {
        "data_loader": Blank(ITEMS),
        "image_generator": Painter(results / "made.jsonl"),
        "space": {"x": ("Any", "x", tune.uniform(0.0, 1.0))},
        "metrics": [VotesMetric("looks", votes=36, sets_per_round=4), Redness()],
        "objective": "preference",
        "experiment_handler": LocalExperimentHandler(results),
        "project": KEY.project,
        "name": "gray",
        "num_samples": 12,
        "seed": 5,
        "results_dir": results,
        "feedback_handler": LocalFeedbackHandler(results),
    }
    return Search(**{**settings, **changes})


def taste(file: Path) -> float:
    """What an image is worth to people, in logits: they want the level that 0.3 makes."""
    level = Image.open(file).convert("RGB").getpixel((0, 0))[0] / 250  # type: ignore[index]
    return -12.0 * abs(level - 0.3)


def answer(left: FeedbackImage, right: FeedbackImage, random: np.random.Generator) -> Outcome:
    """What a simulated rater says, with ties as often as nu = 1/2 has them."""
    one, other = taste(left.file), taste(right.file)
    weights = np.array([math.exp(one), math.exp(other), 0.5 * math.exp((one + other) / 2)])
    answers: list[Outcome] = ["left", "right", "tie"]
    return answers[int(random.choice(3, p=weights / weights.sum()))]


@contextmanager
def raters(
    results: Path, key: IterationKey = KEY, *, at_most: int | None = None, seed: int = 1
) -> Iterator[Callable[[], int]]:
    """People who vote in a thread as long as the block runs; gives how many votes there are.

    Args:
        results: The results folder.
        key: The iteration; they wait until it is there.
        at_most: How many votes they give.
        seed: Of what they say.
    """
    handler, random = LocalFeedbackHandler(results), np.random.default_rng(seed)

    def count() -> int:
        return len(votes_of(handler.read(key).entries)) if key in handler.iterations() else 0

    def work(over: Event) -> None:
        queue: BlindQueue | None = None
        while not over.wait(0.02):
            if not handler.has_begun or key not in handler.iterations():
                continue
            iteration = handler.load(key)
            queue = queue or BlindQueue(iteration, lambda one, other: True, seed)
            queue.take(iteration)
            _vote(handler, queue, key, random, at_most)

    with beside("raters", work):
        yield count
    handler.close()


def _vote(
    handler: FeedbackHandler,
    queue: BlindQueue,
    key: IterationKey,
    random: np.random.Generator,
    at_most: int | None,
) -> None:
    votes = votes_of(handler.read(key).entries)
    lease = queue.lend("ann", votes) if at_most is None or len(votes) < at_most else None
    if lease is None:
        return
    said = answer(lease.left, lease.right, random)
    vote = Vote(
        "ann", time.time(), item=lease.left.item, left=lease.left.name, right=lease.right.name, outcome=said
    )
    handler.write(key, vote)
    queue.answered(lease.id)
