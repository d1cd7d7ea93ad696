"""A race of sets, side by side, decided in item order.

All living sets get the next item, then comes a look. A look at n items knows the first n items of every set
and no more, whatever has landed meanwhile: two races over the same scores decide alike, in whatever order
they come. Sets come in waves. A wave's sets race against each other and against the best set so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pixaris.statistics.racing.bounds import Array
from pixaris.statistics.racing.look import Look, Loss, Rules
from pixaris.statistics.racing.table import adjusted_means, leader_of, mean_of_known


@dataclass(frozen=True)
class Fall:
    """A set that fell.

    Attributes:
        number: The set's.
        items: After how many items.
        against: The number of the set that it lost to; None where the budget made it fall.
        score: Which of the scores decided it.
        difference: Its mean paired difference to that set; negative is worse; None without one.
        half_width: Half of the 95 % interval of that difference over all items; None without one.
    """

    number: int
    items: int
    against: int | None = None
    score: int = 0
    difference: float | None = None
    half_width: float | None = None


@dataclass
class _Entrant:
    """A set in the race.

    Attributes:
        kept: Whether it never falls.
        scores: [scores, items].
        items: How many it has, failed ones included.
        wave: In which it races.
        out: Whether it fell, or left.
    """

    kept: bool
    scores: Array
    wave: int
    items: int = 0
    out: bool = False


@dataclass
class Race:
    """Decides which sets go on.

    Attributes:
        rules: When a set falls.
        affords: Items that may be run in all, or None. Sets fall, the worst first, where the next item for
            all of them would leave too few for the leader to be whole.
    """

    rules: Rules
    affords: int | None = None
    _entrants: dict[int, _Entrant] = field(default_factory=dict)
    _falls: dict[int, Fall] = field(default_factory=dict)
    _wave: int = 0
    _round: int = 0
    _closed: bool = False

    @property
    def falls(self) -> Mapping[int, Fall]:
        """The sets that fell, by number."""
        return self._falls

    @property
    def living(self) -> list[int]:
        """Sets that have items to run, in the order they came."""
        return [number for number, one in self._entrants.items() if self._lives(one)]

    @property
    def open(self) -> bool:
        """Whether sets may enter: the wave has not been closed yet."""
        return not self._closed

    @property
    def entered(self) -> int:
        """Sets of this wave."""
        return sum(one.wave == self._wave for one in self._entrants.values())

    def _lives(self, one: _Entrant) -> bool:
        return not one.out and one.items < self.rules.items

    def enter(self, number: int, *, kept: bool = False) -> None:
        """A set joins the wave.

        Args:
            number: Its number.
            kept: Whether it never falls: the baseline.
        """
        count = self.rules.objectives + len(self.rules.guards)
        scores = np.full((count, self.rules.items), np.nan)
        self._entrants[number] = _Entrant(kept, scores, self._wave)

    def close(self) -> None:
        """No more sets join the wave; it can be decided."""
        self._closed = True

    def record(self, number: int, scores: Sequence[Sequence[float | None]], items: int) -> None:
        """A set has run its first items.

        Args:
            number: Its number.
            scores: For each of the rules' scores its values in item order, larger is better; None for an
                item without one.
            items: How many items it has run.
        """
        entrant = self._entrants[number]
        entrant.items = items
        for row, values in zip(entrant.scores, scores, strict=True):
            row[:items] = [np.nan if value is None else value for value in values[:items]]

    def leave(self, number: int) -> None:
        """A set is over for reasons of its own: it takes part no longer."""
        self._entrants[number].out = True

    def may_run(self, number: int, ahead: int = 0) -> bool:
        """Whether a set may run its next item, so many items beyond the look that is next."""
        entrant = self._entrants[number]
        return self._lives(entrant) and entrant.items <= self._round + ahead

    def settle(self) -> list[Fall]:
        """Hold all looks that are due; the sets that fall by them."""
        fallen: list[Fall] = []
        while self._closed:
            living = self.living
            if not living:
                self._wave, self._round, self._closed = self._wave + 1, 0, False
                break
            # A look waits for the slowest set: decisions do not depend on what lands first.
            if any(self._entrants[number].items <= self._round for number in living):
                break
            self._round += 1
            fallen += self._look(living)
        return fallen

    def means(self) -> dict[int, float]:
        """Every set's mean, corrected for which items it has."""
        numbers = list(self._entrants)
        if numbers:
            adjusted = adjusted_means(self._table(self.rules.items)[0])
        else:
            adjusted = np.zeros(0)
        return dict(zip(numbers, map(float, adjusted), strict=True))

    def _table(self, items: int) -> Array:
        """Scores [scores, sets, items]; of this wave's sets the first items only."""
        table = np.stack([one.scores for one in self._entrants.values()], axis=1).copy()
        for place, one in enumerate(self._entrants.values()):
            if one.wave == self._wave:
                # What has landed beyond the look is not seen: the order of landing would decide.
                table[:, place, items:] = np.nan
        return table

    def _look(self, living: Sequence[int]) -> list[Fall]:
        numbers = list(self._entrants)
        table = self._table(self._round)
        scored = ~np.isnan(table[0]).all(axis=1)
        may_fall = [numbers.index(number) for number in living if not self._entrants[number].kept]
        may_lead = [
            place for place, number in enumerate(numbers) if scored[place] and not self._entrants[number].out
        ]
        baseline = next((place for place, one in enumerate(self._entrants.values()) if one.kept), None)
        losses = Look(table, self.rules).losses(may_fall, may_lead, baseline)
        falls = [self._fall(loss, numbers) for loss in losses]
        return [*falls, *self._unaffordable(table[0], numbers, may_lead)]

    def _fall(self, loss: Loss, numbers: Sequence[int]) -> Fall:
        return self._out(
            Fall(
                numbers[loss.row],
                self._round,
                numbers[loss.against],
                loss.score,
                loss.difference,
                loss.half_width,
            )
        )

    def _out(self, fall: Fall) -> Fall:
        self._entrants[fall.number].out = True
        self._falls[fall.number] = fall
        return fall

    def _unaffordable(self, scores: Array, numbers: Sequence[int], may_lead: Sequence[int]) -> list[Fall]:
        """The worst sets, as many as the budget does not pay the next item for and the leader's rest."""
        if self.affords is None:
            return []
        left = self.affords - sum(one.items for one in self._entrants.values())
        rest = self.rules.items - self._round
        living = [number for number in self.living if not self._entrants[number].kept]
        reserved = sum(rest for number in self.living if self._entrants[number].kept)
        # The leader is to be whole: it needs the rest of its items, of which the next one is counted with
        # the others'.
        most = max(1, left - reserved - (rest - 1))
        if len(living) <= most or not may_lead:
            return []
        leader = numbers[may_lead[leader_of(scores[list(may_lead)])]]
        relative = mean_of_known(scores - mean_of_known(scores[list(may_lead)], axis=0), axis=1)
        worst_first = sorted(
            (number for number in living if number != leader),
            # A set without any score is the worst; of equals the later one falls first.
            key=lambda number: (np.nan_to_num(relative[numbers.index(number)], nan=-np.inf), -number),
        )
        return [self._out(Fall(number, self._round)) for number in worst_first[: len(living) - most]]
