"""Ray Tune's searchers by name, each with its own options. Made directly: Tune's own factory drops options it
does not know.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import optuna
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.variant_generator import generate_variants
from ray.tune.search.zoopt import ZOOptSearch

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.results.report import objective_keys
from pixaris.search.algorithms.catalog import ALGORITHMS, sampler_name, strategy_options
from pixaris.search.algorithms.gp.thompson import Heard
from pixaris.search.algorithms.gp.values import ValueCube
from pixaris.search.algorithms.gp.voted import VotedSearcher
from pixaris.search.algorithms.optuna_space import OptunaSpace
from pixaris.search.algorithms.searchers import ListSearcher, neutral, tune_domains
from pixaris.search.settings import SearchSettings, StrategySettings
from pixaris.search.size import points
from pixaris.search.space.space import Space
from pixaris.types import Direction, ParamValue

_SEEDED_BY_NUMPY = ("nevergrad", "zoopt")
"""Searchers that draw from numpy's global generator, or are seeded from it."""


@dataclass(frozen=True)
class SearcherContext:
    """What parameter sets are proposed for.

    Attributes:
        space: The search space.
        directions: Of the objectives.
        baseline: The workflow's own values, which run anyway.
        num_samples: Parameter sets wanted.
        seed: Of the algorithm.
        parallel: Whether several trials run at once; proposals then keep away from those still running.
        points: Parameter sets to propose first.
        heard: What votes say, where they propose; else None.
    """

    space: Space
    directions: tuple[Direction, ...]
    baseline: Mapping[str, ParamValue]
    num_samples: int = 1
    seed: int | None = None
    parallel: bool = True
    points: tuple[Mapping[str, ParamValue], ...] = ()
    heard: Heard | None = None

    def neutral_points(self) -> list[dict[str, ParamValue]]:
        """The points under the names that searchers see, who know no conditions: what does not count in one
        has some value.
        """
        domains = {key: self.space.domains[name] for key, name in neutral(self.space).items()}
        varying = {key: domain for key, domain in domains.items() if domain.kind != "constant"}
        names = neutral(self.space)
        found = []
        for point in self.points:
            found.append({key: point.get(names[key], domain.first) for key, domain in varying.items()})
        return found

    @property
    def metric(self) -> str | list[str]:
        """What a searcher reads in a trial's report; a list for several objectives."""
        keys = objective_keys(len(self.directions))
        if len(keys) == 1:
            return keys[0]
        return keys

    @property
    def mode(self) -> str | list[str]:
        """The direction, or one for each objective."""
        if len(self.directions) == 1:
            return self.directions[0]
        return list(self.directions)


def context_of(
    settings: SearchSettings,
    baseline: Mapping[str, ParamValue],
    *,
    seed: int | None,
    parallel: bool = True,
) -> SearcherContext:
    """What a search's parameter sets are proposed for.

    Args:
        settings: The search.
        baseline: The workflow's own values.
        seed: Of the algorithm.
        parallel: Whether several trials run at once.
    """
    return SearcherContext(
        space=settings.space,
        directions=tuple(objective.direction for objective in settings.objectives()),
        baseline=baseline,
        num_samples=settings.strategy.num_samples or 1,
        seed=seed,
        parallel=parallel,
        points=tuple(points(settings.strategy, baseline)),
    )


def make(strategy: StrategySettings, context: SearcherContext) -> Searcher:
    """Make a search's algorithm: by its name, or ready the caller's own object.

    Raises:
        ConfigurationError: It cannot be made of its options, or for this space and these objectives.
    """
    algorithm = strategy.algorithm.type
    if isinstance(algorithm, str):
        return build(algorithm, strategy.algorithm.options, context)
    if isinstance(algorithm, Searcher):
        return take(algorithm, context)
    rule = f"search.algorithm must be a name or a searcher of Ray Tune (got {type(algorithm).__name__})"
    raise ConfigurationError(rule)


