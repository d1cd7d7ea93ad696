"""Differences and intervals as a verdict writes them: as many digits as they are sure of."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pixaris.results.paths import trial_name
from pixaris.statistics.intervals import MeanInterval

_DIGITS = 2
_MOST = 10
_PLAIN = 4


def signed(value: float, half: float | None) -> str:
    """A difference, rounded to the second digit of half its interval."""
    text = f"{value:+.{_decimals(half)}f}"
    if float(text) != 0.0:
        return text
    # A zero that was rounded from below would read as a loss.
    return text.replace("-", "+")


def interval(found: MeanInterval) -> str:
    """``+0.100 (95 %: +0.055 … +0.145)``; without an interval the mean alone."""
    mean = signed(found.mean, found.half)
    if found.low is None or found.high is None:
        return mean
    return f"{mean} (95 %: {signed(found.low, found.half)} … {signed(found.high, found.half)})"


def names(numbers: Sequence[int], most: int = 3) -> str:
    """``trial_0012, trial_0003 and 4 more``."""
    shown = [trial_name(number) for number in numbers[:most]]
    more = len(numbers) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def counted(count: int, noun: str) -> str:
    """``1 item``, ``2 items``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _decimals(half: float | None) -> int:
    if half is None or half <= 0.0 or not math.isfinite(half):
        return _PLAIN
    # Two digits of half the interval: more would be noise.
    return min(_MOST, max(0, _DIGITS - 1 - math.floor(math.log10(half))))
