"""A search space as Optuna draws from it: one parameter after the other, each only if it counts."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from pixaris.search.space.domain import KINDS, SPREAD, Domain
from pixaris.search.space.space import Space
from pixaris.types import ParamValue

_NORMAL = NormalDist()


class OptunaSpace:
    """Draws a parameter set from an Optuna trial, under neutral names; a define-by-run function for Tune's
    searcher.

    A parameter that does not count is not asked for, so that a sampler learns each from the trials in which
    it counted. Optuna knows no normal distributions and no steps on a log scale: it draws the quantile of the
    former, the number of the latter.

    Args:
        space: The search space, without ``grid_search``.
        names: Parameter name to neutral name.
    """

    def __init__(self, space: Space, names: Mapping[str, str]) -> None:
        self._space = space.shape
        self._names = dict(names)
        self._distributions = {
            p.name: distribution(p.domain) for p in space.parameters if p.domain.kind != "constant"
        }

    def __call__(self, trial: object) -> dict[str, ParamValue]:
        found: dict[str, ParamValue] = {}
        for parameter in self._space.order:
            if self._space.counts(parameter, found):
                if parameter.domain.kind == "constant":
                    found[parameter.name] = parameter.domain.first
                else:
                    drawn = _suggest(trial, self._names[parameter.name], self._distributions[parameter.name])
                    found[parameter.name] = decoded(drawn, parameter.domain)
        return {self._names[name]: value for name, value in found.items() if name in self._distributions}

    def encode(self, values: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """A parameter set as Optuna knows it."""
        return {
            self._names[name]: encoded(value, self._space.domains[name])
            for name, value in values.items()
            if name in self._distributions
        }

    def distributions(self, values: Mapping[str, ParamValue]) -> dict[str, BaseDistribution]:
        """What the values of a parameter set are drawn from."""
        return {
            self._names[name]: self._distributions[name] for name in values if name in self._distributions
        }


def distribution(domain: Domain) -> BaseDistribution:
    """What Optuna draws for a domain; `decoded` makes the domain's value of it."""
    kind = KINDS[domain.kind]
    if kind.listed:
        return CategoricalDistribution(domain.options)
    if kind.normal:
        # The quantile, cut off where the domain itself ends: at 0 and 1 the value would be infinite.
        return FloatDistribution(_NORMAL.cdf(-SPREAD), _NORMAL.cdf(SPREAD))
    assert domain.bounds is not None
    low, high = domain.bounds
    if kind.log and kind.whole:
        step = int(domain.q or 1)
        # Optuna refuses a step together with a log scale, so it draws the number of steps.
        return IntDistribution(int(low) // step, int(high) // step, log=True)
    if kind.log:
        return FloatDistribution(low, high, log=True)
    if domain.whole:
        # Before the general case: steps that are whole make whole values, which Optuna would otherwise hand
        # out as floats.
        return IntDistribution(int(low), int(high), step=int(domain.q or 1))
    return FloatDistribution(low, high, step=domain.q)


def decoded(drawn: Any, domain: Domain) -> ParamValue:  # noqa: ANN401  (what Optuna drew)
    """The domain's value for what Optuna drew."""
    if KINDS[domain.kind].listed:
        value: ParamValue = drawn
        return value
    if domain.mean is not None and domain.sd is not None:
        return domain.nearest(float(domain.mean + domain.sd * _NORMAL.inv_cdf(drawn)))
    if KINDS[domain.kind].log and KINDS[domain.kind].whole:
        return domain.nearest(drawn * (domain.q or 1))
    return domain.nearest(drawn)


def encoded(value: ParamValue, domain: Domain) -> ParamValue:
    """What Optuna would have drawn for a domain's value."""
    if isinstance(value, str | bool) or KINDS[domain.kind].listed:
        return value
    if domain.mean is not None and domain.sd is not None:
        at = min(max((value - domain.mean) / domain.sd, -SPREAD), SPREAD)
        return float(_NORMAL.cdf(at))
    if KINDS[domain.kind].log and KINDS[domain.kind].whole:
        return int(value // (domain.q or 1))
    return value


def _suggest(trial: Any, name: str, drawn: BaseDistribution) -> Any:  # noqa: ANN401  (Optuna's trial and value)
    if isinstance(drawn, CategoricalDistribution):
        return trial.suggest_categorical(name, drawn.choices)
    if isinstance(drawn, IntDistribution):
        return trial.suggest_int(name, drawn.low, drawn.high, step=drawn.step, log=drawn.log)
    assert isinstance(drawn, FloatDistribution)
    return trial.suggest_float(name, drawn.low, drawn.high, step=drawn.step, log=drawn.log)
