"""A narrower domain around values that proved good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pixaris.search.space.domain import KINDS, Domain
from pixaris.types import ParamValue

_BESIDE = 0.5
"""How much of the values' spread is added on each side of them …"""
_LEAST = 0.1
"""… and how much of the domain's at the least: the best may lie just outside of those that were tried."""


def around(domain: Domain, values: Sequence[ParamValue]) -> Domain:
    """The domain around some of its values; never wider than it was.

    Of listed values those that are named stay, in their order. Numbers keep the kind and the step of their
    domain; what a logarithmic domain draws is measured by its logarithm.

    Args:
        domain: What was searched.
        values: The best of it.
    """
    kind = KINDS[domain.kind]
    if kind.listed:
        kept = tuple(option for option in domain.options if option in values)
        return replace(domain, options=kept or domain.options)
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if not numbers:
        return domain
    if kind.normal:
        return _normal_around(domain, numbers)
    low, high = _range_around(domain, numbers)
    if not kind.whole:
        return replace(domain, low=low, high=high)
    past = 1 if domain.q in (None, 1) else 0  # the first value that is not drawn
    return replace(domain, low=math.floor(low), high=math.ceil(high) + past)


def _range_around(domain: Domain, numbers: Sequence[float]) -> tuple[float, float]:
    bounds = domain.bounds
    assert bounds is not None, "a domain of numbers has bounds"
    is_log = KINDS[domain.kind].log
    forward = math.log if is_log else float
    least, most = forward(bounds[0]), forward(bounds[1])
    low, high = forward(min(numbers)), forward(max(numbers))
    margin = max(_BESIDE * (high - low), _LEAST * (most - least))
    low, high = max(least, low - margin), min(most, high + margin)
    if is_log:
        low, high = math.exp(low), math.exp(high)
    low, high = (min(max(_short(number), bounds[0]), bounds[1]) for number in (low, high))
    if domain.q is None or (KINDS[domain.kind].whole and domain.q == 1):
        return low, high
    below, above = math.floor(low / domain.q) * domain.q, math.ceil(high / domain.q) * domain.q
    return max(_short(below), bounds[0]), min(_short(above), bounds[1])


def _normal_around(domain: Domain, numbers: Sequence[float]) -> Domain:
    assert domain.sd is not None, "a normal distribution has a spread"
    mean = math.fsum(numbers) / len(numbers)
    spread = max(numbers) - min(numbers)
    return replace(domain, mean=_short(mean), sd=_short(min(domain.sd, max(spread, domain.sd / 4))))


def _short(number: float) -> float:
    """A number as a person would write it."""
    return float(f"{number:.4g}")
