"""A parameter's ``when``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pixaris.search.file.reader import Reader, shown
from pixaris.search.file.schema.keys import CONDITION, names
from pixaris.search.file.yaml_file import join
from pixaris.search.space.conditions import LIMITS, Condition
from pixaris.search.space.domain import same
from pixaris.search.space.parameter import Parameter
from pixaris.types import ParamValue

_EXAMPLE = "write when: {lora: portrait}, when: {lora: [portrait, sketch]} or when: {steps: {at_least: 20}}"


def read_conditions(
    reader: Reader, path: str, value: object, parameters: Mapping[str, Parameter]
) -> tuple[Condition, ...]:
    """Parameter name to what its value must be like: a value, a list of values, or limits.

    Args:
        reader: Collects the problems.
        path: The mapping's place.
        value: The mapping.
        parameters: All of them; whether the conditions make sense is asked later.
    """
    if not isinstance(value, dict) or not value:
        reader.add_problem(path, f"must name the parameters it depends on (got {shown(value)}); {_EXAMPLE}")
        return ()
    found = []
    for name, wanted in value.items():
        condition = _condition(reader, join(path, name), name, wanted, parameters.get(name))
        if condition is not None:
            found.append(condition)
    return tuple(found)


def _condition(
    reader: Reader, path: str, name: str, wanted: object, parameter: Parameter | None
) -> Condition | None:
    if isinstance(wanted, dict) and not (parameter is not None and parameter.parts):
        return _limited(reader, path, name, wanted)
    if isinstance(wanted, list):
        values = wanted
    else:
        values = [wanted]
    if not values:
        reader.add_problem(path, f"needs at least one value (got an empty list); {_EXAMPLE}")
        return None
    if parameter is not None and parameter.parts:
        labels = [label for one in values for label in _labels(reader, path, one, parameter)]
        if labels:
            return Condition(name, tuple(dict.fromkeys(labels)))
        return None
    plain = _values(reader, path, values)
    if plain:
        return Condition(name, plain)
    return None


def _limited(reader: Reader, path: str, name: str, wanted: dict[str, object]) -> Condition | None:
    fields = reader.section(path, wanted, names(CONDITION))
    limits: dict[str, Any] = {
        key: reader.number(join(path, key), fields[key]) for key in LIMITS if key in fields
    }
    excluded = fields.get("not", [])
    values = _values(reader, join(path, "not"), excluded if isinstance(excluded, list) else [excluded])
    if not fields:
        reader.add_problem(path, f"has no condition; {_EXAMPLE}")
    if (
        not fields
        or values is None
        or len(fields) < len(wanted)
        or any(limit is None for limit in limits.values())
    ):
        return None
    return Condition(name, excluded=values, **limits)


def _values(reader: Reader, path: str, values: list[object]) -> tuple[ParamValue, ...] | None:
    plain = tuple(one for one in values if isinstance(one, str | int | float))
    if len(plain) < len(values):
        wrong = next(one for one in values if not isinstance(one, str | int | float))
        reader.add_problem(path, f"values are text, numbers or booleans (got {shown(wrong)}); {_EXAMPLE}")
        return None
    return plain


def _labels(reader: Reader, path: str, wanted: object, parameter: Parameter) -> list[ParamValue]:
    """The options of values that move together which have some values, or are called so."""
    if isinstance(wanted, str):
        return [wanted]
    if not isinstance(wanted, dict) or not wanted:
        example = f"{{{parameter.parts[0]}: ...}}"
        reader.add_problem(
            path, f"must give some of {', '.join(parameter.parts)} (got {shown(wanted)}); write {example}"
        )
        return []
    fields = reader.section(path, wanted, parameter.parts)
    found = []
    for option, given in zip(parameter.domain.options, parameter.gives, strict=True):
        values = dict(zip(parameter.parts, given, strict=True))
        if all(_is(values[part], value) for part, value in fields.items()):
            found.append(option)
    if not found and len(fields) == len(wanted):
        reader.add_problem(
            path,
            f"{parameter.name!r} never has {shown(wanted)}; its options are"
            f" {', '.join(map(str, parameter.domain.options))}",
        )
    if len(fields) == len(wanted):
        return found
    return []


def _is(given: object, value: object) -> bool:
    return (
        isinstance(given, str | int | float) and isinstance(value, str | int | float) and same(given, value)
    )
