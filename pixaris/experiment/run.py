"""One experiment run: generate, score and store an eval set's items, some at a time."""

from __future__ import annotations

import logging
import statistics
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from functools import cached_property

from pixaris.exceptions import (
    AccountError,
    ConfigurationError,
    EndpointError,
    ExecutionError,
    PixarisError,
)
from pixaris.experiment.scoring import Scorer, reason
from pixaris.experiment.seeds import ENDS_THE_RUN, together
from pixaris.experiment.setup import RunSetup, directions
from pixaris.experiment.snapshots import RunSnapshot
from pixaris.experiment.submitters import AHEAD, Submitter
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ItemArgs
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution
from pixaris.results.manifest import plain_facts
from pixaris.types import (
    EvalItem,
    GeneratedImage,
    GenerationParam,
    ItemResult,
    MetricSummary,
    ParamValue,
    RunRecord,
    RunStatus,
)

log = logging.getLogger(__name__)

_RECORDED = frozenset(
    (
        *("project", "dataset", "experiment_run_name", "seeds", "generation_params", "pillow_images"),
        *(
            "workflow_apiformat_json",
            "workflow_pillow_image",
            "hyperparameters",
            "endpoints",
            "objective",
            "direction",
        ),
    )
)
"""Keys of ``args`` that stand in a record elsewhere."""
_MAY_PASS = (ExecutionError, EndpointError)
"""Errors of an image that may be gone when it is tried once more."""


