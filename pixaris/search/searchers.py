"""What proposes parameter sets: Ray Tune's searchers, with the baseline before them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import optuna
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.variant_generator import generate_variants

from pixaris.exceptions import ConfigurationError
from pixaris.search.conversion import to_tune
from pixaris.search.space import Space
from pixaris.types import Direction, ParamValue

OBJECTIVE = "objective"
"""The key under which trials report what is optimised."""


class ListSearcher(Searcher):
    """Proposes the parameter sets of a list, in order.

    Attributes:
        sets: The list.
    """

    def __init__(self, sets: Iterable[Mapping[str, ParamValue]], direction: Direction) -> None:
        super().__init__(metric=OBJECTIVE, mode=direction)
        self.sets = tuple(sets)
        self._next = 0

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401  (a config or Searcher.FINISHED)
        if self._next == len(self.sets):
            return Searcher.FINISHED
        self._next += 1
        return dict(self.sets[self._next - 1])

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing is learnt."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: the list is made anew from the search file."""

    def restore(self, checkpoint_path: str) -> None:
        """See `save`."""


class Proposals(Searcher):
    """The baseline first, then what a searcher proposes, each with its number.

    A configuration is ``{"number": 0, "values": {parameter name: value}}``. The inner searcher sees parameters under neutral
    names (a node's title may hold any character), learns the baseline's score if it lies in its space, and is told "error" where
    a trial has no score.

    Args:
        inner: Proposes the other sets, under the names of `neutral`.
        space: The search space.
        baseline: The workflow's own values.
        limit: Number of trials, the baseline included.
        direction: Of the objective.
        stopped: Whether nothing more is to be started.
    """

    def __init__(
        self,
        inner: Searcher,
        space: Space,
        baseline: Mapping[str, ParamValue],
        *,
        limit: int | None,
        direction: Direction,
        stopped: Callable[[], bool] = bool,  # never
    ) -> None:
        super().__init__(metric=OBJECTIVE, mode=direction)
        self._inner = inner
        self._stopped = stopped
        self._space = space
        self._domains = {parameter.name: parameter.domain for parameter in space.parameters}
        self._baseline = dict(baseline)
        self._limit = limit
        self._count = 0
        self._baseline_trial: str | None = None

    def suggest(self, trial_id: str) -> Any:  # noqa: ANN401  (a config, None for "not now", or Searcher.FINISHED)
        if self._stopped() or (self._limit is not None and self._count >= self._limit):
            return Searcher.FINISHED
        if self._count == 0:
            self._baseline_trial = trial_id
            values: dict[str, Any] = dict(self._baseline)
        else:
            proposed = self._inner.suggest(trial_id)
            if proposed is None or proposed == Searcher.FINISHED:
                return proposed
            names = neutral(self._space)
            values = {names[key]: self._clean(names[key], value) for key, value in proposed.items()}
        self._count += 1
        return {"number": self._count - 1, "values": values}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if trial_id != self._baseline_trial and _scored(result):
            self._inner.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        scored = result is not None and _scored(result)
        if trial_id != self._baseline_trial:
            self._inner.on_trial_complete(trial_id, result if scored else None, error or not scored)
        elif scored and result is not None and isinstance(self._inner, OptunaSearch) and self._in_space():
            values = {key: self._baseline[name] for key, name in neutral(self._space).items()}
            self._inner.add_evaluated_point(values, result[OBJECTIVE])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stopped": bool}  # Tune keeps a copy of its searcher; who may stop it belongs to this process

    def _clean(self, name: str, value: Any) -> ParamValue:  # noqa: ANN401  (numpy scalars in, Python values out)
        cleaned: ParamValue = self._domains[name].clean(value.item() if isinstance(value, np.generic) else value)
        return cleaned

    def _in_space(self) -> bool:
        return all(parameter.domain.contains(self._baseline[parameter.name]) for parameter in self._space.parameters)

    def save(self, checkpoint_path: str) -> None:
        self._inner.save(checkpoint_path)

    def restore(self, checkpoint_path: str) -> None:
        self._inner.restore(checkpoint_path)


def tune_domains(space: Space) -> dict[str, Any]:
    """Neutral name to the domain as Tune has it."""
    return {key: to_tune(parameter.domain) for key, parameter in zip(neutral(space), space.parameters, strict=True)}


def neutral(space: Space) -> dict[str, str]:
    """Neutral name to parameter name."""
    return {f"p{index}": parameter.name for index, parameter in enumerate(space.parameters)}


def grid(space: Space, baseline: Mapping[str, ParamValue], direction: Direction) -> ListSearcher:
    """Every combination once; the baseline's own, if it is one of them, is not run twice."""
    names = {parameter: key for key, parameter in neutral(space).items()}
    sets = [{names[name]: value for name, value in values.items()} for values in space.grid() if values != dict(baseline)]
    return ListSearcher(sets, direction)


def random(space: Space, num_samples: int, seed: int | None, direction: Direction) -> ListSearcher:
    """Tune's own random sampling, `num_samples` times (times the grid of what is under ``grid_search``)."""
    domains, state = tune_domains(space), np.random.RandomState(seed)
    sets = [found for _ in range(num_samples) for _, found in generate_variants(dict(domains), random_state=state)]
    return ListSearcher(sets, direction)


def tpe(space: Space, seed: int | None, direction: Direction, *, parallel: bool, options: Mapping[str, Any]) -> Searcher:
    """Optuna's tree-structured Parzen estimator.

    Args:
        space: The search space, without ``grid_search``.
        seed: Of the sampler.
        direction: Of the objective.
        parallel: Whether several trials run at once; proposals then keep away from those still running.
        options: For `optuna.samplers.TPESampler`.

    Raises:
        ConfigurationError: The sampler does not know an option.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    domains = tune_domains(space)
    try:
        sampler = optuna.samplers.TPESampler(**{"seed": seed, "constant_liar": parallel, **options})
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"search.algorithm tpe: {error}") from None
    return OptunaSearch(OptunaSearch.convert_search_space(domains), metric=OBJECTIVE, mode=direction, sampler=sampler)


def _scored(result: Mapping[str, Any]) -> bool:
    value = result.get(OBJECTIVE)
    return isinstance(value, int | float) and math.isfinite(value)
