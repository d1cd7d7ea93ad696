"""What a search is made from, as plain JSON values: what its folder keeps, and what a resume is held
against.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pixaris.results.manifest import component, items
from pixaris.search.check import CheckedSearch
from pixaris.search.survey import static


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
        "space": checked.space.as_dict(),
        "objectives": [asdict(objective) for objective in checked.objectives],
        "baseline": checked.baseline(),
        "generation_params": [param.as_dict() for param in checked.setup.args.params],
        "algorithm": strategy.algorithm.name,
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
        "generator": component(generator),
        "workflow": None if workflow is None else workflow.as_dict(),
        "items": items(checked.setup.eval_set),
        **({} if failures == "skip" else {"failures": failures}),
    }
