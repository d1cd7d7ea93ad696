"""What a class takes, as JSON Schema: the options of metrics and generators, by their signatures."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

Schema: TypeAlias = dict[str, Any]

NUMERIC = r"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"
"""A number in quotes, which the reader takes as one."""

_PLAIN: Mapping[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    Path: {"type": "string"},
    Any: {},
    object: {},
}
_WHOLE_MAPPINGS = (dict, Mapping)
_LISTS = (list, tuple, Sequence)


def options_of(cls: type) -> dict[str, Schema]:
    """Option to what may stand in a file for it; what takes an object of Python's is left out.

    Args:
        cls: Its `__init__` has annotations.
    """
    hints = get_type_hints(cls.__init__)  # type: ignore[misc]  # the class is a metric's or a generator's
    found = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        schema = schema_of_type(hints.get(parameter.name, Any))
        if schema is None:
            continue
        default = parameter.default
        if isinstance(default, str | int | float):
            schema = {**schema, "default": default}
        found[parameter.name] = schema
    return found


def required_options(cls: type) -> list[str]:
    """Options that have no default."""
    parameters = inspect.signature(cls).parameters.values()
    return [one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]


def schema_of_type(hint: Any) -> Schema | None:  # noqa: ANN401  (an annotation)
    """What may stand in a file for a value of a type; None if nothing may."""
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _any_of([schema_of_type(one) for one in arguments if one is not type(None)])
    if (origin or hint) in _WHOLE_MAPPINGS:
        return {"type": "object"}
    if (origin or hint) in _LISTS:
        if arguments:
            inner = schema_of_type(arguments[0])
        else:
            inner = {}
        if inner is None:
            return None
        return {"type": "array", "items": inner}
    return None


def _any_of(schemas: Sequence[Schema | None]) -> Schema | None:
    known = [schema for schema in schemas if schema is not None]
    if len(known) > 1:
        return {"anyOf": known}
    if known:
        return known[0]
    return None
