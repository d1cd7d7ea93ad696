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
_MOST_STEPS = 1e14


@dataclass(frozen=True)
class Kind:
    """What the domains of one name have in common.

    Attributes:
        form: Its arguments, as they are written.
        listed: It lists its values; else it draws numbers.
        whole: Its values are whole numbers, and without steps `high` itself is never drawn.
        log: It is uniform on a log scale.
        stepped: It draws whole multiples of its step `q`, `high` among them.
        normal: It is a normal distribution, which has a mean and a spread instead of bounds.
    """

    form: str
    listed: bool = False
    whole: bool = False
    log: bool = False
    stepped: bool = False
    normal: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its numbers, in their order."""
        return (*(("mean", "sd") if self.normal else ("low", "high")), *(("q",) if self.stepped else ()))


KINDS: Mapping[str, Kind] = {
    "choice": Kind("[value, ...]", listed=True),
    "grid_search": Kind("[value, ...]", listed=True),
    "uniform": Kind("[low, high]"),
    "loguniform": Kind("[low, high]", log=True),
    "quniform": Kind("[low, high, q]", stepped=True),
    "qloguniform": Kind("[low, high, q]", log=True, stepped=True),
    "randn": Kind("[mean, sd]", normal=True),
    "qrandn": Kind("[mean, sd, q]", stepped=True, normal=True),
    "randint": Kind("[low, high]", whole=True),
    "qrandint": Kind("[low, high, q]", whole=True, stepped=True),
    "lograndint": Kind("[low, high]", whole=True, log=True),
    "qlograndint": Kind("[low, high, q]", whole=True, log=True, stepped=True),
    "constant": Kind("value", listed=True),
}
"""Every domain of Ray Tune under its own name, and ``constant``."""

SPREAD = 5.0
"""A normal distribution is taken to reach this many standard deviations: one draw in two million lies
beyond.
"""


@dataclass(frozen=True)
class Domain:
    """The values one parameter may take: exactly those that Ray Tune draws from the domain of the same name.

    Attributes:
        kind: A name of `KINDS`, which is Ray Tune's.
        low: Smallest value, for kinds with bounds; with whole steps the smallest multiple of `q`.
        high: Largest value, with whole steps the largest multiple of `q`; for randint and lograndint, and for
            a step of 1, the first value that is *not* drawn.
        q: Step: only its whole multiples are drawn.
        options: The values of choice and grid_search; the one value of constant.
        mean: Of randn and qrandn.
        sd: Standard deviation of randn and qrandn.

    Raises:
        ConfigurationError: All that is wrong with it.
    """

    kind: str
    low: float | None = None
    high: float | None = None
    q: float | None = None
    options: tuple[ParamValue, ...] = ()
    mean: float | None = None
    sd: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(
                f"{self.kind!r} is no domain{nearest(self.kind, KINDS)}; known are {', '.join(KINDS)}"
            )
        object.__setattr__(self, "options", tuple(self.options))
        if self._kind.listed:
            faults = _listed_faults(self)
        else:
            faults = _number_faults(self)
        if faults:
            raise ConfigurationError(faults, source=self.kind)
        whole = self._kind.whole or (
            self.q is not None and all(number == int(number) for number in self._numbers)
        )
        for name in () if self._kind.listed else self._kind.names:
            number = getattr(self, name)
            as_int = whole or (name == "q" and self._kind.normal and number == int(number))
            object.__setattr__(self, name, int(number) if as_int else float(number))
        if self.q is not None and not self._kind.normal:
            low, high = self._low / self.q, self._high / self.q
            if self._kind.whole:  # Tune draws the multiples between such bounds, wherever they lie
                low, high = -(-self._low // self.q), self._high // self.q
            object.__setattr__(self, "low", self._step(round(low)))
            object.__setattr__(self, "high", self._step(round(high)))

    @property
    def _kind(self) -> Kind:
        return KINDS[self.kind]

    @property
    def _numbers(self) -> list[float]:
        return [number for name in self._kind.names if (number := getattr(self, name)) is not None]

    @property
    def _low(self) -> float:
        assert self.low is not None
        return self.low

    @property
    def _high(self) -> float:
        assert self.high is not None
        return self.high

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value that is drawn (of a normal distribution: as good as ever); None for
        listed values.
        """
        if self._kind.listed:
            return None
        if self.mean is not None and self.sd is not None:
            low, high = self.mean - SPREAD * self.sd, self.mean + SPREAD * self.sd
            if self.q is None:
                return (low, high)
            return (self._step(round(low / self.q)), self._step(round(high / self.q)))
        return self._low, self._high - 1 if self._excludes_high else self._high

    @property
    def _excludes_high(self) -> bool:
        return self._kind.whole and self.q in (None, 1)

    @property
    def whole(self) -> bool:
        """Every value is a whole number (and a Python int)."""
        if self._kind.listed:
            return all(isinstance(option, int) and not isinstance(option, bool) for option in self.options)
        return self._kind.whole or isinstance(self.q, int)

    @property
    def first(self) -> ParamValue:
        """A value to start from: the first one listed, the lowest, or the mean's nearest."""
        if self._kind.listed:
            return self.options[0]
        if self.mean is None:
            return self._low
        return self.nearest(self.mean)

    def size(self) -> int | None:
        """How many values there are, or None for a domain without a list of them."""
        if self._kind.listed:
            return len(self.options)
        if self._kind.normal or not (self._kind.whole or self._kind.stepped):
            return None
        return round((self._high - self._low) / (self.q or 1)) + (0 if self._excludes_high else 1)

    def values(self) -> Sequence[ParamValue]:
        """Every value, in order.

        Raises:
            ConfigurationError: The domain is continuous, or has no bounds.
        """
        if self._kind.listed:
            return self.options
        size = self.size()
        if size is None:
            if self._kind.stepped:
                what = "has no bounds"
            else:
                what = "is continuous"
            raise ConfigurationError(
                f"{self.describe()} {what} and has no list of values; use quniform or choice"
            )
        if self.q is None:
            return range(int(self._low), int(self._low) + size)
        first = round(self._low / self.q)
        return tuple(self._step(first + index) for index in range(size))

    def contains(self, value: ParamValue) -> bool:
        """Whether the value can be drawn from the domain (multiples of a fractional step within rounding)."""
        if self._kind.listed:
            return any(same(value, option) for option in self.options)
        if isinstance(value, str | bool) or not math.isfinite(value):
            return False
        if self.q is not None:
            value_on_grid = self._nearest_step(value)
            if value_on_grid is None:
                return False
            value = value_on_grid
        elif self._kind.whole and value != int(value):
            return False
        return self._kind.normal or self._within(value)

    def _within(self, value: float) -> bool:
        return self._low <= value <= self._high - (1 if self._excludes_high else 0)

    def clean(self, value: ParamValue) -> ParamValue:
        """Give a value the form it always has: ints stay ints, and a multiple of a step has no rounding
        noise.

        The same parameter set must be the same text everywhere, because the cache goes by it.
        """
        if isinstance(value, str | bool) or self._kind.listed:
            return value
        if self.q is not None and (step := self._nearest_step(value)) is not None:
            return step
        if self._kind.whole and value == int(value):
            return int(value)
        return value

    def nearest(self, value: float) -> float:
        """The value of the domain that is nearest to a number: many a searcher draws what lies between the
        steps.
        """
        if self.q is not None:
            value = self._step(round(value / self.q))
        elif self._kind.whole:
            value = round(value)
        if self._kind.normal or self.bounds is None:
            return value
        lowest, highest = self.bounds
        return min(max(value, lowest), highest)

    def describe(self) -> str:
        """The domain as a person would write it: ``randint [1, 6]``."""
        return f"{self.kind} {_text(self.arguments())}"

    def arguments(self) -> Any:  # noqa: ANN401  (a list of values, or one value)
        """What stands behind the kind in a search file."""
        if self.kind == "constant":
            return self.options[0]
        if self._kind.listed:
            return list(self.options)
        return self._numbers

    def _step(self, index: int) -> float:
        assert self.q is not None
        value = index * self.q
        if isinstance(value, int):
            return value
        return float(f"{value:.15g}")

    def _nearest_step(self, value: float) -> float | None:
        assert self.q is not None
        if not math.isfinite(value) or not abs(value / self.q) < _LARGEST:
            return None
        step = self._step(round(value / self.q))
        if math.isclose(value, step, rel_tol=1e-9, abs_tol=1e-9 * self.q):
            return step
        return None


