"""What a search is: one frozen value that file, Python and resume make, and everything later takes whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from pixaris.cache.base import CacheStore
from pixaris.data_loaders.base import DatasetLoader
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.experiment.setup import directions
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.feedback_handlers.base import FeedbackHandler
from pixaris.files import safe_name
from pixaris.gcp.storage import BucketPath
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.results.budget import Budget
from pixaris.results.objective import Objective
from pixaris.results.ranking import FailurePolicy, Failures
from pixaris.search.space.space import Space
from pixaris.types import Direction, ParamValue

DEFAULT_SAMPLES = 20
"""Parameter sets that are tried where nobody says how many."""

HandlerMaker: TypeAlias = Callable[[Path], ExperimentHandler]
"""Makes what keeps the results, given the search's folder."""


@dataclass(frozen=True)
class Home:
    """Whose search it is, and where its results go.

    Attributes:
        project: The project's name.
        name: The search's name; a second search of that name is called ``name-2``.
        results: The results folder, which has a folder for each project.
        storage: ``gs://bucket/prefix``, where the search is kept as it grows; None: in `results` alone.
    """

    project: str
    name: str
    results: Path
    storage: BucketPath | None = None

    @property
    def project_folder(self) -> Path:
        """Where the project's searches lie."""
        return self.results / safe_name(self.project)


@dataclass(frozen=True)
class ObjectiveSettings:
    """What is optimised.

    Attributes:
        names: The scores, the leading one first.
        given: Directions that were given; of the others the metrics' own count.
        failures: What becomes of items without a score when parameter sets are compared: "skip" leaves them
            out, "worst" counts them as the worst that can be.
    """

    names: tuple[str, ...] = ()
    given: Mapping[str, Direction] = field(default_factory=dict)
    failures: FailurePolicy = "skip"

    def resolved(self, metrics: tuple[BaseMetric, ...]) -> tuple[Objective, ...]:
        """The scores with their directions; of a search without problems."""
        known = {**directions(metrics), **self.given}
        return tuple(Objective(name, known[name]) for name in self.names)

    def compared(self, metrics: tuple[BaseMetric, ...]) -> Failures:
        """How the leading score's failures count."""
        leading = self.resolved(metrics)[0]
        for metric in metrics:
            scale = metric.scales().get(leading.metric)
            if scale is not None and scale.range is not None:
                return Failures(self.failures, scale.range[0 if leading.direction == "max" else 1])
        return Failures(self.failures)


@dataclass(frozen=True)
class Choice:
    """An algorithm or scheduler: one of ours or Ray Tune's by name, or an object of Ray Tune's.

    Attributes:
        type: The name, or the object.
        options: Its options, where it is a name.
    """

    type: str | object
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name; of an object, its class."""
        if isinstance(self.type, str):
            return self.type
        return type(self.type).__name__


@dataclass(frozen=True)
class StrategySettings:
    """How the space is searched.

    Attributes:
        algorithm: Proposes parameter sets: a row of `pixaris.search.algorithms.catalog.ALGORITHMS`, or a
            searcher of Ray Tune.
        scheduler: Stops bad sets early: a row of `pixaris.search.algorithms.catalog.SCHEDULERS`, or a
            scheduler of Ray Tune.
        num_samples: Parameter sets to try besides the baseline; None for as many as the searcher gives. It
            has no meaning for a grid, which tries them all.
        points_to_evaluate: Parameter sets to try first, right after the baseline; they count as samples.
        seed: Makes the proposals and the order of the items repeatable.
        step: Items between two reports of a trial, or None for a default.
        max_concurrent: Trials at once, or None for as many as keep the endpoints busy.
    """

    algorithm: Choice = Choice("auto")
    scheduler: Choice = Choice("race")
    num_samples: int | None = DEFAULT_SAMPLES
    points_to_evaluate: tuple[Mapping[str, ParamValue], ...] = ()
    seed: int | None = None
    step: int | None = None
    max_concurrent: int | None = None


@dataclass(frozen=True)
class LimitSettings:
    """What a search may take.

    Attributes:
        budget: What it may spend.
        policy: Retries, quarantine, and how long to wait for endpoints.
    """

    budget: Budget = field(default_factory=Budget)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True)
class ImageSettings:
    """What every image is made with besides its item and its parameter set.

    Attributes:
        args: ``generation_params``, ``pillow_images``, ``max_parallel_jobs``, and whatever components need.
        seeds: Images of every item, each with a seed of its own that is the same in all trials.
    """

    args: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 1


@dataclass(frozen=True)
class Recheck:
    """The best sets and the baseline once more, with seeds that the search has not used.

    Attributes:
        top: Sets, the best first; the baseline comes on top.
        seeds: Images of every item.
    """

    top: int = 3
    seeds: int = 4


@dataclass(frozen=True)
class EvidenceSettings:
    """What is done after a search for an answer that the luck of having been picked does not colour.

    Attributes:
        recheck: What is run once more, or None.
        holdout: Items of the eval set that the search does not see, and that the winner and the baseline are
            run on in the end.
        rechecks: Of a re-check, which is a search of its own: the search's name; "" of all others.
    """

    recheck: Recheck | None = None
    holdout: int = 0
    rechecks: str = ""

    def images(self, items: int, seeds: int) -> int:
        """Images that it takes.

        Args:
            items: Items of the whole eval set.
            seeds: Images of every item in the search.
        """
        if self.recheck is not None:
            return (self.recheck.top + 1) * self.recheck.seeds * items
        return 2 * seeds * self.holdout


@dataclass(frozen=True)
class Keeping:
    """What is kept of a search.

    Attributes:
        handler: Keeps the trials' results, or makes what does.
        cache: Images that it has are not generated again, and those that are generated are kept in it.
        source: The search file, of which a copy is kept; None without one.
        changes: What a command line changed in it, as options of that.
        feedback: Keeps the votes of a search that votes steer.
    """

    handler: ExperimentHandler | HandlerMaker
    cache: CacheStore | None = None
    source: Path | None = None
    changes: tuple[str, ...] = ()
    feedback: FeedbackHandler | None = None

    def handler_in(self, folder: Path) -> ExperimentHandler:
        """What keeps the results of the search in this folder."""
        if isinstance(self.handler, ExperimentHandler):
            return self.handler
        return self.handler(folder)


@dataclass(frozen=True)
class SearchSettings:
    """A hyperparameter search.

    Attributes:
        home: Whose it is, and where its results go.
        data_loader: Loads the eval set.
        generator: Makes the images.
        sources: Where images are generated; empty for a generator that makes them itself.
        space: What varies.
        metrics: Score the images.
        objective: What is optimised.
        strategy: How the space is searched.
        limits: What it may take.
        images: What every image is made with.
        keeping: What is kept of it.
        evidence: What is done after it for a surer answer.
    """

    home: Home
    data_loader: DatasetLoader
    generator: ImageGenerator
    sources: tuple[EndpointSource, ...]
    space: Space
    metrics: tuple[BaseMetric, ...]
    objective: ObjectiveSettings
    strategy: StrategySettings
    limits: LimitSettings
    images: ImageSettings
    keeping: Keeping
    evidence: EvidenceSettings = EvidenceSettings()

    def objectives(self) -> tuple[Objective, ...]:
        """The scores to optimise, with their directions; of a search without problems."""
        return self.objective.resolved(self.metrics)

    @property
    def source_name(self) -> str:
        """How errors name where the search stands: its file, or ""."""
        return str(self.keeping.source or "")
