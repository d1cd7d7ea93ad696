"""Scores images beside their generation: in threads, as soon as each image is there."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import TypeAlias

from pixaris.exceptions import ConfigurationError, MetricError, PixarisError
from pixaris.experiment.seeds import together
from pixaris.metrics.base import BaseMetric, Execution
from pixaris.types import EvalItem, GeneratedImage, ItemResult

log = logging.getLogger(__name__)

_NEWEST = 0.2
"""Weight of the newest image in the moving averages."""

Shown: TypeAlias = Callable[[GeneratedImage, EvalItem], Execution]
"""Makes of an image and its item what metrics are shown."""


class Scorer:
    """Asks every metric in threads of its own, as many as it allows: a slow one holds up neither generation
    nor the others.

    Thread-safe. It outlives runs: a trial process has one.

    Args:
        metrics: Those with values per item are asked; the others are left out.
        objectives: What is optimised.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        metrics: Sequence[BaseMetric],
        objectives: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objectives = tuple(objectives)
        self._threads = [
            (metric, ThreadPoolExecutor(metric.parallel, f"pixaris-{metric.name}"))
            for metric in metrics
            if metric.per_item
        ]
        self._clock = clock
        self._lock = threading.Lock()
        self._scoring = 0.0
        self._generation = 0.0

    def follow(self, generated: Future[GeneratedImage], item: EvalItem, shown: Shown) -> Future[ItemResult]:
        """Score an image once it is there.

        Args:
            generated: The image to come.
            item: The item it is generated for.
            shown: Makes of them what metrics are shown.

        Returns:
            The item's result; a failure of the item (a `PixarisError`) is part of it, what else `generated`
            raises is raised. Cancelling it spares the scores that are not being made yet.
        """
        result: Future[ItemResult] = Future()

        def score(future: Future[GeneratedImage]) -> None:
            try:
                self._score(future, item, shown, result)
            except BaseException as error:  # noqa: BLE001  (a callback's exception is lost, and the result would never come)
                _settle(result, error)

        generated.add_done_callback(score)
        return result

    def ahead(self, places: int) -> int:
        """How many images are generated while one is scored: so many must wait in the queue, or the endpoints
        wait for scores.

        Args:
            places: Images that are generated at once.
        """
        with self._lock:
            if self._generation:
                return round(places * self._scoring / self._generation)
            return 0

    def close(self) -> None:
        """Let go of the threads, without waiting for scores that nobody waits for."""
        for _, threads in self._threads:
            threads.shutdown(wait=False, cancel_futures=True)

    def _score(
        self, future: Future[GeneratedImage], item: EvalItem, shown: Shown, result: Future[ItemResult]
    ) -> None:
        if result.cancelled():
            return
        try:
            generated = future.result()
        except PixarisError as error:
            _settle(result, ItemResult(item.index, item.name, error=error))
            return
        if generated.item != item.name:
            raise AssertionError(f"asked for {item.name!r}, was given {generated.item!r}")
        if generated.others:
            self._score_each(generated, item, shown, result)
            return
        if not self._threads:
            _settle(result, ItemResult(item.index, item.name, generated))
            return
        came = self._clock()
        result.add_done_callback(lambda _: self._took(generated.seconds, self._clock() - came))
        sheet = _Sheet(item, generated, len(self._threads), result, self._objectives)
        execution = shown(generated, item)
        for place, (metric, threads) in enumerate(self._threads):
            threads.submit(sheet.ask, place, metric, execution)

    def _score_each(
        self, generated: GeneratedImage, item: EvalItem, shown: Shown, result: Future[ItemResult]
    ) -> None:
        """Score the images of one execution, each by itself."""
        parts: list[Future[ItemResult]] = []
        for one in generated.each:
            there: Future[GeneratedImage] = Future()
            there.set_result(one)
            parts.append(self.follow(there, item, shown))
        whole = together(parts)
        whole.add_done_callback(lambda done: _settle(result, done.exception() or done.result()))
        result.add_done_callback(lambda done: whole.cancel() if done.cancelled() else None)

    def _took(self, generation: float, scoring: float) -> None:
        with self._lock:
            if self._generation:
                weight = _NEWEST
            else:
                weight = 1.0
            self._generation += weight * (generation - self._generation)
            self._scoring += weight * (scoring - self._scoring)


class _Sheet:
    """One image's scores as they come in from the threads of several metrics."""

    def __init__(
        self,
        item: EvalItem,
        generated: GeneratedImage,
        metrics: int,
        result: Future[ItemResult],
        objectives: Sequence[str],
    ) -> None:
        self._objectives = objectives
        self._item = item
        self._generated = generated
        self._metrics = metrics
        self._result = result
        self._lock = threading.Lock()
        self._scores: dict[int, Mapping[str, float]] = {}
        self._failures: dict[int, str] = {}

    def ask(self, place: int, metric: BaseMetric, execution: Execution) -> None:
        """Ask one metric; the last one's answer settles the item's result."""
        if self._result.cancelled():
            return
        scores: Mapping[str, float] = {}
        failure = ""
        try:
            scores = metric.named(metric.score_execution(execution))
            scores = metric.answering(scores, self._objectives)
        except ConfigurationError as error:  # no image's failure: every trial would end so
            _settle(self._result, error)
            return
        except Exception as error:
            # a user's own metric may run here; the item keeps its image and its other scores
            log.debug("%s could not score %s", metric.name, self._item.name, exc_info=True)
            failure = f"{metric.name}: {reason(error)}"
        except BaseException as error:  # noqa: BLE001  (else the result would never come)
            _settle(self._result, error)
            return
        with self._lock:
            self._scores[place] = scores
            if failure:
                self._failures[place] = failure
            complete = len(self._scores) == self._metrics
        if complete:
            _settle(self._result, self._filled())

    def _filled(self) -> ItemResult:
        scores = {
            name: value for place in sorted(self._scores) for name, value in self._scores[place].items()
        }
        failures = [self._failures[place] for place in sorted(self._failures)]
        if failures:
            problem = MetricError("; ".join(failures))
        else:
            problem = None
        return ItemResult(self._item.index, self._item.name, self._generated, problem, scores)


def reason(error: Exception) -> str:
    """What an exception of a metric is told as."""
    if isinstance(error, PixarisError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _settle(result: Future[ItemResult], outcome: ItemResult | BaseException) -> None:
    with contextlib.suppress(InvalidStateError):  # it was cancelled meanwhile
        if isinstance(outcome, BaseException):
            result.set_exception(outcome)
        else:
            result.set_result(outcome)
