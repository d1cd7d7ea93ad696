"""Widgets that hold structures, and the literals in them.

Some custom nodes keep several values in one input: ``lora_1: {on, lora, strength}``. User interfaces wrap a
list that is no link: ``{"__value__": [...]}``. A literal in such a structure has a name of its own, the
input's and its place joined by dots: ``lora_1.strength``, ``sizes.0``. The wrapper has no name.

Values are as `node.freeze` makes them: mappings, and tuples for lists. A tuple that is an input itself is a
link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

WRAPPER = "__value__"
_SWITCHES = ("on", "enabled", "active")

Place: TypeAlias = tuple[str | int, ...]
"""The input, then the keys and positions that lead to a value in it."""


def find(inputs: Mapping[str, Any], name: str) -> Place | None:
    """Where a name leads: to an input, or into the structure that one holds; None if nowhere.

    An input that is called so, dots and all, comes first.
    """
    if name in inputs:
        return (name, *_unwrapped(inputs[name]))
    for dot in [index for index, letter in enumerate(name) if letter == "."]:
        held = inputs.get(name[:dot])
        rest = _walk(held, name[dot + 1 :]) if isinstance(held, Mapping) else None
        if rest is not None:
            return (name[:dot], *rest)
    return None


def value_at(inputs: Mapping[str, Any], place: Place) -> Any:  # noqa: ANN401  (any JSON value)
    """The value at a place that `find` gave."""
    value: Any = inputs
    for step in place:
        value = value[step]
    return value


def replaced(value: Any, place: Place, new: object) -> Any:  # noqa: ANN401  (any JSON value)
    """A copy with another value at a place; a key that is not there is added."""
    if not place:
        return new
    step, rest = place[0], place[1:]
    if isinstance(value, tuple):
        assert isinstance(step, int)
        return (*value[:step], replaced(value[step], rest, new), *value[step + 1 :])
    inner = replaced(value[step], rest, new) if rest else new
    return MappingProxyType({**value, step: inner})


def literals(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every literal of a node and its name: the inputs that are no links, and what structures hold."""
    for name, value in inputs.items():
        if not isinstance(value, tuple):
            yield from _inside(name, value)


def switched_off(inputs: Mapping[str, Any], place: Place) -> bool:
    """Whether a value lies in a structure that a switch of its own turns off: ``{on: false, …}``."""
    around = value_at(inputs, place[:-1]) if len(place) > 1 else None
    return isinstance(around, Mapping) and any(around.get(switch) is False for switch in _SWITCHES)


def _inside(name: str, value: object) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _inside(name if key == WRAPPER else f"{name}.{key}", inner)
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _inside(f"{name}.{index}", inner)
    else:
        yield name, value


def _unwrapped(value: object) -> Place:
    """The way to the literal in a wrapper; nothing where there is none."""
    inner = value.get(WRAPPER) if isinstance(value, Mapping) else None
    return () if inner is None or isinstance(inner, Mapping | tuple) else (WRAPPER,)


def _walk(value: object, name: str) -> Place | None:
    """The way through a structure along a name."""
    if isinstance(value, tuple):
        first, dot, rest = name.partition(".")
        if not (first.isascii() and first.isdecimal()) or int(first) >= len(value):
            return None
        return _step(int(first), value[int(first)], rest if dot else None)
    if not isinstance(value, Mapping):
        return None
    if name in value:
        return _step(name, value[name], None)
    for dot_at in [index for index, letter in enumerate(name) if letter == "."]:
        key, rest = name[:dot_at], name[dot_at + 1 :]
        if key in value and (found := _step(key, value[key], rest)) is not None:
            return found
    if WRAPPER in value:
        return _step(WRAPPER, value[WRAPPER], name)
    return None


def _step(step: str | int, value: object, rest: str | None) -> Place | None:
    if rest is None:
        return (step, *_unwrapped(value))
    further = _walk(value, rest)
    return None if further is None else (step, *further)
