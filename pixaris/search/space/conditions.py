"""Conditions: a parameter counts only while others have certain values."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pixaris.exceptions import nearest
from pixaris.search.space.domain import KINDS, Domain, same
from pixaris.types import ParamValue

LIMITS = ("at_least", "at_most", "above", "below")


@dataclass(frozen=True)
class Condition:
    """What another parameter's value must be like. A parameter that does not count itself meets no condition.

    Attributes:
        parameter: Name of the other parameter.
        values: One of these; empty: any.
        excluded: None of these.
        at_least: Not below this.
        at_most: Not above this.
        above: Above this.
        below: Below this.
    """

    parameter: str
    values: tuple[ParamValue, ...] = ()
    excluded: tuple[ParamValue, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: ParamValue) -> bool:
        """Whether a value meets it."""
        if self.values and not any(same(value, one) for one in self.values):
            return False
        if any(same(value, one) for one in self.excluded):
            return False
        if not self.limits:
            return True
        return not isinstance(value, str | bool) and (
            (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set."""
        return {name: limit for name in LIMITS if (limit := getattr(self, name)) is not None}

    def describe(self) -> str:
        """It as a person reads it: ``lora is 'portrait' or 'sketch'``."""
        return f"{self.parameter} is {self.demand}"

    @property
    def demand(self) -> str:
        """What the value must be, in words."""
        if self.values:
            words = [" or ".join(_shown(value) for value in self.values)]
        else:
            words = []
        words += [f"not {_shown(value)}" for value in self.excluded]
        words += [f"{name.replace('_', ' ')} {limit}" for name, limit in self.limits.items()]
        return ", ".join(words)

    def written(self) -> object:
        """What stands behind the parameter's name in a search file."""
        if self.values:
            return list(self.values)
        return {**({"not": list(self.excluded)} if self.excluded else {}), **self.limits}


def met(when: Iterable[Condition], values: Mapping[str, Any]) -> bool:
    """Whether conditions hold, given the values of the parameters that count."""
    return all(
        condition.parameter in values and condition.holds(values[condition.parameter]) for condition in when
    )


