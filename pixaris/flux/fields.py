"""The fields of a Flux request: what each may be, checked before anything is sent. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal, TypeAlias

from pixaris.exceptions import nearest
from pixaris.types import ParamValue

FieldKind: TypeAlias = Literal["text", "integer", "number", "boolean", "ratio"]

_KINDS: dict[FieldKind, str] = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "ratio": "an aspect ratio such as 16:9",
}
_WIDEST = 21 / 9
_BEYOND = 2**64


class UnfitError(ValueError):
    """A value does not fit a field; the text is the rule and the value."""


@dataclass(frozen=True)
class Field:
    """One field that a number, a text or a truth value goes into.

    Attributes:
        name: As the API calls it.
        kind: What it takes. A ratio is text from ``21:9`` to ``9:21``.
        low: Smallest number, or None.
        high: Largest number, or None.
        multiple: Numbers are multiples of it, or None.
        options: The texts it takes; empty for any.
        default: What the API takes where it is left out, or None where that is nothing in particular.
        required: Whether a request without it is refused.
    """

    name: str
    kind: FieldKind
    low: float | None = None
    high: float | None = None
    multiple: int | None = None
    options: tuple[str, ...] = ()
    default: ParamValue | None = None
    required: bool = False

    def fit(self, value: ParamValue) -> ParamValue:
        """Turn a value into what is sent: a whole float becomes an int for a whole number, an int a float for
        a number.

        Raises:
            UnfitError: It does not fit.
        """
        if self.kind in ("integer", "number"):
            return self._number(value)
        if self.kind == "boolean":
            if not isinstance(value, bool):
                raise UnfitError(f"must be true or false (got {value!r})")
            return value
        if not isinstance(value, str):
            raise UnfitError(
                f"must be {_KINDS[self.kind]} (got"
                f" {value!r}){'; put it in quotes' if self.kind == 'text' else ''}"
            )
        if self.kind == "ratio":
            _check_ratio(value)
        if self.options and value not in self.options:
            raise UnfitError(
                f"must be one of {', '.join(self.options)} (got {value!r}){nearest(value, self.options)}"
            )
        if self.required and not value.strip():
            raise UnfitError("must not be empty")
        return value

    def describe(self) -> str:
        """What it takes, in a few words: ``a whole number from 15 to 50``."""
        if self.options:
            return f"one of {', '.join(self.options)}"
        bounds = ""
        if self.low is not None:
            bounds = f" from {self.low:g}" + (f" to {self.high:g}" if self.high is not None else "")
        return _KINDS[self.kind] + bounds + (f", a multiple of {self.multiple}" if self.multiple else "")

    def _number(self, value: ParamValue) -> int | float:
        if isinstance(value, bool | str) or not _is_finite(value):
            raise UnfitError(f"must be {_KINDS[self.kind]} (got {value!r})")
        if abs(value) >= _BEYOND:
            raise UnfitError(
                f"must fit into 64 bits (got about {'-' if value < 0 else ''}2**{math.log2(abs(value)):.0f})"
            )
        if self.kind == "integer" and value != int(value):
            raise UnfitError(f"must be a whole number (got {value!r})")
        if self.low is not None and value < self.low:
            raise UnfitError(f"must be at least {self.low:g} (got {value!r})")
        if self.high is not None and value > self.high:
            raise UnfitError(f"must be at most {self.high:g} (got {value!r})")
        if self.multiple and value % self.multiple:
            raise UnfitError(f"must be a multiple of {self.multiple} (got {value!r})")
        if self.kind == "integer":
            return int(value)
        return float(value)


@dataclass(frozen=True)
class ImageField:
    """One field that an image goes into.

    Attributes:
        name: As the API calls it.
        folder: The eval set's folder that feeds it: ``Input`` feeds it as the node titled "Load Input Image".
        required: Whether a request without it is refused.
        mask: It is a mask, sent in gray; it has the size of the first image.
        position: Its place in a field that takes a list of images, or None.
    """

    name: str
    folder: str
    required: bool = False
    mask: bool = False
    position: int | None = None

    @property
    def title(self) -> str:
        """The node title that feeds it."""
        return f"Load {self.folder} Image"

    def is_fed_by(self, title: str) -> bool:
        """Whether a node title means this field; case, spaces, ``_`` and ``-`` make no difference."""
        return _letters(title) in (_letters(self.title), _letters(f"Load {self.name} Image"))


def _is_finite(value: object) -> bool:
    # An integer is not made a float first: no float holds every integer.
    return isinstance(value, Integral) or (isinstance(value, Real) and math.isfinite(value))


def _letters(title: str) -> str:
    return re.sub(r"[\s_-]+", "", title).casefold()


def _check_ratio(value: str) -> None:
    match = re.fullmatch(r"([1-9]\d{0,4}):([1-9]\d{0,4})", value)
    if match is None:
        raise UnfitError(f"must be an aspect ratio such as '16:9', in quotes (got {value!r})")
    ratio = int(match[1]) / int(match[2])
    if not 1 / _WIDEST - 1e-9 <= ratio <= _WIDEST + 1e-9:
        raise UnfitError(f"must lie between 21:9 and 9:21 (got {value!r})")


def text(name: str, *options: str, default: str | None = None, required: bool = False) -> Field:
    """A field for text, any or one of the options."""
    return Field(name, "text", options=options, default=default, required=required)


def whole(
    name: str, low: int | None = None, high: int | None = None, default: int | None = None, multiple: int = 0
) -> Field:
    """A field for whole numbers."""
    return Field(name, "integer", low, high, multiple or None, default=default)


def number(name: str, low: float, high: float, default: float | None = None) -> Field:
    """A field for numbers."""
    return Field(name, "number", low, high, default=default)


def flag(name: str, default: bool) -> Field:
    """A field for true or false."""
    return Field(name, "boolean", default=default)


def ratio(default: str | None = None) -> Field:
    """The field ``aspect_ratio``."""
    return Field("aspect_ratio", "ratio", default=default)


def seed() -> Field:
    """The field ``seed``."""
    return whole("seed")
