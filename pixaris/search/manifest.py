"""What a search is made from, as plain JSON values: what its folder keeps, and what a resume is held
against.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pixaris.endpoints.sources.several import static
from pixaris.generation.base import ImageGenerator
from pixaris.results.manifest import GENERATORS, WORKFLOW, component, items
from pixaris.search.algorithms.guided import algorithm_of, guides
from pixaris.search.algorithms.racing import races
from pixaris.search.check import CheckedSearch


def manifest_of(checked: CheckedSearch) -> dict[str, Any]:
    """The manifest of a search without problems."""
    settings, strategy = checked.settings, checked.settings.strategy
    generator = settings.generator
    workflow = generator.workflow
    failures = settings.objective.failures
    urls = [endpoint.url for endpoint in static(checked.sources)]
    source = settings.keeping.source
    return {
        **({} if source is None else {"file": str(source.resolve())}),
        **({"changes": settings.keeping.changes} if settings.keeping.changes else {}),
        "space": checked.space.as_dict(),
        "objectives": [asdict(objective) for objective in checked.objectives],
        "baseline": checked.baseline(),
        "generation_params": [param.as_dict() for param in checked.setup.args.params],
        "algorithm": strategy.algorithm.name,
        "proposed_by": algorithm_of(settings),
        "algorithm_options": dict(strategy.algorithm.options),
        "scheduler": strategy.scheduler.name,
        "scheduler_options": dict(strategy.scheduler.options),
        "points_to_evaluate": [dict(point) for point in strategy.points_to_evaluate],
        "seeds": checked.setup.seeds,
        "num_samples": strategy.num_samples,
        "seed": strategy.seed,
        "step": strategy.step,
        "max_concurrent": strategy.max_concurrent,
        "endpoints": [*urls, *(type(source).__name__ for source in checked.sources)],
        "metrics": [component(metric) for metric in settings.metrics],
        "generator": _generator(generator),
        "workflow": None if workflow is None else workflow.as_dict(),
        "items": items(checked.setup.eval_set),
        **({"columns": _columns(checked)} if checked.setup.eval_set.columns else {}),
        **({} if failures == "skip" else {"failures": failures}),
        **_of_evidence(checked),
        **_shared(checked),
    }


def _generator(generator: ImageGenerator) -> dict[str, Any]:
    """Of a choice, each of its generators with its workflow."""
    found = component(generator)
    if generator.choice is None:
        return found
    rows = {name: component(one) for name, one in generator.choice.generators.items()}
    for name, one in generator.choice.generators.items():
        if one.workflow is not None:
            rows[name][WORKFLOW] = one.workflow.as_dict()
    return {"type": found["type"], GENERATORS: rows}


def _columns(checked: CheckedSearch) -> dict[str, Any]:
    """Column to the inputs that it feeds."""
    feeds = checked.setup.eval_set.feeds
    columns = {}
    for column, places in feeds.items():
        columns[column] = [{"node_name": node_name, "input": name} for node_name, name in places]
    return columns


def _of_evidence(checked: CheckedSearch) -> dict[str, Any]:
    """What is held out, and of a re-check what it re-checks."""
    evidence, first = checked.settings.evidence, checked.setup.first_seed
    found: dict[str, Any] = {"holdout": evidence.holdout} if evidence.holdout else {}
    return found | ({"rechecks": evidence.rechecks, "first_seed": first} if evidence.rechecks else {})


def _shared(checked: CheckedSearch) -> dict[str, Any]:
    """What decisions are planned by from the start, and must stay as it was."""
    settings = checked.settings
    if guides(settings):
        return {"guided_images": settings.limits.budget.images}
    if races(settings) and settings.strategy.scheduler.options.get("guarantee") is not None:
        return {"guaranteed_sets": checked.size.trials}
    return {}