def _listed_faults(domain: Domain) -> list[str]:
    if not domain.options:
        return ["needs at least one value (got an empty list)"]
    if domain.kind == "constant" and len(domain.options) > 1:
        return [f"has one value (got {_text(domain.options)}); use choice"]
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


def _number_faults(domain: Domain) -> list[str]:
    kind, q = KINDS[domain.kind], domain.q
    if any(getattr(domain, name) is None for name in kind.names):
        return [f"needs {kind.form}"]
    if q is not None and not kind.stepped:
        return [f"has no step q (got {_text(q)}); {_stepped(domain.kind)} has"]
    numbers: list[float] = [getattr(domain, name) for name in kind.names]
    got = _text(numbers)
    if not all(-_LARGEST < number < _LARGEST for number in numbers):
        return [f"numbers must be finite (got {got})"]
    first, second = numbers[:2]
    faults = []
    if kind.whole and not all(number == int(number) for number in numbers):
        faults.append(f"takes whole numbers (got {got}); for fractions use {_fractional(domain.kind)}")
    elif kind.whole and max(map(abs, numbers)) >= _INT64:
        faults.append(f"bounds must fit into 64 bits (got {got})")
    if kind.normal:
        faults += [f"the standard deviation sd must be above 0 (got {_text(second)})"] if second <= 0 else []
        reach = abs(first) + SPREAD * abs(second)
        return faults + (_step_size_faults(q, reach, got) if q is not None else [])
    if first > second:
        faults.append(f"low must be below high (got {got}); swap them")
    elif first == second and not (kind.whole and q not in (None, 1)):
        if kind.whole and q in (None, 1):
            also = "; high itself is never drawn"
        else:
            also = ""
        faults.append(
            f"low must be below high (got {got}){also}; a fixed value belongs into generation_params"
        )
    if kind.log and first <= 0:
        faults.append(f"low must be above 0 on a log scale (got {_text(first)})")
    if q is not None:
        faults += _step_size_faults(q, max(abs(first), abs(second)), got) or _grid_faults(
            kind, first, second, q, got
        )
    return faults