def build(name: str, options: Mapping[str, object], context: SearcherContext) -> Searcher:
    """Make a searcher.

    Args:
        name: A row of `ALGORITHMS`.
        options: Its options.
        context: What it is for.

    Raises:
        ConfigurationError: Unknown name, an option it does not take or cannot use, a package that is missing
            or does not fit.
    """
    if name not in ALGORITHMS:
        raise ConfigurationError(
            f"search.algorithm must be one of {', '.join(ALGORITHMS)} (got"
            f" {name!r}){nearest(name, ALGORITHMS)}"
        )
    # Looked at here, because several libraries swallow keywords that they do not know.
    takes = strategy_options(name, ALGORITHMS[name], options)
    if unknown := [option for option in options if option not in takes]:
        listed = ", ".join(takes) or "no options"
        raise ConfigurationError(f"search.algorithm {name} takes {listed} (got {', '.join(unknown)})")
    with _telling(name):
        if name == "grid":
            return _grid(context)
        if name == "random":
            return _random(context)
        if name == "auto" and context.heard is not None:
            return _voted(context, context.heard)
        if name in ("auto", "gp", "tpe", "optuna"):  # what a process cannot guide, TPE proposes
            return _optuna({"sampler": "TPE", **options}, context)
        return _of_tune(name, options, context)


def take(searcher: Searcher, context: SearcherContext) -> Searcher:
    """Prepare a searcher of the caller's own; this changes nothing that it was made with.

    Raises:
        ConfigurationError: It cannot draw from one of the space's domains.
    """
    with _telling(type(searcher).__name__):
        searcher.set_search_properties(context.metric, context.mode, tune_domains(context.space))
    return searcher


def _grid(context: SearcherContext) -> ListSearcher:
    """Every combination once, the points first; the baseline's own, if it is one of them, is not run
    twice.
    """
    # Of a grid they are moved to the front, not added.
    first = [dict(point) for point in context.points]
    rest = [
        values for values in context.space.grid() if values != dict(context.baseline) and values not in first
    ]
    return _listed(context, [*first, *rest], len(first))


def _random(context: SearcherContext) -> ListSearcher:
    """Tune's own random sampling: the points, then as many draws (each times the grid of what is under
    ``grid_search``).
    """
    names, state = neutral(context.space), np.random.RandomState(context.seed)
    draws = max(0, context.num_samples - len(context.points))
    sets = [dict(point) for point in context.points]
    for _ in range(draws):
        for _, found in generate_variants(tune_domains(context.space), random_state=state):
            sets.append({names[key]: value for key, value in found.items()})
    return _listed(context, sets, len(context.points))


def _voted(context: SearcherContext, heard: Heard) -> VotedSearcher:
    return VotedSearcher(
        ValueCube(context.space),
        heard,
        {parameter: key for key, parameter in neutral(context.space).items()},
        context.metric,
        context.mode,
        first=context.neutral_points(),
        seed=context.seed,
    )


def _listed(context: SearcherContext, sets: list[dict[str, ParamValue]], fixed: int) -> ListSearcher:
    keys = {parameter: key for key, parameter in neutral(context.space).items()}
    renamed = []
    for values in sets:
        renamed.append({keys[name]: value for name, value in values.items()})
    return ListSearcher(renamed, context.metric, context.mode, fixed)


class TeachableOptuna(OptunaSearch):
    """Tune's Optuna searcher, which also learns trials that it did not propose."""

    _space: OptunaSpace

    def learn(self, values: Mapping[str, ParamValue], scores: list[float]) -> None:
        """Add a parameter set with its scores, one for each objective."""
        trial = optuna.trial.create_trial(
            params=self._space.encode(values), distributions=self._space.distributions(values), values=scores
        )
        self._ot_study.add_trial(trial)


def _optuna(options: Mapping[str, object], context: SearcherContext) -> Searcher:
    # Optuna writes a line for each trial to stderr, in the middle of our progress.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # some samplers think for a second or two
    warnings.filterwarnings("ignore", message="Define-by-run function passed")
    settings = {key: value for key, value in options.items() if key != "sampler"}
    name = sampler_name(str(options["sampler"]))
    if not name:
        raise ConfigurationError(f"there is no sampler {options['sampler']!r}")
    if name == "CmaEsSampler" and len(context.directions) > 1:
        raise ConfigurationError("the sampler CmaEs knows one objective; use TPE, NSGAII, NSGAIII or GP")
    if name == "TPESampler":
        # Trials under way count as bad ones, so that two that run side by side are not the same set twice.
        settings = {"constant_liar": context.parallel, **settings}
    sampler = getattr(optuna.samplers, name)(seed=context.seed, **settings)
    space = OptunaSpace(context.space, {parameter: key for key, parameter in neutral(context.space).items()})
    points = [space.encode(point) for point in context.points]
    return TeachableOptuna(
        space, metric=context.metric, mode=context.mode, sampler=sampler, points_to_evaluate=points
    )


