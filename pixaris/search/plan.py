"""A search, checked and ready to run: what `pixaris.search.run` is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.dispatcher import Policy
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.orchestration.run import RunSetup
from pixaris.search import schedulers
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
        endpoints: Where images are generated; empty for generators that make their images themselves.
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
    """

    setup: RunSetup
    handler: ExperimentHandler
    folder: Path
    space: Space
    baseline: dict[str, ParamValue]
    objective: str
    direction: Direction
    endpoints: tuple[Endpoint, ...]
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
        """Trials at once: a trial keeps two steps' images in flight, so a few trials fill every place.

        Two at least where there are several places: while one trial scores and reports, the other one generates.
        """
        if self.max_concurrent is not None:
            return self.max_concurrent
        slots = sum(endpoint.depth for endpoint in self.endpoints) or self.parallel
        wanted = max(min(2, slots), -(-3 * slots // (2 * 2 * self.items_per_step)))
        return min(wanted, self.trials or wanted)
