"""Which search has the next turn, where several share the endpoints. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

Turn: TypeAlias = tuple[int, int]
"""Of a search; smaller goes first: slots that it has; when it was given the last one."""


class Slots:
    """The slots that searches have, of endpoints of one kind."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._latest: dict[str, int] = {}
        self._given = 0

    def give(self, search: str) -> None:
        """A search has one more."""
        self._given += 1
        self._held[search] += 1
        self._latest[search] = self._given

    def take(self, search: str) -> None:
        """A search has one less."""
        self._held[search] -= 1

    def turn(self, search: str) -> Turn:
        """Whose turn it is, where several wait."""
        return self._held[search], self._latest.get(search, 0)
