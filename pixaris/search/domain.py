"""One parameter's domain, under Ray Tune's own names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.types import ParamValue

_INT64 = 2**63
_LARGEST = 1e300
_MOST_STEPS = 2**53


@dataclass(frozen=True)
class Kind:
    """What the domains of one name have in common.

    Attributes:
        form: Its arguments, as they are written.
        listed: It lists its values; else it has bounds.
        whole: Its values are whole numbers, and `high` itself is never drawn.
        log: It is uniform on a log scale.
        stepped: It has a step `q`.
    """

    form: str
    listed: bool = False
    whole: bool = False
    log: bool = False
    stepped: bool = False


KINDS: Mapping[str, Kind] = {
    "choice": Kind("[value, ...]", listed=True),
    "grid_search": Kind("[value, ...]", listed=True),
    "uniform": Kind("[low, high]"),
    "loguniform": Kind("[low, high]", log=True),
    "quniform": Kind("[low, high, q]", stepped=True),
    "randint": Kind("[low, high]", whole=True),
    "lograndint": Kind("[low, high]", whole=True, log=True),
}


@dataclass(frozen=True)
class Domain:
    """The values one parameter may take.

    Attributes:
        kind: A name of `KINDS`, which is Ray Tune's.
        low: Smallest value, for kinds with bounds.
        high: Largest value; for randint and lograndint the first value that is *not* drawn.
        q: Step of quniform.
        options: The values of choice and grid_search.

    Raises:
        ConfigurationError: All that is wrong with it.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    q: float | None = None
    options: tuple[ParamValue, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"{self.kind!r} is no domain{nearest(self.kind, KINDS)}; known are {', '.join(KINDS)}")
        object.__setattr__(self, "options", tuple(self.options))
        faults = _listed_faults(self) if self._kind.listed else _bounds_faults(self)
        if faults:
            raise ConfigurationError(faults, source=self.kind)
        if not self._kind.listed:
            numbers = [number for number in (self.low, self.high, self.q) if number is not None]
            whole = self._kind.whole or (self._kind.stepped and all(number == int(number) for number in numbers))
            for name in ("low", "high", "q"):
                if (number := getattr(self, name)) is not None:
                    object.__setattr__(self, name, int(number) if whole else float(number))

    @property
    def _kind(self) -> Kind:
        return KINDS[self.kind]

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value that is drawn; None for listed values."""
        if self.low is None or self.high is None:
            return None
        return self.low, self.high - 1 if self._kind.whole else self.high

    @property
    def whole(self) -> bool:
        """Every value is a whole number (and a Python int)."""
        if self._kind.listed:
            return all(isinstance(option, int) and not isinstance(option, bool) for option in self.options)
        return isinstance(self.low, int)

    def size(self) -> int | None:
        """How many values there are, or None for a continuous domain."""
        if self._kind.listed:
            return len(self.options)
        assert self.low is not None
        assert self.high is not None
        if self._kind.whole:
            return int(self.high - self.low)
        return None if self.q is None else round((self.high - self.low) / self.q) + 1

    def values(self) -> Sequence[ParamValue]:
        """Every value, in order.

        Raises:
            ConfigurationError: The domain is continuous.
        """
        if self._kind.listed:
            return self.options
        if self.q is not None:
            return tuple(self._step(index) for index in range(self.size() or 0))
        if not self._kind.whole:
            raise ConfigurationError(f"{self.describe()} is continuous and has no list of values; use quniform or choice")
        assert self.low is not None
        assert self.high is not None
        return range(int(self.low), int(self.high))

    def contains(self, value: ParamValue) -> bool:
        """Whether the value can be drawn from the domain (steps of quniform within rounding)."""
        if self._kind.listed:
            return any(_same(value, option) for option in self.options)
        if isinstance(value, str | bool) or self.bounds is None:
            return False
        lowest, highest = self.bounds
        if self.q is not None:
            return self._nearest_step(value) is not None
        return lowest <= value <= highest and (value == int(value) if self._kind.whole else True)

    def clean(self, value: ParamValue) -> ParamValue:
        """Give a value the form it always has: ints stay ints, and a step of quniform has no rounding noise.

        The same parameter set must be the same text everywhere, because the cache goes by it.
        """
        if isinstance(value, str | bool) or self._kind.listed:
            return value
        if self.q is not None and (step := self._nearest_step(value)) is not None:
            return step
        return int(value) if self._kind.whole and value == int(value) else value

    def describe(self) -> str:
        """The domain as a person would write it: ``randint [1, 6]``."""
        return f"{self.kind} {_text(self.arguments())}"

    def arguments(self) -> list[ParamValue]:
        """What stands behind the kind in a search file."""
        if self._kind.listed:
            return list(self.options)
        return [number for number in (self.low, self.high, self.q) if number is not None]

    def _step(self, index: int) -> float:
        assert self.low is not None
        assert self.q is not None
        value = self.low + index * self.q
        return value if isinstance(value, int) else float(f"{value:.12g}")

    def _nearest_step(self, value: float) -> float | None:
        assert self.low is not None
        assert self.q is not None
        if not math.isfinite(value):
            return None
        index = round((value - self.low) / self.q)
        step = self._step(index)
        return (
            step if 0 <= index < (self.size() or 0) and math.isclose(value, step, rel_tol=1e-9, abs_tol=1e-9 * self.q) else None
        )


def _listed_faults(domain: Domain) -> list[str]:
    if not domain.options:
        return ["needs at least one value (got an empty list)"]
    faults = []
    seen: set[tuple[bool, object]] = set()
    options: tuple[object, ...] = domain.options  # as a user gave them
    for option in options:
        if not isinstance(option, str | int | float):
            faults.append(f"values are text, numbers or booleans (got {_text(option)}); remove it")
        elif isinstance(option, float) and not math.isfinite(option):
            faults.append(f"numbers must be finite (got {option})")
        elif (key := (isinstance(option, bool), option)) in seen:  # True is no second 1
            faults.append(f"holds {_text(option)} twice; keep one of them")
        else:
            seen.add(key)
    return faults


def _bounds_faults(domain: Domain) -> list[str]:
    low, high, q, kind = domain.low, domain.high, domain.q, KINDS[domain.kind]
    if low is None or high is None or (kind.stepped and q is None):
        return [f"needs {kind.form}"]
    if q is not None and not kind.stepped:
        return [f"has no step q (got {_text(q)}); quniform has"]
    got = _text([low, high] if q is None else [low, high, q])
    if not all(-_LARGEST < number < _LARGEST for number in (low, high, q or 0)):
        return [f"numbers must be finite (got {got})"]
    faults = []
    if kind.whole and not (low == int(low) and high == int(high)):
        faults.append(f"takes whole numbers (got {got}); for fractions use {'loguniform' if kind.log else 'uniform'}")
    elif kind.whole and max(abs(low), abs(high)) >= _INT64:
        faults.append(f"bounds must fit into 64 bits (got {got})")
    if low > high:
        faults.append(f"low must be below high (got {got}); swap them")
    elif low == high:
        also = "; high itself is never drawn" if kind.whole else ""
        faults.append(f"low must be below high (got {got}){also}; a fixed value belongs into generation_params")
    if kind.log and low <= 0:
        faults.append(f"low must be above 0 on a log scale (got {_text(low)})")
    if q is not None:
        faults += _step_faults(low, high, q)
    return faults


def _step_faults(low: float, high: float, q: float) -> list[str]:
    if q <= 0:
        return [f"the step q must be above 0 (got {_text(q)})"]
    if max(abs(low), abs(high)) / _MOST_STEPS > q:
        return [f"the step q is too small for its bounds (got {_text([low, high, q])}); use uniform"]
    # Tune draws whole multiples of q, so that other bounds would never be reached (it refuses them)
    off = [bound for bound in (low, high) if not math.isclose(bound / q, round(bound / q), rel_tol=1e-9, abs_tol=1e-9)]
    return [f"low and high must be multiples of the step q = {_text(q)} (got {_text(bound)})" for bound in off]


def _same(one: ParamValue, other: ParamValue) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _text(value: Any) -> str:  # noqa: ANN401  (whatever a user wrote)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(inner) for inner in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
