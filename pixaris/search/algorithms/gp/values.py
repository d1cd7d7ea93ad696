"""Parameter sets as points of a unit cube, and back. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from pixaris.search.algorithms.gp.cube import Cube, Dimension, Point
from pixaris.search.space.domain import KINDS, Domain, same
from pixaris.search.space.space import Space
from pixaris.types import ParamValue

_NORMAL = NormalDist()
_MOST_LEVELS = 200
"""A parameter of more values is taken for a continuous one."""
_UNKNOWN = 0.5 + 1e-9
"""In the middle, and the place of no value: else that value would count as tried."""


class ValueCube:
    """A space's varying parameters as dimensions.

    Numbers that are listed, or come in even steps, count by their rank. Continuous ones, and those on a log
    scale, lie where their domain draws them evenly: on a log scale by their logarithm, of a normal
    distribution by its quantile. Other values are categories.

    Args:
        space: Without conditions.
    """

    def __init__(self, space: Space) -> None:
        self._domains = {parameter.name: parameter.domain for parameter in space.varying}
        self._ranked = {name: _ranked(domain) for name, domain in self._domains.items()}
        dimensions = tuple(self._dimension(name) for name in self._domains)
        self.cube = Cube(dimensions, self._canonical)

    def _dimension(self, name: str) -> Dimension:
        ranked, domain = self._ranked[name], self._domains[name]
        if not ranked:
            return Dimension()
        ordered = all(_is_number(value) for value in ranked)
        return Dimension(len(ranked), categorical=KINDS[domain.kind].listed and not ordered)

    def values(self, point: Point) -> dict[str, ParamValue]:
        """The parameter set at a point."""
        found = {}
        for name, at in zip(self._domains, point, strict=True):
            ranked = self._ranked[name]
            if ranked:
                found[name] = ranked[round(at * (len(ranked) - 1))]
            else:
                domain = self._domains[name]
                found[name] = domain.clean(domain.nearest(_drawn(domain, at)))
        return found

    def point(self, values: Mapping[str, ParamValue]) -> Point:
        """Where a parameter set lies; a value outside of its domain at the nearest end, one that nobody knows
        (of a baseline whose generator does not tell it) in the middle, where no set lies.
        """
        places = []
        for name in self._domains:
            places.append(self._place(name, values[name]) if name in values else _UNKNOWN)
        return tuple(places)

    def _place(self, name: str, value: ParamValue) -> float:
        ranked, domain = self._ranked[name], self._domains[name]
        if not ranked:
            return _quantile(domain, float(value))
        last = max(1, len(ranked) - 1)
        for place, one in enumerate(ranked):
            if same(one, value):
                return place / last
        if _is_number(value) and all(_is_number(one) for one in ranked):
            nearest = min(range(len(ranked)), key=lambda place: abs(float(ranked[place]) - float(value)))
            return nearest / last
        return 0.0

    def _canonical(self, point: Point) -> Point:
        return self.point(self.values(point))


def _is_number(value: ParamValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ranked(domain: Domain) -> list[ParamValue]:
    """The values of a domain in their order; none of one that counts as continuous."""
    kind = KINDS[domain.kind]
    size = domain.size()
    if kind.listed:
        numbers = [value for value in domain.options if _is_number(value)]
        if len(numbers) == len(domain.options):
            return sorted(numbers, key=float)
        return list(domain.options)
    # On a log scale equal steps of rank would not be equal steps of effect.
    if kind.log or size is None or size > _MOST_LEVELS:
        return []
    return list(domain.values())


def _drawn(domain: Domain, at: float) -> float:
    """What a domain draws for a uniform draw."""
    if domain.mean is not None and domain.sd is not None:
        # The ends 0 and 1 are infinitely far out.
        return domain.mean + domain.sd * _NORMAL.inv_cdf(min(max(at, 1e-6), 1 - 1e-6))
    assert domain.bounds is not None
    low, high = domain.bounds
    if KINDS[domain.kind].log:
        return math.exp(math.log(low) + at * (math.log(high) - math.log(low)))
    return low + at * (high - low)


def _quantile(domain: Domain, value: float) -> float:
    """The uniform draw that a domain makes a value of."""
    if domain.mean is not None and domain.sd is not None:
        return _NORMAL.cdf((value - domain.mean) / domain.sd)
    assert domain.bounds is not None
    low, high = domain.bounds
    # A baseline's own value may lie outside of what is searched.
    inside = min(max(value, low), high)
    if high == low:
        return 0.0
    if KINDS[domain.kind].log:
        return math.log(inside / low) / math.log(high / low)
    return (inside - low) / (high - low)
