"""Scores for images that exist already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from pixaris.experiment.run import summarise
from pixaris.experiment.scoring import Scorer, reason
from pixaris.metrics.base import BaseMetric, Execution
from pixaris.types import EvalItem, EvalSet, GeneratedImage, ItemResult, MetricSummary


@dataclass(frozen=True)
class Scores:
    """What metrics say of a set of images.

    Attributes:
        items: One result per item of the eval set, in its order.
        metrics: Score name to its summary over the items that have it; of metrics that look at the whole set,
            to their value.
        failures: Name of a metric that looks at the whole set to the reason why it has no value.
    """

    items: tuple[ItemResult, ...]
    metrics: Mapping[str, MetricSummary]
    failures: Mapping[str, str]


def score_images(eval_set: EvalSet, folder: str, metrics: Sequence[BaseMetric]) -> Scores:
    """Score the images of one of an eval set's folders, several at once.

    Args:
        eval_set: Its other folders are what metrics compare with.
        folder: The folder whose images are scored.
        metrics: Score them.
    """
    scorer = Scorer(metrics)
    try:
        futures = [_follow(scorer, item, folder) for item in eval_set.items]
        items = tuple(future.result() for future in futures)
    finally:
        scorer.close()
    whole: dict[str, float] = {}
    failures: dict[str, str] = {}
    if not all(metric.per_item for metric in metrics):
        images = [item.image(folder).image for item in eval_set.items]
    else:
        images = []
    for metric in (metric for metric in metrics if not metric.per_item):
        try:
            whole.update(metric.named(metric.calculate(images)))
        except Exception as error:  # noqa: BLE001  (whatever a metric raises is the reason why it has no value)
            failures[metric.name] = reason(error)
    summaries = {name: MetricSummary(value, 0.0, len(items)) for name, value in whole.items()}
    return Scores(items, {**summarise(items), **summaries}, failures)


def _follow(scorer: Scorer, item: EvalItem, folder: str) -> Future[ItemResult]:
    there: Future[GeneratedImage] = Future()
    there.set_result(GeneratedImage("", item.name, item.image(folder), "", 0.0))
    return scorer.follow(there, item, lambda made, item: Execution(made.image, item))
