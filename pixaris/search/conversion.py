"""Domains to and from Ray Tune's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.search.sample import Categorical, Float, Integer, LogUniform, Normal, Quantized, Sampler, Uniform
from ray.tune.search.sample import Domain as TuneDomain

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.domain import KINDS, Domain
from pixaris.search.space import Parameter, Space, Target


def to_tune(domain: Domain) -> Any:  # noqa: ANN401  (a Tune domain, or its grid_search mapping)
    """A domain as the object Ray Tune samples from."""
    if domain.kind == "grid_search":
        return tune.grid_search(list(domain.options))
    if KINDS[domain.kind].listed:
        return tune.choice(list(domain.options))
    if KINDS[domain.kind].whole and domain.q == 1:  # the same, and searchers that take over Tune's domains get `high` right
        return getattr(tune, domain.kind.removeprefix("q"))(domain.low, domain.high)
    return getattr(tune, domain.kind)(*domain.arguments())


def from_tune(domain: object) -> Domain:
    """A Ray Tune domain, its ``grid_search`` mapping, a plain list of values, or one value, as a domain.

    Raises:
        ConfigurationError: It is none of these, or one whose values cannot be known before they are drawn.
    """
    if isinstance(domain, Domain):
        return domain
    if isinstance(domain, Mapping) and set(domain) == {"grid_search"}:
        return Domain("grid_search", options=_plain(domain["grid_search"]))
    if isinstance(domain, list | tuple | range) or getattr(domain, "ndim", 0) == 1:
        return Domain("grid_search", options=_plain(domain))
    if isinstance(domain, str | bool | int | float) or hasattr(domain, "item"):
        return Domain("constant", options=_plain([domain]))
    if isinstance(domain, Categorical):
        return Domain("choice", options=_plain(domain.categories))
    if isinstance(domain, Float | Integer):
        sampler = domain.get_sampler()
        q = sampler.q if isinstance(sampler, Quantized) else None
        inner = sampler.get_sampler() if isinstance(sampler, Quantized) else sampler
        kind = _kind(domain, inner)
        if isinstance(inner, Normal):
            return Domain("randn" if q is None else "qrandn", mean=inner.mean, sd=inner.sd, q=q)
        if kind:
            return Domain(kind if q is None else f"q{kind}", low=domain.lower, high=domain.upper, q=q)
    raise ConfigurationError(
        f"{domain!r} is no domain Pixaris knows; give one of tune.{', '.join(kind for kind in KINDS if kind != 'constant')}, "
        "a list of values, or one value"
    )


def space_of(parameters: Mapping[str, tuple[str, str, Any]]) -> Space:
    """The space of ``{name: (node title, input, domain)}``.

    Raises:
        ConfigurationError: An entry has another form, or a domain is none; all faults are told at once.
    """
    problems: list[Problem] = []
    found: list[Parameter] = []
    for name, entry in parameters.items():
        try:
            node_name, input_name, domain = entry
            found.append(Parameter(name, (Target(node_name, input_name),), from_tune(domain)))
        except (TypeError, ValueError):
            problems.append(Problem(f"space[{name!r}]", f"must be (node title, input, domain) (got {entry!r})"))
        except ConfigurationError as error:
            problems += [Problem(f"space[{name!r}]", str(problem)) for problem in error.problems]
    if problems:
        raise ConfigurationError(problems)
    return Space(tuple(found))


def _kind(domain: TuneDomain, sampler: Sampler) -> str:
    whole = isinstance(domain, Integer)
    if isinstance(sampler, LogUniform):
        return "lograndint" if whole else "loguniform"
    return ("randint" if whole else "uniform") if isinstance(sampler, Uniform) else ""


def _plain(values: Any) -> tuple[Any, ...]:  # noqa: ANN401  (what a user gave)
    """Values as plain Python ones; a choice of numpy's stays numpy's in Tune."""
    try:
        return tuple(value.item() if hasattr(value, "item") else value for value in values)
    except (TypeError, ValueError):
        raise ConfigurationError(f"needs a list of values (got {values!r})") from None