class Conditional(Protocol):
    """What has a domain and conditions: a parameter."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def domain(self) -> Domain:
        """Its values."""

    @property
    def when(self) -> tuple[Condition, ...]:
        """Its conditions; all must hold."""


@dataclass(frozen=True)
class ConditionFault:
    """Why a condition makes no sense.

    Attributes:
        owner: Name of what has the condition.
        parameter: Name of the parameter it asks about.
        message: The rule and the value.
    """

    owner: str
    parameter: str
    message: str


def in_order(parameters: Sequence[Conditional]) -> tuple[list[int], list[int]]:
    """Positions of the parameters, each after those it depends on and else as given; and of those that depend
    on themselves.

    Conditions on unknown parameters are passed over.
    """
    places = {parameter.name: index for index, parameter in enumerate(parameters)}
    waits: list[int] = []
    children: dict[int, list[int]] = {}
    for index, parameter in enumerate(parameters):
        others = {condition.parameter for condition in parameter.when if condition.parameter in places}
        waits.append(len(others))
        for other in others:
            children.setdefault(places[other], []).append(index)
    ready = [index for index, count in enumerate(waits) if not count]
    order = []
    while ready:
        order.append(heapq.heappop(ready))
        for child in children.get(order[-1], ()):
            waits[child] -= 1
            if not waits[child]:
                heapq.heappush(ready, child)
    return order, [index for index, count in enumerate(waits) if count]


def condition_faults(
    parameters: Sequence[Conditional], others: Iterable[tuple[str, tuple[Condition, ...]]] = ()
) -> list[ConditionFault]:
    """Everything that is wrong with the conditions: unknown names, values that are never drawn, circles,
    contradictions.

    Args:
        parameters: All of the space.
        others: Name and conditions of what is no parameter: prompt templates.
    """
    known = {parameter.name: parameter for parameter in parameters}
    owners = [*((parameter.name, parameter.when) for parameter in parameters), *others]
    faults = []
    for name, when in owners:
        for condition in when:
            if condition.parameter not in known:
                message = (
                    f"{condition.parameter!r} is no parameter{nearest(condition.parameter, known)}; known are"
                    f" {', '.join(known)}"
                )
                faults.append(ConditionFault(name, condition.parameter, message))
            else:
                faults += [
                    ConditionFault(name, condition.parameter, message)
                    for message in _value_faults(condition, known[condition.parameter].domain)
                ]
    order, circle = in_order(parameters)
    if circle:
        names = ", ".join(parameters[index].name for index in circle)
        asked = parameters[circle[0]]
        first = next(condition.parameter for condition in asked.when)
        message = (
            f"{asked.name!r} depends on itself; these decide about each other: {names}; remove one of their"
            " conditions"
        )
        return [*faults, ConditionFault(asked.name, first, message)]
    return faults or _contradictions(known, [parameters[index].name for index in order], owners)


def _value_faults(condition: Condition, domain: Domain) -> list[str]:
    faults = []
    for value in (*condition.values, *condition.excluded):
        if not domain.contains(value):
            options = [option for option in domain.options if isinstance(option, str)]
            if isinstance(value, str):
                hint = nearest(value, options)
            else:
                hint = ""
            faults.append(
                f"{condition.parameter!r} is never {_shown(value)}{hint}; it is {domain.describe()}"
            )
    if condition.limits and not any(isinstance(option, int | float) for option in domain.options or (1,)):
        faults.append(
            f"{condition.parameter!r} has no numbers to compare with {', '.join(condition.limits)}; name its"
            " values"
        )
    elif not faults and not _possible(domain, [condition]):
        faults.append(f"can never hold: {condition.parameter!r} is {domain.describe()}")
    return faults


def _contradictions(
    known: Mapping[str, Conditional],
    order: Sequence[str],
    owners: Sequence[tuple[str, tuple[Condition, ...]]],
) -> list[ConditionFault]:
    """Conditions that can hold each alone, but not together with those of the parameters they ask about."""
    demands: dict[str, dict[str, list[Condition]]] = {}

    def asked(when: tuple[Condition, ...]) -> dict[str, list[Condition]]:
        together: dict[str, list[Condition]] = {}
        for condition in when:
            for one in (condition, *(c for asked in demands[condition.parameter].values() for c in asked)):
                found = together.setdefault(one.parameter, [])
                if one not in found:
                    found.append(one)
        return together

    faults = []
    whens = dict(owners)
    for name in [*order, *(name for name in whens if name not in known)]:
        demands[name] = together = asked(whens[name])
        for other, conditions in together.items():
            if not _possible(known[other].domain, conditions):
                message = (
                    f"can never hold, together with the conditions of {_names(whens[name])}: {other!r} would"
                    " have to be "
                )
                message += " and ".join(condition.demand for condition in conditions)
                faults.append(ConditionFault(name, whens[name][0].parameter, message))
                demands[name] = {}  # what depends on it has the same fault
                break
    return faults


def _meets(option: ParamValue, conditions: Sequence[Condition]) -> bool:
    return all(condition.holds(option) for condition in conditions)


def _possible(domain: Domain, conditions: Sequence[Condition]) -> bool:
    """Whether one value of the domain meets all conditions."""
    if KINDS[domain.kind].listed:
        return any(_meets(option, conditions) for option in domain.options)
    # a value that meets them all lies at a bound, or next to a number that a condition names
    named: list[float] = [*(domain.bounds or ())]
    for condition in conditions:
        named += condition.limits.values()
        named += [
            value for value in (*condition.values, *condition.excluded) if not isinstance(value, str | bool)
        ]
    step = domain.q or (1 if domain.whole else 0)
    near: list[float] = []
    for number in named:
        near.append(domain.nearest(number))
        if step:
            near += [domain.nearest(number - step), domain.nearest(number + step)]
        else:
            near += [math.nextafter(number, -math.inf), math.nextafter(number, math.inf)]
    for value in filter(math.isfinite, near):
        cleaned = domain.clean(value)
        if domain.contains(cleaned) and all(condition.holds(cleaned) for condition in conditions):
            return True
    return False


def _names(when: tuple[Condition, ...]) -> str:
    return ", ".join(dict.fromkeys(repr(condition.parameter) for condition in when))


def _shown(value: ParamValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
