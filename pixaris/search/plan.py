"""A search, checked and ready to run: what `pixaris.search.run` is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.discovery import EmbeddedSource, EndpointSource, ManagedSource
from pixaris.endpoints.dispatcher import Policy
from pixaris.exceptions import ConfigurationError
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.orchestration.run import RunSetup
from pixaris.search import ordering, schedulers
from pixaris.search.space import Space
from pixaris.types import Direction, ParamValue


@dataclass(frozen=True)
class SearchPlan:
    """Everything a search needs, checked and ready.

    Attributes:
        setup: Eval set, generator, metrics; ``setup.search`` is the search's name.
        handler: Keeps the results of every trial.
        folder: The search's own folder; it exists.
        space: The search space.
        baseline: The workflow's own values of the space's parameters.
        objective: Name of the score to optimise.
        direction: "max" or "min".
        sources: Where images are generated; empty for generators that make their images themselves.
        admit: Holds the search against servers that were started, once the first answers; gives `setup`, made for them.
        algorithm: ``grid``, ``random`` or ``tpe``, or any Ray Tune searcher.
        algorithm_options: For a named algorithm.
        scheduler: ``fifo`` or ``asha``, or any Ray Tune scheduler.
        scheduler_options: For a named scheduler.
        num_samples: Parameter sets to try besides the baseline; None: as many as the searcher gives.
        seed: Of the searcher and of the item order.
        step: Items between two reports; None: chosen.
        max_concurrent: Trials at once; None: chosen from the endpoints' places.
        parallel: Calls at once, for generators that make their images themselves.
        policy: Limits of retries and quarantine.
        endpoints_found: How many endpoints there are; the sources may promise more.
    """

    setup: RunSetup
    handler: ExperimentHandler
    folder: Path
    space: Space
    baseline: dict[str, ParamValue]
    objective: str
    direction: Direction
    sources: tuple[EndpointSource, ...]
    admit: Callable[[Sequence[Endpoint]], RunSetup]
    algorithm: str | Searcher = "tpe"
    algorithm_options: tuple[tuple[str, Any], ...] = ()
    scheduler: str | TrialScheduler = "fifo"
    scheduler_options: tuple[tuple[str, Any], ...] = ()
    num_samples: int | None = 20
    seed: int | None = None
    step: int | None = None
    max_concurrent: int | None = None
    parallel: int = 1
    policy: Policy | None = None
    endpoints_found: int = 0

    @property
    def items(self) -> int:
        """Items of the eval set."""
        return len(self.setup.eval_set)

    @property
    def items_per_step(self) -> int:
        """Items between two reports."""
        name = self.scheduler if isinstance(self.scheduler, str) else "asha"
        return min(self.items, self.step or schedulers.default_step(name, self.items))

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
            return 1 + self.num_samples * math.prod(grids)
        return 1 + self.num_samples

    @property
    def concurrent(self) -> int:
        """Trials at once: a trial keeps two steps' images in flight, so a few trials fill every place there will be.

        Two at least where there are several places: while one trial scores and reports, the other one generates. And one for each
        of the models that are worked on at the same time.
        """
        if self.max_concurrent is not None:
            return self.max_concurrent
        slots = sum(source.places for source in self.sources) or self.parallel
        wanted = max(min(2, slots), -(-3 * slots // (2 * 2 * self.items_per_step)), self.models_at_once)
        return min(wanted, self.trials or wanted)

    @cached_property
    def models_at_once(self) -> int:
        """Models that are worked on at the same time, so that each endpoint can stay with its own; 1 if the space varies none."""
        replicas = [source.replicas if isinstance(source, EmbeddedSource | ManagedSource) else 1 for source in self.sources]
        endpoints = max(sum(replicas), self.endpoints_found)
        return ordering.models_at_once(self.space, self._deciding, min(endpoints, self.max_concurrent or endpoints))

    def by_models(self, sets: Sequence[Mapping[str, ParamValue]]) -> list[int]:
        """The order of parameter sets, as indices, that needs few model loads; the baseline, which has its turn first, apart."""
        keys = ordering.keys([self.baseline, *sets], self._deciding, self._affinity_key)
        return [index - 1 for index in ordering.by_models(keys, self.models_at_once) if index]

    @cached_property
    def _deciding(self) -> tuple[str, ...]:
        return ordering.deciding(self.space, self.baseline, self._affinity_key)

    def _affinity_key(self, values: Mapping[str, ParamValue]) -> str:
        generator = self.setup.generator
        if generator.workflow is None:
            return ""
        params = self.setup.args.with_params(self.space.bind(values)).params
        try:
            return generator.workflow.bind(params, generator.object_info).affinity_key(generator.object_info)
        except ConfigurationError:
            return ""  # only the servers know of such an input, and they have not been asked yet