class PatientZOOpt(ZOOptSearch):
    """Tune's ZOOpt searcher, for trials that end before the next one is asked for, or fail.

    ZOOpt waits for its first trials to end, and for ever if they have; it counts one that failed as under
    way; and it fails on points to evaluate, which it therefore does not see.
    """

    def __init__(
        self, points_to_evaluate: Sequence[Mapping[str, ParamValue]] = (), **options: object
    ) -> None:
        super().__init__(**options)
        self._first = [dict(point) for point in points_to_evaluate]
        self._unseen: set[str] = set()

    def on_trial_complete(
        self, trial_id: str, result: dict[str, object] | None = None, error: bool = False
    ) -> None:
        if trial_id not in self._unseen:
            super().on_trial_complete(trial_id, result, error)

    def suggest(self, trial_id: str) -> object:
        if self._first:
            self._unseen.add(trial_id)
            return self._first.pop(0)
        found = super().suggest(trial_id)
        if found is None and not self._live_trial_mapping:
            # What it waits for has ended already: let it ask its own model instead.
            self.optimizer.semaphore, self.optimizer.live_num = 1, 0
            found = super().suggest(trial_id)
        return found


def _of_tune(name: str, options: Mapping[str, Any], context: SearcherContext) -> Searcher:
    strategy = ALGORITHMS[name]
    module, _, name_of_class = strategy.homes[0].partition(":")
    if name == "zoopt":
        cls = PatientZOOpt
    else:
        cls = getattr(import_module(module), name_of_class)
    settings = dict(options)
    if context.seed is not None and name in _SEEDED_BY_NUMPY:
        np.random.seed(context.seed)
    if strategy.seeded and context.seed is not None:
        settings.setdefault(strategy.seeded, context.seed)
    if name == "zoopt":
        # ZOOpt must know beforehand how many sets there will be.
        settings.setdefault("budget", max(1, context.num_samples))
    if name == "nevergrad":
        settings = _for_nevergrad(settings, context)
    if context.points:
        settings["points_to_evaluate"] = context.neutral_points()
    return take(cls(**settings), context)


def _for_nevergrad(options: Mapping[str, Any], context: SearcherContext) -> dict[str, Any]:
    """Nevergrad takes an optimizer's class; a file names it."""
    import nevergrad

    known, name = nevergrad.optimizers.registry, options.get("optimizer", "NGOpt")
    if name not in known:
        raise ConfigurationError(
            f"nevergrad has no optimizer {name!r}{nearest(name, known)}; for example NGOpt, OnePlusOne,"
            " CMA, DE"
        )
    settings = {"budget": max(1, context.num_samples), **options.get("optimizer_kwargs", {})}
    return {**options, "optimizer": known[name], "optimizer_kwargs": settings}


@contextlib.contextmanager
def _telling(name: str) -> Iterator[None]:
    """Make our error of what a library says when it is given what it cannot use; keep its chatter to
    itself.
    """
    logger, heard = logging.getLogger("ray.tune"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(heard):
            yield
    except ConfigurationError as error:
        raise ConfigurationError(
            [f"search.algorithm {name}: {problem}" for problem in error.problems]
        ) from None
    # A library that has moved on since Ray's searcher was written fails in this way.
    except AttributeError as error:
        if name in ALGORITHMS:
            packages = ALGORITHMS[name].packages
        else:
            packages = ""
        if packages:
            hint = f"; the installed version does not fit Ray's searcher, try pip install '{packages}'"
        else:
            hint = ""
        raise ConfigurationError(f"search.algorithm {name}: {error}{hint}") from error
    except Exception as error:
        # each searcher's library has errors of its own for options that it cannot use
        raise ConfigurationError(f"search.algorithm {name}: {str(error) or type(error).__name__}") from error
    finally:
        logger.setLevel(level)
