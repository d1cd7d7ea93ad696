"""What stops bad parameter sets early: Ray Tune's schedulers, counting items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from pixaris.exceptions import ConfigurationError
from pixaris.search.searchers import OBJECTIVE
from pixaris.types import Direction

TIME = "items"
"""The key under which trials report how many items they have done; schedulers count in it."""


def build(name: str, options: Mapping[str, Any], *, items: int, step: int, direction: Direction) -> TrialScheduler:
    """Make a scheduler.

    Args:
        name: ``fifo`` (every trial runs to its end) or ``asha`` (asynchronous successive halving).
        options: For asha: ``grace_period`` (items before a trial may be stopped; one step by default), ``reduction_factor``
            (3: the best third goes on), ``brackets``.
        items: Items of the eval set.
        step: Items between two reports.
        direction: Of the objective.

    Raises:
        ConfigurationError: Unknown name, or an option it does not take.
    """
    if name == "fifo":
        if options:
            raise ConfigurationError(f"search.scheduler fifo takes no options (got {', '.join(options)})")
        return FIFOScheduler()
    if name == "asha":
        settings = {"grace_period": min(step, items), "reduction_factor": 3, **options}
        try:
            return ASHAScheduler(time_attr=TIME, metric=OBJECTIVE, mode=direction, max_t=items, **settings)
        except (TypeError, AssertionError) as error:
            raise ConfigurationError(
                f"search.scheduler asha: {error}; it takes grace_period, reduction_factor, brackets"
            ) from None
    raise ConfigurationError(f"search.scheduler must be fifo or asha (got {name!r})")


def default_step(name: str, items: int) -> int:
    """Items between two reports: all of them where nothing is stopped early, else about a quarter."""
    return items if name == "fifo" else max(1, -(-items // 4))
