"""A search, checked and ready to run: what `pixaris.search.driver.run` is given."""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from pixaris.cache.base import CacheStore
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.discovery import EmbeddedSource, EndpointSource, ManagedSource
from pixaris.endpoints.dispatcher import Policy
from pixaris.exceptions import ConfigurationError
from pixaris.experiment.run import RunSetup
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.metrics.base import COMPUTING
from pixaris.results.budget import Budget
from pixaris.results.journal import History
from pixaris.results.records import Objective
from pixaris.search.algorithms import factory as algorithms
from pixaris.search.algorithms import ordering, schedulers
from pixaris.search.space.space import Space
from pixaris.types import Direction, ParamValue

_FOR_SCORING = 4
"""Trials that run at once, at most, only because metrics are slow: each is a process."""

_LED_FOR_A_PLACE = 1.5
"""Images that are queued for trials that come, for every place of the endpoints, where it is known what
comes.
"""

_EARLY_FOR_A_PLACE, _EARLY = 8, 256
"""Images asked for before the trials' processes are up, which takes seconds: for every place of the
endpoints, and in all.
"""


@dataclass(frozen=True)
class SearchPlan:
    """Everything a search needs, checked and ready.

    Attributes:
        setup: Eval set, generator, metrics; ``setup.search`` is the search's name.
        handler: Keeps the results of every trial.
        folder: The search's own folder; it exists.
        space: The search space.
        baseline: The workflow's own values of the space's parameters.
        objectives: The scores to optimise; the first one leads.
        sources: Where images are generated; empty for generators that make their images themselves.
        admit: Holds the search against servers that were started, once the first answers; gives `setup`, made
            for them.
        algorithm: A row of `pixaris.search.file.strategies.ALGORITHMS`, or any Ray Tune searcher.
        algorithm_options: For a named algorithm.
        scheduler: A row of `pixaris.search.file.strategies.SCHEDULERS`, or any Ray Tune scheduler.
        scheduler_options: For a named scheduler.
        num_samples: Parameter sets to try besides the baseline; None: as many as the searcher gives.
        points_to_evaluate: Parameter sets to try first.
        budget: What the search may spend.
        seed: Of the searcher and of the item order.
        step: Items between two reports; None: chosen.
        max_concurrent: Trials at once; None: chosen from the endpoints' places.
        parallel: Calls at once, for generators that make their images themselves.
        policy: Limits of retries and quarantine.
        cache: Images that need not be generated again, or None.
        id: Unique for the search, and the same when it is resumed; makes run ids.
        proposal_seed: Of the searcher; drawn where `seed` is None, so that it can be made again.
        history: What happened before, if it is resumed.
        seconds_before: Wall time that it took before.
        images_before: Images that it made before.
        endpoints_found: How many endpoints there are; the sources may promise more.
        processors: How many Ray has, once it is up; 0 before.
    """

    setup: RunSetup
    handler: ExperimentHandler
    folder: Path
    space: Space
    baseline: dict[str, ParamValue]
    objectives: tuple[Objective, ...]
    sources: tuple[EndpointSource, ...]
    admit: Callable[[Sequence[Endpoint]], RunSetup]
    algorithm: str | Searcher = "tpe"
    algorithm_options: tuple[tuple[str, Any], ...] = ()
    scheduler: str | TrialScheduler = "fifo"
    scheduler_options: tuple[tuple[str, Any], ...] = ()
    num_samples: int | None = 20
    points_to_evaluate: tuple[Mapping[str, ParamValue], ...] = ()
    budget: Budget = field(default_factory=Budget)
    seed: int | None = None
    step: int | None = None
    max_concurrent: int | None = None
    parallel: int = 1
    policy: Policy | None = None
    cache: CacheStore | None = None
    endpoints_found: int = 0
    processors: int = 0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    proposal_seed: int = 0
    history: History = field(default_factory=History)
    seconds_before: float = 0.0
    images_before: int = 0

    @property
    def order(self) -> tuple[int, ...]:
        """The order in which every trial goes through the items, as indices."""
        indices = list(range(self.items))
        random.Random(self.seed or 0).shuffle(indices)
        return tuple(indices)

    @property
    def store(self) -> Path:
        """Folder of the images that it has made, for the process that goes on with it."""
        return self.folder / ".images"

    @property
    def objective(self) -> str:
        """Name of the score that leads."""
        return self.objectives[0].metric

    @property
    def direction(self) -> Direction:
        """Its direction."""
        return self.objectives[0].direction

    @property
    def items(self) -> int:
        """Items of the eval set."""
        return len(self.setup.eval_set)

    @property
    def images(self) -> int:
        """Images of a whole trial."""
        return self.setup.images

    @property
    def items_per_step(self) -> int:
        """Items between two reports."""
        name = self.scheduler if isinstance(self.scheduler, str) else "asha"
        return min(self.items, self.step or schedulers.default_step(name, self.items))

    @property
    def stops(self) -> bool:
        """Whether the scheduler may end a trial early."""
        return self.scheduler != "fifo"

    @property
    def items_ahead(self) -> int:
        """Items a trial queues before it is told to go on; none where they cost something and it may be
        stopped instead.
        """
        budget = self.budget
        limits = (budget.images, budget.endpoint_seconds, budget.credits)
        costly = self.setup.generator.charges or any(limit is not None for limit in limits)
        return 0 if costly and self.stops else self.items_per_step

    @property
    def trials(self) -> int | None:
        """Trials that are to run, the baseline included; None if that is up to the searcher."""
        if self.algorithm == "grid":
            size = self.space.size()
            assert size is not None
            return size + (0 if any(values == self.baseline for values in self.space.grid()) else 1)
        if self.num_samples is None:
            return None
        if self.algorithm == "random":
            grids = [p.domain.size() or 1 for p in self.space.parameters if p.domain.kind == "grid_search"]
            points = len(self._points)
            return 1 + points + max(0, self.num_samples - points) * math.prod(grids)
        return 1 + self.num_samples

    @property
    def places(self) -> int:
        """Images at once, on all the endpoints that there will be."""
        return sum(source.places for source in self.sources) or self.parallel

    @property
    def concurrent(self) -> int:
        """Trials at once: a trial keeps two steps' images in flight, so a few trials fill every place there
        will be.

        Two at least where there are several places: while one trial scores and reports, the other one
            generates. And one for each
        of the models that are worked on at the same time. Where metrics wait for something else and trials
        have few images under way, some more: while a trial's last images are scored, the others must have
            images left for every place. No more than
        have something to compute with, where the places are kept busy for trials that come (`leads`).
        """
        if self.max_concurrent is not None:
            return self.max_concurrent
        filling = -(-3 * self.places // (2 * 2 * self.items_per_step * self.setup.seeds))
        if self.leads:
            filling = min(filling, max(_FOR_SCORING, self.processors))
        wanted = max(min(2, self.places), filling, self.models_at_once)
        if any(metric.parallel > COMPUTING for metric in self.setup.metrics):
            kept = min(self.items, 2 * self.items_per_step) if self.stops else self.items
            wanted = max(wanted, min(_FOR_SCORING, -(-3 * self.places // max(1, kept * self.setup.seeds))))
        return min(wanted, self.trials or wanted)

    @property
    def listed(self) -> bool:
        """Whether all parameter sets are known from the start."""
        return self.algorithm in ("grid", "random")

    @property
    def head_start(self) -> int:
        """Trials whose first images are asked for before their processes are up: enough for every place to be
        busy till then.

        As many as run at once, or more if it is known what comes after them.
        """
        if not self.begins_ahead:
            return 0
        wanted = min(_EARLY_FOR_A_PLACE * self.places, _EARLY)
        return max(self.concurrent, -(-wanted // self._first_images)) if self.listed else self.concurrent

    @property
    def leads(self) -> int:
        """Trials beyond those that run for which images are asked already: enough to keep every place busy.

        None where it is not known what comes, where it may be stopped, and where the trials at once are
        limited by the user.
        """
        if not self.begins_ahead or not self.listed or self.stops or self.max_concurrent is not None:
            return 0
        return math.ceil(_LED_FOR_A_PLACE * self.places / self._first_images)

    @cached_property
    def begins_ahead(self) -> bool:
        """Whether the driver may queue images for trials.

        Nobody has to be asked first, no trial changes its process, and nobody pays for an image that no trial
        is there to keep if the account is empty before.
        """
        generator, pausing = self.setup.generator, schedulers.pauses(self.tune_scheduler())
        free = generator.uses_endpoints and not generator.charges and not self.budget
        return free and not self.history.events and not pausing

    @property
    def _first_images(self) -> int:
        return min(self.items, self.items_per_step + self.items_ahead) * self.setup.seeds

    @property
    def at_once(self) -> str:
        """How many trials run at once and why, in words."""
        trials = f"{self.concurrent} trials at once" if self.concurrent > 1 else "one trial at a time"
        if self.max_concurrent is not None:
            return f"{trials} (as search.max_concurrent says)"
        places = f"{self.places} places" if self.places > 1 else "one place"
        return f"{trials} for {places} on the endpoints (search.max_concurrent changes that)"

    def searcher(self) -> Searcher:
        """What proposes the parameter sets, made anew.

        Raises:
            ConfigurationError: It cannot be made of its options, or for this space and these objectives.
        """
        task = algorithms.Task(
            space=self.space,
            directions=tuple(objective.direction for objective in self.objectives),
            baseline=self.baseline,
            num_samples=self.num_samples or 1,
            seed=self.proposal_seed,
            parallel=self.concurrent > 1,
            points=self._points,
        )
        if isinstance(self.algorithm, str):
            return algorithms.build(self.algorithm, dict(self.algorithm_options), task)
        return algorithms.take(self.algorithm, task)

    def tune_scheduler(self) -> TrialScheduler:
        """What stops trials early.

        Raises:
            ConfigurationError: It cannot be made of its options, or makes no sense here.
        """
        if not isinstance(self.scheduler, str):
            return schedulers.take(self.scheduler, direction=self.direction, objectives=len(self.objectives))
        return schedulers.build(
            self.scheduler,
            dict(self.scheduler_options),
            items=self.items,
            step=self.items_per_step,
            direction=self.direction,
        )

    @property
    def _points(self) -> tuple[Mapping[str, ParamValue], ...]:
        """The points to try first; the baseline runs anyway."""
        return tuple(point for point in self.points_to_evaluate if dict(point) != self.baseline)

    @cached_property
    def models_at_once(self) -> int:
        """Models that are worked on at the same time, so that each endpoint can stay with its own; 1 if the
        space varies none.
        """
        replicas = [
            source.replicas if isinstance(source, EmbeddedSource | ManagedSource) else 1
            for source in self.sources
        ]
        endpoints = max(sum(replicas), self.endpoints_found)
        return ordering.models_at_once(
            self.space, self._deciding, min(endpoints, self.max_concurrent or endpoints)
        )

    def by_models(self, sets: Sequence[Mapping[str, ParamValue]]) -> list[int]:
        """The order of parameter sets, as indices, that needs few model loads; the baseline, which has its
        turn first, apart.
        """
        keys = ordering.keys([self.baseline, *sets], self._deciding, self._affinity_key)
        return [index - 1 for index in ordering.by_models(keys, self.models_at_once) if index]

    @cached_property
    def _deciding(self) -> tuple[str, ...]:
        return ordering.deciding(self.space, self.baseline, self._affinity_key)

    def _affinity_key(self, values: Mapping[str, ParamValue]) -> str:
        generator = self.setup.generator
        if generator.workflow is None:
            return ""
        params = self.setup.args.with_params(self.space.bind(values, partial=True)).params
        try:
            return generator.workflow.bind(params, generator.object_info).affinity_key(generator.object_info)
        except ConfigurationError:
            return ""  # only the servers know of such an input, and they have not been asked yet
