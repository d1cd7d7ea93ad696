"""How many images a search will have made at its end, as far as that can be told."""

from __future__ import annotations

from collections.abc import Iterable

from pixaris.results.trial import TrialResult
from pixaris.search.driver.plan import SearchPlan


def planned_images(plan: SearchPlan, trials: Iterable[TrialResult], made: int) -> int | None:
    """Images that all trials would need, less what ended trials saved, and what the budget pays for; some may
    have been made in vain.
    """
    limit = plan.settings.limits.budget.images
    if plan.size.images is None:
        return limit
    spared = 0
    for trial in trials:
        spared += trial.failures
        if trial.status in ("stopped", "failed", "interrupted"):
            spared += plan.items - trial.items
    planned = max(plan.size.images - plan.setup.seeds * spared, made)
    if limit is None:
        return planned
    return min(planned, limit)
