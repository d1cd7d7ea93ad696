"""How much of the scores' variance each parameter explains: fANOVA (Hutter et al. 2014), by Optuna.
Ray-free.
"""

from __future__ import annotations

import functools
import math
import statistics
import warnings
from collections.abc import Collection, Mapping, Sequence

from pixaris.exceptions import ConfigurationError
from pixaris.types import ParamValue

FEWEST = 5
"""Trials below which there is nothing to tell apart."""
_LARGE = 200
"""Samples above which a smaller forest is grown: the time goes with the square of a tree's leaves, and the
shares stay.
"""


def importances(
    samples: Sequence[tuple[Mapping[str, ParamValue], float]], logarithmic: Collection[str] = ()
) -> dict[str, float]:
    """Parameter name to its share of the variance that parameters explain on their own, the largest first;
    the shares sum to 1.

    Numbers are taken as numbers (on a logarithmic scale where their domain is one), all else as categories;
    values that move together are one parameter. A parameter that does not count in a sample (its condition
    does not hold) has a category of its own there, or, where it is a number, the median of the others: what
    it does shows where it counts. Parameters with one value are left out. All shares are 0 if all scores are
    equal.

    Args:
        samples: Parameter sets and their scores.
        logarithmic: Names of parameters whose domain is logarithmic.

    Raises:
        ConfigurationError: There are too few samples, or nothing varies.
    """
    if len(samples) < FEWEST:
        raise ConfigurationError(f"needs at least {FEWEST} comparable trials ({len(samples)} so far)")
    names = dict.fromkeys(name for values, _ in samples for name in values)
    columns = {}
    for name in names:
        columns[name] = _numbers([values.get(name) for values, _ in samples], name in logarithmic)
    varying = {name: column for name, column in columns.items() if len(set(column[0])) > 1}
    if not varying:
        raise ConfigurationError("needs a parameter that varies; all comparable trials have the same values")
    scores = [score for _, score in samples]
    if min(scores) == max(scores):
        return dict.fromkeys(varying, 0.0)
    hashable = tuple((name, tuple(column), categories) for name, (column, categories) in varying.items())
    return dict(sorted(_shares(hashable, tuple(scores)), key=lambda pair: -pair[1]))


@functools.lru_cache(maxsize=8)
def _shares(
    given: tuple[tuple[str, tuple[float, ...], bool], ...], scores: tuple[float, ...]
) -> tuple[tuple[str, float], ...]:
    """Each parameter's share. Kept for who asks again: a verdict and a chart do, and it takes a second where
    there are hundreds of trials.

    Args:
        given: Name of each parameter, its values, and whether they only number categories.
        scores: Of the trials.
    """
    import optuna  # a second, which results do without
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

    columns = {name: (column, categories) for name, column, categories in given}
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(sorted(set(column))) if categories else FloatDistribution(0.0, 1.0)
        for name, (column, categories) in columns.items()
    }
    # The seed is fixed: the same search must show the same shares each time it is looked at.
    large = len(scores) > _LARGE
    evaluator = optuna.importance.FanovaImportanceEvaluator(
        seed=0, **({"n_trees": 16, "max_depth": 8} if large else {})
    )
    verbosity = optuna.logging.get_verbosity()
    # Put back below: the user's own program may use Optuna as well.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        for index, score in enumerate(_scaled(scores)):
            params = {name: column[index] for name, (column, _) in columns.items()}
            trial = optuna.trial.create_trial(params=params, distributions=distributions, value=score)
            study.add_trial(trial)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, params=list(columns))
    finally:
        optuna.logging.set_verbosity(verbosity)
    # Shares of nothing are NaN: a forest that found no variance to explain.
    return tuple((name, float(share) if math.isfinite(share) else 0.0) for name, share in found.items())


def _scaled(values: Sequence[float]) -> list[float]:
    """Values from 0 to 1: shares do not change, and a forest, which reckons in 32 bits, tells neighbours
    apart at any size.
    """
    # halves, because the largest minus the smallest may be too large a number
    low, high = (
        min(values) / 2,
        max(values) / 2,
    )
    return [(value / 2 - low) / (high - low) if high > low else 0.0 for value in values]


def _numbers(values: Sequence[ParamValue | None], logarithmic: bool) -> tuple[list[float], bool]:
    """A parameter's values as numbers, and whether they only number categories."""
    present = [
        float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if present and len(present) == sum(value is not None for value in values):
        if logarithmic and min(present) > 0:
            scaled = [math.log(value) for value in present]
        else:
            scaled = present
        # A value that occurs, so that the median makes no new split of the trees.
        middle, each = statistics.median_low(scaled), iter(scaled)
        return _scaled([middle if value is None else next(each) for value in values]), False
    # By `repr`, which tells 1, 1.0 and True apart and works for lists too.
    categories = {key: float(number) for number, key in enumerate(dict.fromkeys(map(repr, values)))}
    return [categories[repr(value)] for value in values], True


def lies_among(values: Mapping[str, ParamValue], others: Sequence[Mapping[str, ParamValue]]) -> bool:
    """Whether a parameter set lies among others: each number within theirs, anything else one of them.

    Args:
        values: The set.
        others: What it is held against; one that lacks a parameter says nothing of it.
    """
    for name, value in values.items():
        if not _is_among(value, [other[name] for other in others if name in other]):
            return False
    return True


def _is_among(value: ParamValue, others: Sequence[ParamValue]) -> bool:
    """Whether a number lies within others, or anything else is one of them."""
    numbers = [other for other in others if isinstance(other, int | float) and not isinstance(other, bool)]
    if isinstance(value, int | float) and not isinstance(value, bool) and numbers:
        return min(numbers) <= value <= max(numbers)
    # By type too: 1, 1.0 and True are equal in Python, and different choices here.
    return any(type(other) is type(value) and other == value for other in others)
