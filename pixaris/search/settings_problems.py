"""What is wrong with a search's settings among themselves: objective, strategy, budget, space."""

from __future__ import annotations

from pixaris.exceptions import Problem, nearest
from pixaris.experiment.setup import directions
from pixaris.metrics.base import BaseMetric
from pixaris.search.algorithms.guided import guided_problems
from pixaris.search.algorithms.racing import race_problems
from pixaris.search.objectives import choose_one
from pixaris.search.settings import SearchSettings
from pixaris.statistics.signflip import FEWEST


def settings_problems(settings: SearchSettings, items: int) -> list[Problem]:
    """Everything that keeps a search from being one.

    Args:
        settings: The search.
        items: Items of its eval set; 0 where that could not be loaded.
    """
    return [
        *_objective_problems(settings),
        *_direction_problems(settings),
        *_nothing_varies(settings),
        *_grace_problems(settings, items),
        *_budget_problems(settings, items),
        *_evidence_problems(settings, items),
        *race_problems(settings),
        *guided_problems(settings),
    ]


def _objective_problems(settings: SearchSettings) -> list[Problem]:
    names = settings.objective.names
    known = [name for metric in settings.metrics for name in _scores(metric)]
    if not names:
        return [Problem("", choose_one(known), "objective")]
    own = directions(settings.metrics)
    given = settings.objective.given
    undeclared = any(not metric.directions() and not metric.scores for metric in settings.metrics)
    problems = []
    for index, name in enumerate(names):
        if len(names) == 1:
            path = "objective.metric"
        else:
            path = f"objective.{index}.metric"
        if name not in known and not (undeclared and name in given):
            rule = f"{name!r} is no score of this search{nearest(name, known)}; {_listed(known, undeclared)}"
            problems.append(Problem("", rule, path))
        elif name not in given and name not in own:
            rule = f"{name!r} does not say whether higher is better; add direction: max or min"
            problems.append(Problem("", rule, path))
    return problems


def _listed(known: list[str], undeclared: bool) -> str:
    """The scores there are, and how a metric says which it has."""
    listed = f"this search's scores are: {', '.join(known) or 'none'}"
    if not undeclared:
        return listed
    return f"{listed} (a metric with only `calculate` names its scores in `scores = {{…}}`)"


def _direction_problems(settings: SearchSettings) -> list[Problem]:
    names = settings.objective.names
    problems = []
    for name, direction in settings.objective.given.items():
        if name not in names or direction not in ("max", "min"):
            rule = f"must be max or min, of an objective (got {name!r}: {direction!r})"
            problems.append(Problem("", rule, "direction"))
    return problems


def _nothing_varies(settings: SearchSettings) -> list[Problem]:
    space = settings.space
    if not space.parameters or space.varying:
        return []
    rule = (
        "all are constants, so every trial would be the same; give one of them several values, as choice:"
        " [1, 2] (pixaris run needs none)"
    )
    return [Problem("", rule, "parameters")]


def _grace_problems(settings: SearchSettings, items: int) -> list[Problem]:
    grace = settings.strategy.scheduler.options.get("grace_period")
    if not isinstance(grace, int) or not 0 < items < grace:
        return []
    rule = (
        f"counts items, and the eval set has {items}, so no trial would be stopped; give it at most that (got"
        f" {grace})"
    )
    return [Problem("", rule, "search.scheduler.grace_period")]


def _budget_problems(settings: SearchSettings, items: int) -> list[Problem]:
    limit, images = settings.limits.budget.images, items * settings.images.seeds
    if limit is None or limit >= images:
        return []
    rule = f"pays for no trial: one takes {images} images; give it that many (got {limit})"
    return [Problem("", rule, "budget.images")]


def _evidence_problems(settings: SearchSettings, items: int) -> list[Problem]:
    """What of a re-check or of held-out items cannot be.

    Args:
        settings: The search.
        items: Items that the search sees.
    """
    held_out, limit = settings.evidence.holdout, settings.limits.budget.images
    problems = []
    if held_out and 0 < items < FEWEST:
        rule = f"leaves the search {items} items, and it takes {FEWEST} to tell sets apart; hold fewer out"
        problems.append(Problem("", rule, "holdout"))
    after = settings.evidence.images(items + held_out, settings.images.seeds)
    if after and limit is not None and limit - after < items * settings.images.seeds:
        rule = f"pays for no trial beside the re-check, which takes {after} images (got {limit})"
        problems.append(Problem("", rule, "budget.images"))
    return problems


def _scores(metric: BaseMetric) -> tuple[str, ...]:
    """The scores that a metric declares; some say no more of them than `BaseMetric.directions`."""
    scales, directed = metric.scales(), metric.directions()
    return tuple(scales if set(directed) <= set(scales) else directed)