def _step_size_faults(q: float, reach: float, got: str) -> list[str]:
    if q <= 0:
        return [f"the step q must be above 0 (got {_text(q)})"]
    if reach / _MOST_STEPS > q:
        return [f"the step q is too small for its bounds (got {got}); use uniform"]
    return []


def _grid_faults(kind: Kind, low: float, high: float, q: float, got: str) -> list[str]:
    if kind.whole:
        empty = low < high and -(-low // q) > high // q
        if empty:
            return [
                f"no multiple of the step q lies between low and high (got {got}); it would have no value"
            ]
        return []
    # Tune draws whole multiples of q, so that other bounds would never be reached (it refuses them)
    off = [
        bound
        for bound in (low, high)
        if not math.isclose(bound / q, round(bound / q), rel_tol=1e-9, abs_tol=1e-9)
    ]
    return [
        f"low and high must be multiples of the step q = {_text(q)} (got {_text(bound)})" for bound in off
    ]


def _stepped(kind: str) -> str:
    if f"q{kind}" in KINDS:
        return f"q{kind}"
    return "quniform"


def _fractional(kind: str) -> str:
    return kind.replace("randint", "uniform")


def same(one: ParamValue, other: ParamValue) -> bool:
    """Whether two values are one value: 1 and 1.0 are, 1 and True are not."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(inner) for inner in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    return str(value)
