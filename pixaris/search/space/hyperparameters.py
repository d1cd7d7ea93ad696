"""The space of the plain functions: ``args["hyperparameters"]``, a grid over lists of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.space.domain import Domain
from pixaris.search.space.fit import Target
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.space import Space


def space_of_hyperparameters(hyperparameters: Sequence[Mapping[str, object]]) -> Space:
    """The space of ``[{node_name, input, value: [...]}, ...]``: the grid over all lists; a name is
    ``node_name.input``.

    Raises:
        ConfigurationError: All that is wrong with the list.
    """
    problems: list[Problem] = []
    parameters: dict[Target, Parameter] = {}
    for index, entry in enumerate(hyperparameters):
        where = f"hyperparameters[{index}]"
        read = _entry(entry, where, problems)
        if read is None:
            continue
        target, values = read
        if target in parameters:
            problems.append(Problem(where, f"{target} is listed twice; write all its values into one list"))
            continue
        try:
            domain = Domain("grid_search", options=tuple(values))
            parameters[target] = Parameter(f"{target.node_name}.{target.input}", (target,), domain)
        except ConfigurationError as error:
            place = f"{where}, {target}"
            problems += [Problem(place, f"value {fault.message}") for fault in error.problems]
    if problems:
        raise ConfigurationError(problems, source="hyperparameters")
    return Space(tuple(parameters.values()))


def _entry(entry: object, where: str, problems: list[Problem]) -> tuple[Target, Sequence[Any]] | None:
    """One entry's input and its values; None, and a problem, where it has another form."""
    if not isinstance(entry, Mapping) or set(entry) != {"node_name", "input", "value"}:
        got = sorted(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
        rule = f"must have exactly the keys node_name, input and value (got {got})"
        problems.append(Problem(where, rule))
        return None
    node_name, name = entry["node_name"], entry["input"]
    if not (isinstance(node_name, str) and node_name and isinstance(name, str) and name):
        rule = f"node_name and input must be text (got {node_name!r} and {name!r})"
        problems.append(Problem(where, rule))
        return None
    values = _listed(entry["value"])
    if not isinstance(values, list | tuple):
        rule = f"value must be a list of values to try (got {values!r}); write [{values!r}]"
        problems.append(Problem(where, rule))
        return None
    return Target(node_name, name), values


def _listed(values: object) -> object:
    """Arrays and ranges as lists; everything else as it is."""
    if hasattr(values, "tolist"):
        return values.tolist()
    if isinstance(values, range):
        return list(values)
    return values
