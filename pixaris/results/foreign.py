"""Reading our own files as what they are: somebody may have edited, cut or mixed them up.

A value is taken only if it has the type that its field declares, so that nothing fails later, far from the
file that is to blame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class ForeignError(ValueError):
    """A value is not of the type that is wanted."""


def read_as(cls: type[T], row: object, *, without: Sequence[str] = ()) -> T:
    """Make a dataclass of a JSON object; keys of later versions are passed over.

    Args:
        cls: The dataclass. Its fields may be numbers, text, booleans, None, literals, tuples of one type,
            mappings with text keys, and such dataclasses.
        row: What was read.
        without: Fields that keep their defaults whatever the object has.

    Raises:
        ForeignError: A field that has no default is missing, or a value is of another type.
    """
    if not isinstance(row, Mapping):
        raise ForeignError(f"{cls.__name__} must be an object")
    hints = _hints(cls)
    given = {}
    for field in fields(cls):  # type: ignore[arg-type]  # T is a dataclass
        if field.name in row and field.name not in without:
            given[field.name] = _value(hints[field.name], row[field.name], field.name)
        # A field with a default may be missing: older files have fewer.
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ForeignError(f"{field.name} is missing")
    return cls(**given)


_HINTS: dict[type, dict[str, object]] = {}


def _hints(cls: type) -> dict[str, object]:
    """The fields' types; finding them takes longer than reading a row."""
    if cls not in _HINTS:
        _HINTS[cls] = get_type_hints(cls)
    return _HINTS[cls]


def _value(wanted: Any, value: object, name: str) -> object:  # noqa: ANN401  (a type)
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, name)
    if origin is Literal:
        if value not in arguments:
            raise ForeignError(f"{name} must be one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(arguments[0], inner, name) for inner in value)
    if isinstance(origin, type) and issubclass(origin, Mapping) and isinstance(value, Mapping):
        return {str(key): _value(arguments[1], inner, name) for key, inner in value.items()}
    if origin is None and _is_of(wanted, value):
        if is_dataclass(wanted) and isinstance(wanted, type):
            return read_as(wanted, value)
        return value
    raise ForeignError(f"{name} has a value of another type")


def _one_of(wanted: Sequence[object], value: object, name: str) -> object:
    # In the order in which they are declared: of `int | float` a whole number stays one.
    for one in wanted:
        try:
            return _value(one, value, name)
        except ForeignError:
            continue
    raise ForeignError(f"{name} has a value of another type")


def _is_of(wanted: type, value: object) -> bool:
    if wanted is NoneType:
        return value is None
    if wanted is float:
        # JSON writes 1.0 as 1 in other programs; and True is an `int` in Python.
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if is_dataclass(wanted):
        return isinstance(value, Mapping)
    return isinstance(value, wanted)
