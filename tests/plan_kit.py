"""Plans of searches made by hand, which are never run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.experiment.setup import RunSetup
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.metrics.base import BaseMetric
from pixaris.results.budget import Budget
from pixaris.results.paths import SearchPaths
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.settings import (
    Choice,
    Home,
    ImageSettings,
    Keeping,
    LimitSettings,
    ObjectiveSettings,
    SearchSettings,
    StrategySettings,
)
from pixaris.search.space.space import Space
from pixaris.search.survey import Survey
from pixaris.types import EvalItem, EvalSet


def plan_of(
    folder: Path,
    *,
    generator: ImageGenerator,
    space: Space,
    sources: Sequence[EndpointSource],
    items: int,
    metrics: tuple[BaseMetric, ...] = (),
    objective: str = "x",
    algorithm: str = "tpe",
    scheduler: str = "fifo",
    budget: Budget | None = None,
    **strategy: Any,
) -> SearchPlan:
    """A plan over an eval set of so many empty items."""
    eval_set = EvalSet("some", tuple(EvalItem(index, f"i{index}") for index in range(items)))
    handler = LocalExperimentHandler(folder)
    settings = SearchSettings(
        home=Home("tests", "search", folder),
        data_loader=LocalDatasetLoader.at(folder),
        generator=generator,
        sources=tuple(sources),
        space=space,
        metrics=metrics,
        objective=ObjectiveSettings((objective,), {objective: "max"}),
        strategy=StrategySettings(Choice(algorithm), Choice(scheduler), **strategy),
        limits=LimitSettings(budget or Budget()),
        images=ImageSettings(),
        keeping=Keeping(handler),
    )
    setup = RunSetup("tests", eval_set, generator, metrics, ItemArgs({}))
    return SearchPlan(CheckedSearch(settings, setup, Survey()), setup, SearchPaths(folder), handler)


def changed(plan: SearchPlan, *, generator: ImageGenerator | None = None, **strategy: Any) -> SearchPlan:
    """The plan with another strategy, or another generator."""
    settings = plan.settings
    settings = replace(settings, strategy=replace(settings.strategy, **strategy))
    if generator is not None:
        settings = replace(settings, generator=generator)
    return replace(plan, checked=replace(plan.checked, settings=settings))
