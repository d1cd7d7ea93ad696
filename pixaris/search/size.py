"""How many trials and images a search is: counted here, for whoever says it or goes by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pixaris.search.settings import SearchSettings, StrategySettings
from pixaris.search.space.space import Space
from pixaris.types import ParamValue


@dataclass(frozen=True)
class SearchSize:
    """What a search takes if no trial is stopped early.

    Attributes:
        trials: How many there are, the baseline among them; None if that is up to the searcher.
        images_per_trial: Images of a whole trial.
    """

    trials: int | None
    images_per_trial: int

    @property
    def images(self) -> int | None:
        """Of all trials; None if that is up to the searcher."""
        if self.trials is None:
            return None
        return self.trials * self.images_per_trial

    @classmethod
    def of(
        cls, settings: SearchSettings, baseline: Mapping[str, ParamValue], images_per_trial: int
    ) -> SearchSize:
        """The size of a search without problems.

        Args:
            settings: The search.
            baseline: The workflow's own values, which run once.
            images_per_trial: Images of a whole trial.
        """
        if not settings.space.parameters:
            return cls(1, images_per_trial)
        others = _others(settings.strategy, settings.space, baseline)
        return cls(None if others is None else 1 + others, images_per_trial)


def points(strategy: StrategySettings, baseline: Mapping[str, ParamValue]) -> list[Mapping[str, ParamValue]]:
    """The parameter sets to try first; the baseline runs anyway."""
    return [point for point in strategy.points_to_evaluate if dict(point) != dict(baseline)]


def _others(strategy: StrategySettings, space: Space, baseline: Mapping[str, ParamValue]) -> int | None:
    """Trials besides the baseline."""
    algorithm = strategy.algorithm.type
    if algorithm == "grid":
        size = space.size()
        if size is None:
            return None  # a continuous domain: a problem, told where the file is read
        return size - any(values == dict(baseline) for values in space.grid())
    if strategy.num_samples is None:
        return None
    if algorithm == "random":
        first = len(points(strategy, baseline))
        repeats = [p.domain.size() or 1 for p in space.parameters if p.domain.kind == "grid_search"]
        return first + max(0, strategy.num_samples - first) * math.prod(repeats)
    return strategy.num_samples
