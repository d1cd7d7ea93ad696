"""A search's re-check: its best sets and the baseline once more, as a search of its own beside it.

Being a search, it is stored, resumed, paid for and shown as one. What differs is the items (the whole
eval set, or those that were held out), and the seeds, which begin after those that the search has used.
"""

from __future__ import annotations

from dataclasses import replace

from pixaris.results.budget import Amounts, Budget
from pixaris.results.manifest import differences, read_manifest
from pixaris.results.paths import SearchPaths, recheck_name
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.search.check import CheckedSearch
from pixaris.search.manifest import manifest_of
from pixaris.search.settings import Choice, EvidenceSettings, StrategySettings
from pixaris.types import EvalItem

# A limit of 0 is none.
_LEAST = 1e-9


def is_due(checked: CheckedSearch, result: SearchResult) -> bool:
    """Whether a search that has ended asks for a re-check."""
    evidence = checked.settings.evidence
    wanted = evidence.recheck is not None or evidence.holdout > 0
    return (
        wanted
        and result.error is None
        and result.status in ("finished", "stopped")
        and bool(_best(result, 1))
    )


def recheck_of(checked: CheckedSearch, result: SearchResult) -> CheckedSearch:
    """The re-check of a search that has ended.

    Args:
        checked: The search, with a re-check or with items that are held out.
        result: What it found.

    Returns:
        A search of a few given sets, ready to run. It is the one that was begun before, if that asked the
        same; after one that asked for something else, it takes the seeds that follow.
    """
    if checked.settings.evidence.recheck is not None:
        first = checked.setup.seeds
    else:
        first = 0
    earlier = result.recheck
    if earlier is None:
        return _recheck(checked, result, first)
    kept = read_manifest(SearchPaths(earlier.folder))
    begun = int(kept.get("first_seed", first))
    same = _recheck(checked, result, begun)
    # Held-out items have no seeds to go on with: the one that was begun is the only one.
    if first == 0 or not differences(kept, manifest_of(same)):
        return same
    return _recheck(checked, result, begun + int(kept.get("seeds", 1)))


def _recheck(checked: CheckedSearch, result: SearchResult, first_seed: int) -> CheckedSearch:
    settings, evidence = checked.settings, checked.settings.evidence
    sets = _best(result, evidence.recheck.top if evidence.recheck is not None else 1)
    strategy = StrategySettings(
        # With all of its sets given, nothing is ever drawn.
        Choice("random"),
        # Every image counts here: a set that is stopped early could not be compared.
        Choice("fifo"),
        num_samples=len(sets),
        points_to_evaluate=tuple(trial.values for trial in sets),
        seed=settings.strategy.seed,
        max_concurrent=settings.strategy.max_concurrent,
    )
    setup = replace(checked.setup, eval_set=replace(checked.setup.eval_set, items=_items(checked)))
    if evidence.recheck is not None:
        setup = replace(setup, seeds=evidence.recheck.seeds, first_seed=first_seed)
    changed = replace(
        settings,
        home=replace(settings.home, name=recheck_name(result.folder.name)),
        strategy=strategy,
        limits=replace(settings.limits, budget=_left(settings.limits.budget, result.spent)),
        images=replace(settings.images, seeds=setup.seeds),
        evidence=EvidenceSettings(rechecks=result.folder.name),
    )
    return CheckedSearch(changed, setup, checked.survey, checked.problems)


def _best(result: SearchResult, count: int) -> list[TrialResult]:
    """The best sets besides the baseline, each once."""
    if result.baseline is None:
        known = []
    else:
        known = [result.baseline.values]
    found = []
    for trial in result.ranking():
        # The same set may stand twice; its second run tells nothing new.
        if trial.values not in known:
            known.append(trial.values)
            found.append(trial)
    return found[:count]


def _items(checked: CheckedSearch) -> tuple[EvalItem, ...]:
    """The whole eval set; without new seeds, the items that the search has not seen."""
    if checked.settings.evidence.recheck is not None:
        seen = checked.setup.eval_set.items
    else:
        seen = ()
    # Numbered anew, as the re-check is a search with an eval set of its own.
    return tuple(replace(item, index=index) for index, item in enumerate((*seen, *checked.held_out)))


def _left(budget: Budget, spent: Amounts) -> Budget:
    """What a budget still pays for; what is spent altogether leaves the least that a budget can be."""
    left = {name: limit - getattr(spent, name) for name, limit in budget.as_dict().items()}
    images = left.pop("images", None)
    return Budget(
        images=None if images is None else max(1, int(images)),
        **{name: max(_LEAST, amount) for name, amount in left.items()},
    )
