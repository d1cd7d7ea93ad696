"""How many parameter sets a space of listed domains has, conditions counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pixaris.search.space.conditions import Condition
from pixaris.search.space.parameter import Parameter

_COUNTED = 1_000_000
"""A parameter that others depend on is counted value by value up to so many values."""


def count(order: Sequence[Parameter]) -> int:
    """How many parameter sets there are.

    Args:
        order: The space's parameters, with listed domains, each after those it depends on.
    """
    group = {parameter.name: parameter.name for parameter in order}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for parameter in order:
        for condition in parameter.when:
            group[root(parameter.name)] = root(condition.parameter)
    groups: dict[str, list[Parameter]] = {}
    for parameter in order:
        groups.setdefault(root(parameter.name), []).append(parameter)
    return math.prod(map(_count_group, groups.values()))


def _count_group(order: Sequence[Parameter]) -> int:
    """Sets of parameters that depend on each other: those that others ask about are gone through by what
    their values decide.
    """
    asked: dict[str, list[Condition]] = {}
    for parameter in order:
        for condition in parameter.when:
            asked.setdefault(condition.parameter, []).append(condition)
    # which conditions hold, by name and number
    states: Counter[frozenset[tuple[str, int]]] = Counter({frozenset(): 1})
    for parameter in order:
        size, conditions = parameter.domain.size() or 0, asked.get(parameter.name, [])
        outcomes: Counter[frozenset[tuple[str, int]]] = Counter({frozenset(): size})
        if conditions and size <= _COUNTED:  # a larger grid is never run; its size need not be exact
            outcomes = Counter(_met(parameter, conditions))
        needed = set(_asked_by(parameter, asked))
        following: Counter[frozenset[tuple[str, int]]] = Counter()
        for state, count in states.items():
            if needed <= state:
                for outcome, times in outcomes.items():
                    following[state | outcome] += count * times
            else:
                following[state] += count
        states = following
    return sum(states.values())


def _met(parameter: Parameter, conditions: Sequence[Condition]) -> Iterator[frozenset[tuple[str, int]]]:
    """For each value of a parameter the conditions that it meets, by name and number."""
    for value in parameter.domain.values():
        met = (number for number, condition in enumerate(conditions) if condition.holds(value))
        yield frozenset((parameter.name, number) for number in met)


def _asked_by(parameter: Parameter, asked: Mapping[str, Sequence[Condition]]) -> Iterator[tuple[str, int]]:
    """The conditions under which a parameter counts, by name and number."""
    for condition in parameter.when:
        for number, one in enumerate(asked[condition.parameter]):
            if one is condition:
                yield condition.parameter, number
