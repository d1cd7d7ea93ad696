"""What all metrics have in common that ask a judge."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from string import Template
from typing import Any

from pixaris.exceptions import AccountError, ConfigurationError, MetricError, Problem
from pixaris.images import EncodedImage
from pixaris.metrics.base import WAITING, Scale
from pixaris.metrics.hosts.base import HostedMetric
from pixaris.metrics.item_images import ItemImages
from pixaris.metrics.judges.base import Judge, NoVerdictError, Schema, Usage, Verdict
from pixaris.metrics.judges.settings import service_of
from pixaris.metrics.judges.verdicts import Question
from pixaris.types import Direction, EvalItem

Answer = Mapping[str, Any]

SPREAD = "_spread"
"""What a score's name gets for the standard deviation of its samples."""


class JudgeMetric(HostedMetric):
    """A metric that asks a judge, once or several times for each image.

    An item whose every sample was refused or malformed has no score; one with some answers has the mean of
    these. With more than one sample there is a second score, ``<name>_spread``: the standard deviation of the
    samples (0.0 for one answer).

    Args:
        samples: How often each question is asked.
        judge: A `Judge`, or settings as for `pixaris.metrics.judges.settings.service_of`; the configuration's
            by default.

    Raises:
        ConfigurationError: A setting is wrong, the model or the key is missing, the SDK is not installed.
    """

    direction: Direction | None = "max"
    range = (0.0, 1.0)
    extra = "gemini"
    parallel = WAITING

    def __init__(self, samples: int = 1, judge: Judge | Mapping[str, Any] | None = None) -> None:
        if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= 100:
            raise ConfigurationError(
                Problem("samples", f"must be a whole number from 1 to 100 (got {samples!r})")
            )
        self.samples = samples
        self._service, self._prices = service_of(judge)
        self._ledger = _Ledger()

    @property
    def usage(self) -> Usage:
        """What this metric's questions have cost so far, in this process."""
        return self._ledger.total

    def costs(self) -> dict[str, float]:
        """`usage` by name, and in dollars where prices are set."""
        usage = self.usage
        dollars = self._prices.of(usage)
        return {
            **{name: float(value) for name, value in asdict(usage).items()},
            **({"dollars": dollars} if dollars else {}),
        }

    def problems(self) -> list[str]:
        """Whether the judge refuses the key or does not know the model; asking that costs nothing."""
        try:
            self._service.judge.check()
        except AccountError as error:
            return [str(error)]
        return []

    def asked(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> list[Answer]:
        """Ask all samples side by side and return the answers that came.

        Raises:
            MetricError: None came; the reason is the first one's.
            AccountError: The account cannot be used.
        """
        return self._answers(
            [Question.of(tuple(images), prompt, schema, number) for number in range(self.samples)]
        )

    def _answers(self, questions: Sequence[Question]) -> list[Answer]:
        answers: list[Answer] = []
        failure: MetricError | None = None
        for result in self._results(questions):
            if isinstance(result, Verdict):
                answers.append(result.answer)
            else:
                failure = failure or result
        if not answers:
            raise failure or MetricError(f"{self.name} asked nothing")
        return answers

    def _results(self, questions: Sequence[Question]) -> list[Verdict | MetricError]:
        """Verdicts and failures in the order of the questions, all of them counted."""
        service = self._service
        futures = [
            self.host.submit(service, replace(question, judge=service.judge)) for question in questions
        ]
        results: list[Verdict | MetricError] = []
        try:
            for future in futures:
                try:
                    verdict = future.result()
                    self._ledger.add(verdict.usage)
                    results.append(verdict)
                except MetricError as error:
                    if isinstance(error, NoVerdictError):
                        self._ledger.add(error.usage)
                    results.append(error)
        finally:
            for future in futures:
                future.cancel()  # after an error that ends the run, nothing more is spent
        return results

    def scales(self) -> dict[str, Scale]:
        return self.sampled_scales({self.name: Scale(self.direction, self.range, self.unit)})

    def sampled_scales(self, scales: Mapping[str, Scale]) -> dict[str, Scale]:
        """Scales with those of the spreads, where more than one sample is asked for."""
        if self.samples == 1:
            return dict(scales)
        spreads = {
            name + SPREAD: Scale(None, (0.0, scale.range[1] - scale.range[0]), scale.unit)
            for name, scale in scales.items()
        }
        return {**scales, **spreads}

    def sampled(self, name: str, values: Sequence[float]) -> dict[str, float]:
        """The mean of a score's samples, and their spread where more than one was asked for."""
        row = {name: statistics.fmean(values)}
        if self.samples > 1:
            if len(values) > 1:
                row[name + SPREAD] = statistics.stdev(values)
            else:
                row[name + SPREAD] = 0.0
        return row


class _Ledger:
    """Adds up; a copy in another process starts anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = Usage()

    def add(self, usage: Usage) -> None:
        with self._lock:
            self.total += usage

    def __reduce__(self) -> tuple[type[_Ledger], tuple[()]]:
        return _Ledger, ()


def shown(images: ItemImages, item: EvalItem) -> EncodedImage:
    """An item's image as a judge is shown it.

    Raises:
        MetricError: It has none.
    """
    if images.folder and (images.folder in item.references or images.folder in item.inputs):
        return item.image(images.folder)  # encoded already
    return EncodedImage.of(images.image_for(item))


def prompt_text(name: str, **words: str) -> str:
    """A prompt of the package, with its ``$words`` filled in."""
    text = (files("pixaris.metrics") / "prompts" / f"{name}.txt").read_text(encoding="utf-8")
    return Template(text).substitute(words).strip()
