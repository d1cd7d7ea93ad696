"""What a search may spend, and what it has spent: values that travel and are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

Answer: TypeAlias = Literal["go", "wait", "no"]
"""Whether more may be started."""

UNITS: Mapping[str, str] = {
    "images": "images",
    "seconds": "seconds",
    "endpoint_seconds": "endpoint seconds",
    "credits": "credits",
}
"""Name of a limit to its unit in words."""


@dataclass(frozen=True)
class Amounts:
    """What a search has spent.

    Attributes:
        images: Images generated; those from a cache cost nothing.
        seconds: Wall time since the search was started.
        endpoint_seconds: Seconds that servers ran for images, added up.
        credits: What the endpoints' account was charged, in its unit.
    """

    images: int = 0
    seconds: float = 0.0
    endpoint_seconds: float = 0.0
    credits: float = 0.0


@dataclass(frozen=True)
class Budget:
    """What a search may spend; None is no limit. See `Amounts` for the units."""

    images: int | None = None
    seconds: float | None = None
    endpoint_seconds: float | None = None
    credits: float | None = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in self.as_dict().values())

    def as_dict(self) -> dict[str, float]:
        """The limits there are."""
        return {name: limit for name, limit in asdict(self).items() if limit is not None}

    def describe(self) -> str:
        """``600 images, 3600 seconds``."""
        return ", ".join(f"{limit:g} {UNITS[name]}" for name, limit in self.as_dict().items())

    def compare(self, spent: Amounts) -> str:
        """``images 120 of 600, credits 12.5 of 100``."""
        parts = (
            f"{UNITS[name]} {_short(getattr(spent, name))} of {limit:g}"
            for name, limit in self.as_dict().items()
        )
        return ", ".join(parts)


def _short(amount: float) -> str:
    if isinstance(amount, int):
        return str(amount)
    return f"{amount:.4g}"