@dataclass
class ExperimentRun:
    """One eval set, one workflow, one parameter set; advanced some items at a time.

    Attributes:
        setup: What it shares with other runs.
        submitter: Starts its items.
        handler: Keeps its results; called after every `advance` and by `finish`.
        name: Its name.
        params: Its parameter set.
        images: Images of its parameter set: title of the node that loads one, to the image.
        values: In a search: parameter name to value.
        notes: Kept in the record as they are.
        scorer: Scores its images beside their generation; runs that follow each other may share one. Its own
            by default.
    """

    setup: RunSetup
    submitter: Submitter
    handler: ExperimentHandler
    name: str
    params: tuple[GenerationParam, ...] = ()
    images: Mapping[str, EncodedImage] = field(default_factory=dict)
    values: Mapping[str, ParamValue] = field(default_factory=dict)
    notes: Mapping[str, object] = field(default_factory=dict)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    scorer: Scorer | None = None

    def __post_init__(self) -> None:
        self._started = time.time()
        self._clock = time.monotonic()
        self._before = 0.0
        self._results: dict[int, ItemResult] = {}
        self._scorer = self.scorer or Scorer(self.setup.metrics, self.setup.objectives)
        self._futures: dict[int, list[Future[GeneratedImage]]] = {}
        self._scored: dict[int, Future[ItemResult]] = {}
        self._todo = list(self.setup.indices())
        self._args = self.setup.args.with_params(self.params).with_images(self.images)
        self._tried_again = False
        self._whole: dict[str, float] = {}
        self._failures: dict[str, str] = {}
        self._finished: RunStatus | None = None

    @cached_property
    def _workflow(self) -> Mapping[str, object] | None:
        return self.setup.generator.bound_workflow(self._args)

    @property
    def done(self) -> bool:
        """Whether every item has a result."""
        return not self._todo

    def start_ahead(self, count: int) -> None:
        """Queue the next items before anybody waits for them."""
        self._start(self._todo[:count], AHEAD)

    def advance(self, count: int, *, ahead: int = 0) -> RunRecord:
        """Generate, score and store the next items.

        Args:
            count: How many.
            ahead: How many of those after them to queue meanwhile, before anybody waits for them.

        Returns:
            The run as it stands then.

        Raises:
            AccountError, NoEndpointError, CancelledRequestError: Nothing can go on; what was scored before is
                kept and stored.
        """
        batch = self._todo[:count]
        self._start(batch, 0)
        self.submitter.promote([future for index in batch for future in self._futures[index]])
        self._start(self._todo[count : count + ahead], AHEAD)
        ended = self._collect(batch)
        if isinstance(ended, AccountError):
            self.collect_started()
        if ended is not None:
            raise ended
        if self.done:
            self._try_failures_again()
            self._score_whole()
        record = self.record("running")
        self.handler.store_results(record)
        return record

    def _try_failures_again(self) -> None:
        """Generate the images that failed once more, now that all others are there.

        What stopped an image may be over by now. Where every image failed, or where trying costs something,
        or where the server has looked at the prompt and will not have it, nothing is tried.

        Raises:
            AccountError, NoEndpointError, CancelledRequestError: Nothing can go on.
        """
        failed = [index for index, result in self._results.items() if isinstance(result.error, _MAY_PASS)]
        if self._tried_again or self.setup.generator.charges or len(failed) == len(self._results):
            return
        self._tried_again = True
        before = {index: self._results.pop(index) for index in failed}
        self._todo = [index for index in self.setup.indices() if index in before]
        self._start(self._todo, 0)
        ended = self._collect(self._todo)
        if ended is not None:
            self._results = {**before, **self._results}
            raise ended

    def collect_started(self) -> None:
        """Wait for all that is started already, and keep it: where an account was refused, for what it has
        charged.
        """
        self._collect(list(self._scored))

    def _collect(self, indices: Sequence[int]) -> PixarisError | None:
        """Wait for items that are started; gives the error of those for which nothing can go on, and that
        stay to be done.
        """
        ended: PixarisError | None = None
        for scored in as_completed([self._scored[index] for index in indices]):
            result = scored.result()
            if isinstance(result.error, ENDS_THE_RUN):
                ended = result.error
                continue
            self._results[result.index] = result
        for index in indices:
            del self._futures[index], self._scored[index]
        self._todo = [index for index in self._todo if index not in self._results]
        return ended

    def snapshot(self) -> RunSnapshot:
        """The run so far, images included: enough to go on in another process."""
        return RunSnapshot(dict(self._results), self._started, self._seconds)

    def go_on_from(self, snapshot: RunSnapshot) -> None:
        """Take over what another process did of this run; only the other items are still generated."""
        self._results = dict(snapshot.results)
        self._todo = [index for index in self._todo if index not in self._results]
        self._started, self._before = snapshot.started, snapshot.seconds

    @property
    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._clock

    def finish(self, status: RunStatus) -> RunRecord:
        """End the run: cancel what is queued, store the final record. Only the first call counts."""
        if self._finished is None:
            self._finished = status
            for scored in self._scored.values():
                scored.cancel()
            self.submitter.cancel([future for futures in self._futures.values() for future in futures])
            self._futures.clear()
            self._scored.clear()
            if self.scorer is None:
                self._scorer.close()
            record = self.record(status)
            self.handler.store_results(record)
            return record
        return self.record(self._finished)

    def record(self, status: RunStatus) -> RunRecord:
        """The run as it stands."""
        items = tuple(self._results[index] for index in sorted(self._results))
        return RunRecord(
            id=self.id,
            name=self.name,
            project=self.setup.project,
            eval_set=self.setup.eval_set,
            status=status,
            params=self._args.params,
            values=self.values,
            items=items,
            metrics={
                **summarise(items),
                **{k: MetricSummary(v, 0.0, len(items)) for k, v in self._whole.items()},
            },
            directions=directions(self.setup.metrics),
            search=self.setup.search,
            workflow=self._workflow,
            workflow_image=self.setup.workflow_image,
            started=self._started,
            seconds=self._seconds,
            notes={
                **self.notes,
                **({"metric_failures": self._failures} if self._failures else {}),
                **({"remarks": remarks} if (remarks := _remarks(items)) else {}),
                **({"args": others} if (others := _others(self._args)) else {}),
            },
            args=self._args.given,
        )

    def _start(self, indices: Sequence[int], priority: int) -> None:
        fresh = [index for index in indices if index not in self._futures]
        if not fresh:
            return
        items = [self.setup.eval_set.items[index] for index in fresh]
        seeds = self.setup.seeds
        args = [self._args.for_item(item, repeat) for item in items for repeat in self.setup.repeats]
        started = self.submitter.submit(args, priority)
        for number, item in enumerate(items):
            futures = self._futures[item.index] = started[number * seeds : (number + 1) * seeds]
            self._scored[item.index] = together(
                [self._scorer.follow(future, item, self._shown) for future in futures]
            )

    def _shown(self, generated: GeneratedImage, item: EvalItem) -> Execution:
        params = self._args.with_params(item.params).params
        return Execution(generated.image, item, generated, params, self._workflow)

    def _score_whole(self) -> None:
        """Ask the metrics that have no value per item, once every item has an image."""
        items = [self._results[index] for index in sorted(self._results)]
        repeats = max(len(item.each) for item in items)
        by_seed = []
        for repeat in range(repeats):
            by_seed.append([_nth(item, repeat) for item in items])
        missing = sum(made is None for row in by_seed for made in row)
        for metric in (metric for metric in self.setup.metrics if not metric.per_item):
            if missing:
                self._failures[metric.name] = f"needs every image, and {missing} failed"
                continue
            try:
                rows = []
                for made in by_seed:
                    images = [one.image.image for one in made if one]
                    rows.append(metric.named(metric.calculate(images)))
                means = {}
                for name in rows[0]:
                    means[name] = statistics.fmean(row[name] for row in rows)
                self._whole.update(metric.answering(means, self.setup.objectives))
            except ConfigurationError:  # no failure of this run alone
                raise
            except Exception as error:
                # a user's own metric may run here; the run keeps its images and its other scores
                log.debug("%s could not score the run", metric.name, exc_info=True)
                self._failures[metric.name] = reason(error)


def _nth(item: ItemResult, number: int) -> GeneratedImage | None:
    """An item's image of a number; None where it failed, or has fewer."""
    if number < len(item.each):
        return item.each[number].generated
    return None


def _remarks(items: Sequence[ItemResult]) -> list[str]:
    """What is to be known of how images were made, each sentence once."""
    images = (one.generated for item in items for one in item.each)
    return list(dict.fromkeys(image.note for image in images if image is not None and image.note))


def _others(args: ItemArgs) -> dict[str, object]:
    """What the user gave for components of his own, as far as it is plain and no secret."""
    return plain_facts({key: value for key, value in args.given.items() if key not in _RECORDED})


def summarise(items: Sequence[ItemResult]) -> dict[str, MetricSummary]:
    """Mean, spread and number of every score over the items that have it."""
    names = dict.fromkeys(name for item in items for name in item.scores)
    summaries = {}
    for name in names:
        values = [item.scores[name] for item in items if name in item.scores]
        if len(values) > 1:
            spread = statistics.stdev(values)
        else:
            spread = 0.0
        summaries[name] = MetricSummary(statistics.fmean(values), spread, len(values))
    return summaries
