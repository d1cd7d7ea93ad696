"""A search by a Gaussian process, by the numbers of its trials: which is due, which is over. Needs no Ray.

It stands where the race's book stands: the same scheduler hands out the processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pixaris.results.report import Stop, TrialReport
from pixaris.search.algorithms.gp.guide import Guide, Turn
from pixaris.search.algorithms.race_book import Book, RacedScores


class GuidedBook(Book):
    """Keeps a guided search's trials by their numbers; a trial's number is its row in the guide's table.

    Images are decided on in an order of their own, and what comes next depends on the results of all but the
    last few of them, in that order: so many are in flight. What lands early waits. Two searches with one seed
    go alike, whatever the endpoints' speed.

    Args:
        guide: Says what comes next.
        scores: What it goes by.
        in_flight: Images under way at once.

    Attributes:
        guide: As given.
    """

    def __init__(self, guide: Guide, scores: RacedScores, in_flight: int) -> None:
        super().__init__()
        self.guide = guide
        self._scores = scores
        self._in_flight = in_flight
        self._known: set[int] = set()
        self._turns: list[Turn] = []
        # Results in the order in which they come; the guide hears them in the order in which they were asked
        # for.
        self._landed: dict[tuple[int, int], float | None] = {}
        self._fed = 0
        # How much the guide had been told when it last had nothing to give: it is not asked again with the
        # same.
        self._asked_in_vain = -1
        self._finished = False

    # Who takes part

    @property
    def living(self) -> list[int]:
        """Trials that are not over, in their order."""
        return sorted(self._known - self.over)

    @property
    def room(self) -> int:
        """How many sets may be proposed now: those that have a turn and no trial."""
        self._decide()
        wanted = max((turn.row for turn in self._turns), default=-1) + 1
        if self.exhausted:
            return 0
        return max(0, wanted - len(self._known))

    @property
    def ended(self) -> bool:
        """Whether no trial is under way and none will be."""
        self._decide()
        return not self.living and (self._finished or self.exhausted)

    def enter(self, number: int) -> None:
        """A trial takes part."""
        self._known.add(number)

    def start_without_more(self, *, last: bool) -> None:
        """No more sets are proposed, for now or (`last`) ever: then no image has a turn any more."""
        self.exhausted = self.exhausted or last
        if self.exhausted and not self._finished:
            self._finish("no more images are made")

    def needed(self) -> int:
        """Nothing: the guide counts the images itself."""
        return 0

    # How far they are

    def is_due(self, number: int) -> bool:
        """Whether a trial's next item has its turn."""
        return number not in self.over and self._turn_of(number) is not None

    def urgency(self, number: int) -> float:
        """The place of a trial's next turn."""
        place = self._turn_of(number)
        if place is None:
            return math.inf
        return place

    def _turn_of(self, number: int) -> int | None:
        wanted = Turn(number, self.items(number))
        for place in range(self._fed, len(self._turns)):
            if self._turns[place] == wanted:
                return place
        return None

    def upcoming(self) -> Iterator[tuple[int, int, bool]]:
        """Images that have their turn: a trial's number, how many items it has done before, and that it is
        certain.
        """
        for turn in self._turns[self._fed :]:
            if turn.row in self._known and turn.row not in self.over and turn.item >= self.items(turn.row):
                yield turn.row, turn.item, True

    # What they tell

    def hear(self, number: int, report: TrialReport, snapshot: bytes | None = None) -> None:
        """Take in what a trial told, and decide what follows from it."""
        if number in self.over:
            return
        before = self.items(number)
        self._keep(number, report, snapshot)
        row = self._scores.of(report)[0]
        for item in range(before, report.items):
            self._landed[number, item] = row[item]
        if report.is_over:
            # It ended early, so its other items will never land; without this their turns would be waited
            # for.
            if report.items < len(self._scores.order):
                self.guide.give_up(number)
            self._end(number, None)
        self._decide()

    def _leave(self, number: int) -> None:
        self.guide.give_up(number)
        self._decide()

    def _decide(self) -> None:
        """Give out as many turns as may be in flight."""
        # Before the next turn all but the last few results must be in: which ones does not depend on the
        # endpoints' speed, so the decision does not either.
        while not self._finished:
            # where it had nothing to give, it is asked again when it knows more
            needed = max(len(self._turns) - self._in_flight + 1, self._asked_in_vain + 1)
            if not self._feed(min(needed, len(self._turns))):
                return
            turn = self.guide.next()
            if turn is not None:
                self._turns.append(turn)
            # It may think otherwise when the images that are on their way have come.
            elif self._fed < len(self._turns):
                self._asked_in_vain = self._fed
            else:
                self._finish("the last images went to sets with better prospects")

    def _feed(self, count: int) -> bool:
        """Tell the guide of the first so many images; False while one of them is on its way."""
        while self._fed < count:
            turn = self._turns[self._fed]
            if not self._has_come(turn):
                return False
            self._fed += 1
            # A set that fell while its image was under way: whether that one came in time must change
            # nothing.
            if self._is_lost(turn.row):
                score = None
            else:
                score = self._landed.get((turn.row, turn.item))
            for row in self.guide.record(turn.row, turn.item, score):
                self._fall(row)
        return True

    def _has_come(self, turn: Turn) -> bool:
        return (turn.row, turn.item) in self._landed or turn.row in self.over

    def _is_lost(self, row: int) -> bool:
        """Whether a set's images count no more: it fell."""
        return row in self.guide.losses

    def _fall(self, row: int) -> None:
        # The guide knows sets that no trial has been made of yet.
        if row in self.over or row not in self._known:
            return
        loss = self.guide.losses[row]
        sign = self._scores.signs[0]
        stop = Stop("gp", self.items(row), loss.against, sign * loss.difference, loss.half_width)
        self._end(row, stop)

    def _finish(self, note: str) -> None:
        """End the sets that are under way.

        Args:
            note: Why their rest would be made in vain, or cannot be made.
        """
        self._finished = True
        best = self.guide.best()
        for number in self.living:
            if number in self._reports:
                self._end(number, self._leftover(number, best, note))
            else:
                # It has told nothing, so there is nothing to keep of it.
                self.over.add(number)

    def _leftover(self, number: int, best: int | None, note: str) -> Stop:
        if best is None or best == number:
            return Stop("gp", self.items(number), note=note)
        difference = self.guide.difference(number, best)
        if math.isnan(difference):
            return Stop("gp", self.items(number), best, note=note)
        return Stop("gp", self.items(number), best, self._scores.signs[0] * difference, note=note)

    def _estimates(self) -> Mapping[int, float]:
        sign = self._scores.signs[0]
        return {row: sign * float(mean) for row, mean in enumerate(self.guide.means())}
