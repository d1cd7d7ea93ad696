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

from pixaris.files import JsonMapping

WRAPPER = "__value__"
_SWITCHES = ("on", "enabled", "active")

Place: TypeAlias = tuple[str | int, ...]
"""The input, then the keys and positions that lead to a value in it."""


def find(inputs: Mapping[str, object], name: str) -> Place | None:
    """Where a name leads: to an input, or into the structure that one holds; None if nowhere.

    Of several places that are called so, one with a literal comes first, and an input with dots and all
    before what a structure holds.
    """
    places = _ways(inputs, name)
    first = next(places, None)
    if first is None or not _is_structure(inputs, first):
        return first
    return next((place for place in places if not _is_structure(inputs, place)), first)


def value_at(inputs: JsonMapping, place: Place) -> Any:  # noqa: ANN401  (any JSON value)
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
    if rest:
        inner = replaced(value[step], rest, new)
    else:
        inner = new
    return MappingProxyType({**value, step: inner})


def literals(inputs: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Every literal of a node and its name: the inputs that are no links, and what structures hold."""
    for name, value in inputs.items():
        if not isinstance(value, tuple):
            yield from _inside(name, value)


def switched_off(inputs: Mapping[str, object], place: Place) -> bool:
    """Whether a value lies in a structure that a switch of its own turns off: ``{on: false, …}``."""
    if len(place) > 1:
        around = value_at(inputs, place[:-1])
    else:
        around = None
    return isinstance(around, Mapping) and any(around.get(switch) is False for switch in _SWITCHES)


def _inside(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _inside(name if key == WRAPPER else f"{name}.{key}", inner)
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _inside(f"{name}.{index}", inner)
    else:
        yield name, value


def _is_structure(inputs: Mapping[str, object], place: Place) -> bool:
    value = value_at(inputs, place)
    return isinstance(value, Mapping) or (isinstance(value, tuple) and len(place) > 1)


def _ways(inputs: Mapping[str, object], name: str) -> Iterator[Place]:
    """Every place that is called so: the input first, then what structures hold."""
    if name in inputs:
        yield from _step(name, inputs[name], None)
    for key, rest in _splits(name):
        if isinstance(inputs.get(key), Mapping):
            yield from _step(key, inputs[key], rest)


def _walk(value: object, name: str) -> Iterator[Place]:
    """The ways through a structure along a name."""
    if isinstance(value, tuple):
        first, dot, rest = name.partition(".")
        if first.isascii() and first.isdecimal() and len(first) < 10 and int(first) < len(value):
            yield from _step(int(first), value[int(first)], rest if dot else None)
    elif isinstance(value, Mapping):
        if name in value:
            yield from _step(name, value[name], None)
        for key, rest in _splits(name):
            if key in value:
                yield from _step(key, value[key], rest)
        if WRAPPER in value:
            yield from _step(WRAPPER, value[WRAPPER], name)


def _step(step: str | int, value: object, rest: str | None) -> Iterator[Place]:
    """The ways on from a value; at the end of the name through the wrapper of a literal."""
    if rest is not None:
        yield from ((step, *place) for place in _walk(value, rest))
        return
    place: Place = (step,)
    while isinstance(value, Mapping) and WRAPPER in value:
        place, value = (*place, WRAPPER), value[WRAPPER]
    yield (step,) if isinstance(value, Mapping | tuple) else place


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name's beginnings up to a dot, and the rest."""
    return ((name[:at], name[at + 1 :]) for at, letter in enumerate(name) if letter == ".")
