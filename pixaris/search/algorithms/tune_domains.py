"""Domains to and from Ray Tune's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ray import tune
from ray.tune.search.sample import (
    Categorical,
    Float,
    Integer,
    LogUniform,
    Normal,
    Quantized,
    Sampler,
    Uniform,
)
from ray.tune.search.sample import Domain as TuneDomain

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.file.parameters import read_parameters
from pixaris.search.file.reader import Reader
from pixaris.search.file.yaml_file import Document
from pixaris.search.space.domain import KINDS, Domain
from pixaris.search.space.space import Space


def to_tune(domain: Domain) -> object:
    """A domain as the object Ray Tune samples from."""
    if domain.kind == "grid_search":
        return tune.grid_search(list(domain.options))
    if KINDS[domain.kind].listed:
        return tune.choice(list(domain.options))
    # Steps of 1 are no steps; and searchers that take over Tune's domains get `high` right without them.
    if KINDS[domain.kind].whole and domain.q == 1:
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
    # As Tune has it: a plain list in a space is a grid.
    if isinstance(domain, list | tuple | range) or getattr(domain, "ndim", 0) == 1:
        return Domain("grid_search", options=_plain(domain))
    # Numpy's scalars are neither `int` nor `float`, but all have `item`.
    if isinstance(domain, str | bool | int | float) or hasattr(domain, "item"):
        return Domain("constant", options=_plain([domain]))
    if isinstance(domain, Categorical):
        return Domain("choice", options=_plain(domain.categories))
    if isinstance(domain, Float | Integer):
        sampler = domain.get_sampler()
        if isinstance(sampler, Quantized):
            q = sampler.q
        else:
            q = None
        if isinstance(sampler, Quantized):
            inner = sampler.get_sampler()
        else:
            inner = sampler
        kind = _kind(domain, inner)
        if isinstance(inner, Normal):
            return Domain("randn" if q is None else "qrandn", mean=inner.mean, sd=inner.sd, q=q)
        if kind:
            return Domain(kind if q is None else f"q{kind}", low=domain.lower, high=domain.upper, q=q)
    raise ConfigurationError(
        f"{domain!r} is no domain Pixaris knows; give one of"
        f" tune.{', '.join(kind for kind in KINDS if kind != 'constant')}, a list of values, or one value"
    )


def space_of(parameters: Mapping[str, object], *, nodes: bool = True) -> Space:
    """The space of what stands in Python: see `written_parameters`. Paths of images start at the current
    folder.

    Args:
        parameters: What was given.
        nodes: Whether inputs belong to nodes, as `read_parameters` has it.

    Raises:
        ConfigurationError: All that is wrong with it.
    """
    mapping, problems = written_parameters(parameters)
    reader = Reader(Document(mapping))
    space = read_parameters(reader, "space", mapping, (), nodes=nodes, any_name=True)
    # What the reader says of entries that could not be written follows from the problems that are told
    # already.
    if found := [*problems, *(problem for problem in reader.problems if not problems)]:
        raise ConfigurationError(found)
    return space


def written_parameters(parameters: object, name: str = "space") -> tuple[dict[str, object], list[Problem]]:
    """Parameters as they stand in Python, in the search file's form.

    Args:
        parameters: Parameter name to ``(node title, input, domain)``; to a mapping in the file's form, with a
            domain of Ray Tune's under ``domain``; or, of what stands only in templates and conditions, to the
            domain alone.
        name: What to call it in problems.

    Returns:
        The file's form, and what is wrong.
    """
    if not isinstance(parameters, Mapping):
        form = "{'cfg': ('KSampler', 'cfg', tune.uniform(1, 12)), ...}"
        return {}, [Problem(name, f"must be a mapping: {form} (got {type(parameters).__name__})")]
    found: dict[str, object] = {}
    problems: list[Problem] = []
    for key, entry in parameters.items():
        try:
            found[str(key)] = _written_entry(entry)
        except ConfigurationError as error:
            problems += [Problem(f"{name}[{key!r}]", str(problem)) for problem in error.problems]
    return found, problems


def _written_entry(entry: object) -> dict[str, object]:
    if isinstance(entry, Mapping) and set(entry) != {"grid_search"}:
        fields = {str(key): _written_value(value) for key, value in entry.items() if key != "domain"}
        return {**fields, **(_written_domain(entry["domain"]) if "domain" in entry else {})}
    if isinstance(entry, tuple | list):
        if len(entry) != 3 or not (isinstance(entry[0], str) and isinstance(entry[1], str)):
            raise ConfigurationError(f"must be (node title, input, domain) (got {entry!r})")
        return {"node_name": entry[0], "input": entry[1], **_written_domain(entry[2])}
    if isinstance(entry, TuneDomain | Domain | Mapping):
        return _written_domain(entry)
    raise ConfigurationError(f"must be (node title, input, domain) (got {entry!r})")


def _written_domain(domain: object) -> dict[str, object]:
    options: object = None
    if isinstance(domain, Categorical):
        options, kind = domain.categories, "choice"
    elif isinstance(domain, Mapping) and set(domain) == {"grid_search"}:
        options, kind = domain["grid_search"], "grid_search"
    elif isinstance(domain, list | tuple):
        options, kind = domain, "grid_search"
    if isinstance(options, list | tuple) and any(isinstance(option, Mapping) for option in options):
        return {kind: _written_value(options)}  # values that move together
    made = from_tune(domain)
    return {made.kind: made.arguments()}


def _written_value(value: Any) -> Any:  # noqa: ANN401  (what a user gave)
    if isinstance(value, Mapping):
        return {str(key): _written_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | range) or getattr(value, "ndim", None):
        return [_written_value(inner) for inner in value]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    return value


def _kind(domain: TuneDomain, sampler: Sampler) -> str:
    whole = isinstance(domain, Integer)
    if isinstance(sampler, LogUniform):
        if whole:
            return "lograndint"
        return "loguniform"
    if isinstance(sampler, Uniform):
        if whole:
            return "randint"
        return "uniform"
    return ""


def _plain(values: Any) -> tuple[Any, ...]:  # noqa: ANN401  (what a user gave)
    """Values as plain Python ones; a choice of numpy's stays numpy's in Tune."""
    try:
        return tuple(value.item() if hasattr(value, "item") else value for value in values)
    except (TypeError, ValueError):
        raise ConfigurationError(f"needs a list of values (got {values!r})") from None
