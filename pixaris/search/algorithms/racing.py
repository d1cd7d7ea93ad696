"""What a search's race goes by: which scores, which rules, how many sets side by side. Needs no Ray."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from pixaris.exceptions import Problem, nearest
from pixaris.experiment.setup import directions
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.results.evidence.guardrails import Guardrail
from pixaris.search.settings import SearchSettings
from pixaris.statistics.racing.look import DEFAULT_P, Guard, Rules
from pixaris.statistics.racing.order import stratified_order
from pixaris.types import EvalSet

RACE = "race"
KNOWN_AT_START = ("grid", "random")
"""Algorithms whose sets do not depend on results."""

# Every look compares all living sets with each other, and each of them is a trial of Tune's.
_MOST_AT_ONCE = 256
_WAVE = 8
"""Sets that a searcher which learns proposes at once, before it hears how they do."""

_COST = 1.35
"""A race of sets over N items takes about so many times the square root of N items a set (simulated, N = 6 to
64)."""


def races(settings: SearchSettings) -> bool:
    """Whether a search's sets race: its scheduler is the race, and its objectives have values per item."""
    return settings.strategy.scheduler.type == RACE and not whole_objectives(settings)


def whole_objectives(settings: SearchSettings) -> tuple[str, ...]:
    """The objectives that have one value for a whole run and none per item: they cannot be raced."""
    whole = {name for metric in settings.metrics if not metric.per_item for name in _scores(metric)}
    return tuple(name for name in settings.objective.names if name in whole)


def _scores(metric: BaseMetric) -> set[str]:
    return {*metric.scales(), *metric.directions()}


def known_at_start(settings: SearchSettings) -> bool:
    """Whether all of a search's sets are known before it begins."""
    return settings.strategy.algorithm.type in KNOWN_AT_START


def guards(settings: SearchSettings) -> list[Mapping[str, Any]]:
    """The scores that must not suffer, as the search has them."""
    return list(settings.strategy.scheduler.options.get("guard", ()))


def raced_names(settings: SearchSettings) -> tuple[str, ...]:
    """The scores that a race goes by: the objectives, then the guards' scores."""
    return (*settings.objective.names, *(str(guard["metric"]) for guard in guards(settings)))


def guardrails(settings: SearchSettings) -> tuple[Guardrail, ...]:
    """The guards as the results have them."""
    known = directions(settings.metrics)
    found = []
    for guard in guards(settings):
        name = str(guard["metric"])
        found.append(Guardrail(name, known[name], float(guard["worse_by"])))
    return tuple(found)


def rules_of(settings: SearchSettings, items: int, trials: int | None) -> Rules:
    """When a set of a search without problems falls.

    Args:
        settings: The search.
        items: Items of the eval set.
        trials: Trials of the whole search, the baseline included; None if that is up to the searcher.
    """
    options = settings.strategy.scheduler.options
    objectives = len(settings.objective.names)
    return Rules(
        items=items,
        p=float(options.get("p", DEFAULT_P)),
        guarantee=options.get("guarantee"),
        sets=trials or 1,
        min_effect=float(options.get("min_effect", 0.0)),
        objectives=objectives,
        guards=tuple(
            Guard(objectives + place, float(guard["worse_by"]))
            for place, guard in enumerate(guards(settings))
        ),
    )


def affordable_items(settings: SearchSettings) -> int | None:
    """Items that the budget pays for, where it counts images."""
    limit = settings.limits.budget.images
    if limit is None:
        return None
    return limit // settings.images.seeds


def side_by_side(settings: SearchSettings, items: int) -> int:
    """How many sets race at once.

    All of them where they are known, as far as the budget lets a race of them come to an end: a race is
    cheapest so. A searcher that learns gets them in waves.
    """
    if not known_at_start(settings):
        return _WAVE
    affordable = affordable_items(settings)
    if affordable is None:
        return _MOST_AT_ONCE
    # Two at least: one alone is no race.
    return max(2, min(_MOST_AT_ONCE, int(affordable / (_COST * math.sqrt(items)))))


def described(settings: SearchSettings, items: int) -> str:
    """What the scheduler will do, in a sentence; "" of one that is not the race."""
    options = settings.strategy.scheduler.options
    if settings.strategy.scheduler.type != RACE:
        return ""
    if whole := whole_objectives(settings):
        return f"every set runs to its end: {', '.join(whole)} has no value per item, so sets cannot race"
    if options.get("guarantee") is not None:
        sure = 100 * (1 - options["guarantee"])
        return f"race: with {sure:g} % the whole grid would name the same winner"
    if items:
        # The same formula as for what a budget can afford, so that both say the same.
        part = min(1.0, _COST / math.sqrt(items))
    else:
        part = 1.0
    return f"race: sets without a chance are stopped; about {part:.0%} of these images are made"


def sizes(eval_set: EvalSet) -> list[int]:
    """What every item's size makes it: 0 for those with the smaller images, 1 for those with the larger."""
    pixels = [max(map(_pixels, item.inputs.values()), default=0) for item in eval_set.items]
    if pixels:
        middle = statistics.median(pixels)
    else:
        middle = 0
    return [int(count > middle) for count in pixels]


def order_of(settings: SearchSettings, eval_set: EvalSet) -> tuple[int, ...]:
    """The order in which every trial goes through the items, as indices: drawn with the search's seed."""
    return stratified_order(sizes(eval_set), settings.strategy.seed or 0)


def _pixels(image: EncodedImage) -> int:
    width, height = image.size
    return width * height


def race_problems(settings: SearchSettings) -> list[Problem]:
    """What is wrong with a race's options."""
    strategy = settings.strategy
    options = strategy.scheduler.options
    if strategy.scheduler.type != RACE:
        return []
    where, problems = "search.scheduler", []
    for name, limit in (("p", 0.5), ("guarantee", 1.0)):
        value = options.get(name)
        if value is not None and not 0.0 < value < limit:
            problems.append(
                Problem("", f"must be above 0 and below {limit:g} (got {value:g})", f"{where}.{name}")
            )
    if options.get("min_effect", 0.0) < 0.0:
        rule = f"must be at least 0 (got {options['min_effect']:g})"
        problems.append(Problem("", rule, f"{where}.min_effect"))
    unlimited = strategy.num_samples is None and strategy.algorithm.type != "grid"
    if options.get("guarantee") is not None and unlimited:
        rule = "is shared by all sets, so their number must be known; give num_samples, or leave it out"
        problems.append(Problem("", rule, f"{where}.guarantee"))
    return [*problems, *_guard_problems(settings)]


def _guard_problems(settings: SearchSettings) -> list[Problem]:
    known = directions(settings.metrics)
    per_item = {name for metric in settings.metrics if metric.per_item for name in _scores(metric)}
    problems = []
    for place, guard in enumerate(guards(settings)):
        path, name = f"search.scheduler.guard.{place}.metric", guard["metric"]
        if name not in known:
            listed = ", ".join(known) or "none"
            rule = f"{name!r} is no score with a direction{nearest(str(name), known)}; there are {listed}"
            problems.append(Problem("", rule, path))
        elif name not in per_item:
            problems.append(Problem("", f"{name!r} has no value per item, so it cannot guard a race", path))
    return problems
