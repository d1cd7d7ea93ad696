"""What stops bad parameter sets early: Ray Tune's schedulers, counting items."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ray.tune.schedulers import (
    ASHAScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    ResourceChangingScheduler,
    TrialScheduler,
)
from ray.tune.schedulers.hyperband import _Bracket as RayBracket

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.results.report import OBJECTIVE, TIME
from pixaris.search.algorithms.catalog import REFUSED, SCHEDULERS
from pixaris.search.algorithms.racing import RACE
from pixaris.search.settings import StrategySettings
from pixaris.types import Direction


class _Bracket(RayBracket):
    """A bracket that is full once it has been given its trials. Tune's own counts those that live, so that a
    bracket whose trials end as fast as new ones come is never full, and every trial of the search goes into
    it."""

    def filled(self) -> bool:
        return bool(len(self._all_trials) >= self._n0)


class HyperBand(HyperBandForBOHB):
    """Synchronous HyperBand for trials that come one by one.

    Tune's plain one decides about a bracket when all trials it has so far have got there, which is its first
    two, if two run at once. This one, made for BOHB, pauses trials until their bracket is full or nothing
    else is left to run, the bracket with the most trials first.
    """

    def _create_bracket(self, s: int) -> _Bracket:
        return _Bracket(
            time_attr=self._time_attr,
            max_trials=self._get_n0(s),
            init_t_attr=self._get_r0(s),
            max_t_attr=self._max_t_attr,
            eta=self._eta,
            s=s,
            stop_last_trials=self._stop_last_trials,
        )


_CLASSES: Mapping[str, type[TrialScheduler]] = {
    # What is not here is made in `build` itself, or refused.
    "asha": ASHAScheduler,
    "median": MedianStoppingRule,
    "hyperband": HyperBand,
    "hb_bohb": HyperBand,
}
_REFUSED: Mapping[type[TrialScheduler], str] = {
    PopulationBasedTraining: "pbt",  # and PB2, which is one
    PopulationBasedTrainingReplay: "pbt_replay",
    ResourceChangingScheduler: "resource_changing",
}


def make(strategy: StrategySettings, *, items: int, direction: Direction, objectives: int) -> TrialScheduler:
    """Make a search's scheduler: by its name, or ready the caller's own object.

    Args:
        strategy: Of the search.
        items: Items of the eval set.
        direction: Of the leading objective.
        objectives: How many there are.

    Raises:
        ConfigurationError: It cannot be made of its options, or makes no sense here.
    """
    scheduler = strategy.scheduler.type
    if isinstance(scheduler, str):
        # More than there are items would never report.
        step = min(items, strategy.step or default_step(strategy, items))
        return build(scheduler, strategy.scheduler.options, items=items, step=step, direction=direction)
    if isinstance(scheduler, TrialScheduler):
        return take(scheduler, direction=direction, objectives=objectives)
    rule = f"search.scheduler must be a name or a scheduler of Ray Tune (got {type(scheduler).__name__})"
    raise ConfigurationError(rule)


def build(
    name: str, options: Mapping[str, object], *, items: int, step: int, direction: Direction
) -> TrialScheduler:
    """Make a scheduler.

    Args:
        name: A row of `SCHEDULERS`.
        options: Its options. ``grace_period`` counts items, and is one step by default; ``reduction_factor``
            is 3 by default.
        items: Items of the eval set.
        step: Items between two reports.
        direction: Of the objective.

    Raises:
        ConfigurationError: Unknown name, or an option it does not take.
    """
    if name not in SCHEDULERS:
        known = ", ".join(SCHEDULERS)
        raise ConfigurationError(
            f"search.scheduler must be one of {known} (got {name!r}){nearest(name, SCHEDULERS)}"
        )
    takes = SCHEDULERS[name].options
    if unknown := [option for option in options if option not in takes]:
        raise ConfigurationError(
            f"search.scheduler {name} takes {', '.join(takes) or 'no options'} (got {', '.join(unknown)})"
        )
    if name in ("fifo", RACE):  # what cannot be raced runs to its end
        return FIFOScheduler()
    settings: dict[str, object] = {"time_attr": TIME, "metric": OBJECTIVE, "mode": direction}
    if "grace_period" in takes:
        # In items, like all else here; a trial that has reported once can be judged.
        settings["grace_period"] = min(step, items)
    if "reduction_factor" in takes:
        # Without max_t Tune reckons with a number of its own, whatever the eval set has.
        settings |= {"reduction_factor": 3, "max_t": items}
    try:
        return _CLASSES[name](**{**settings, **options})
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigurationError(f"search.scheduler {name}: {error}; it takes {', '.join(takes)}") from None


def take(scheduler: TrialScheduler, *, direction: Direction, objectives: int) -> TrialScheduler:
    """Prepare a scheduler of the caller's own.

    Raises:
        ConfigurationError: It makes no sense for images, or there are several objectives and it goes by one.
    """
    for cls, name in _REFUSED.items():
        if isinstance(scheduler, cls):
            raise ConfigurationError(
                f"search.scheduler: {type(scheduler).__name__} {REFUSED[name]}; use fifo, asha or median"
            )
    # The type itself: in Tune every other scheduler is a subclass of FIFO.
    if objectives > 1 and type(scheduler) is not FIFOScheduler:
        kind = type(scheduler).__name__
        raise ConfigurationError(
            f"search.scheduler: {kind} stops trials by one objective, and there are {objectives}; use fifo"
        )
    scheduler.set_search_properties(OBJECTIVE, direction)
    return scheduler


def pauses(scheduler: TrialScheduler) -> bool:
    """Whether it needs more trials under way than run at once: those that wait for the others are paused."""
    median = isinstance(scheduler, MedianStoppingRule) and (
        scheduler._min_time_slice > 0 or not scheduler._hard_stop
    )
    return median or isinstance(scheduler, HyperBandScheduler)


def default_step(strategy: StrategySettings, items: int) -> int:
    """Items between two reports: all of them where nothing is stopped early, else about a quarter."""
    if strategy.scheduler.type == "fifo":
        return items
    if strategy.scheduler.type == RACE:
        return 1
    # Four chances to stop a set; each report costs a round through Tune.
    return max(1, math.ceil(items / 4))
