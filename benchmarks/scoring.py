"""Slow metrics: images × service time / (endpoints × span) while every score takes longer than its image."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from measure import ask, run, say, span
from PIL import Image
from ray import tune
from sleepers import sleepers

from pixaris.metrics.base import BaseMetric
from pixaris.types import EvalItem


class Waiting(BaseMetric):
    """A metric that waits, as for an answer from the network."""

    direction = "max"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def score(self, image: Image.Image, item: EvalItem) -> float:
        time.sleep(self.seconds)
        return float(item.index)


@dataclass(frozen=True)
class Case:
    """A search on four endpoints."""

    items: int
    trials: int
    scheduler: str
    step: int | None = None
    endpoints: int = 4
    seconds: float = 0.5
    scoring: float = 1.0


def scoring(case: Case, limit: float) -> None:
    """Measure one case."""
    space = {"cfg": ("KSampler", "cfg", tune.uniform(1.0, 12.0))}
    with sleepers(case.endpoints, case.seconds, kilobytes=400) as urls:
        run(
            urls,
            space,
            items=case.items,
            side=256,
            metric=Waiting(case.scoring),
            algorithm="random",
            num_samples=case.trials - 1,
            scheduler=case.scheduler,
            seed=1,
            step=case.step,
        )
        stats = ask(urls)
    made = sum(s["prompts"] for s in stats)
    what = f"{case.scheduler}, {case.trials} trials × {case.items} images, step {case.step or case.items}"
    label = (
        f"{case.endpoints} endpoints × {case.seconds} s, {case.scoring} s metric, {what}: {made} images:"
        " utilisation"
    )
    say(label, made * case.seconds / case.endpoints / span(stats), 1.0, limit, lower=False)


CASES = (
    Case(24, 8, "fifo"),
    Case(24, 8, "fifo", step=4),
    Case(16, 12, "asha", step=4),
    Case(6, 24, "fifo"),
)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, help="only the case with this number, from 1")
    only = parser.parse_args().only
    for number, case in enumerate(CASES, 1):
        if only in (None, number):
            scoring(case, 0.9)
