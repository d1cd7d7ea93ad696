"""A race by the numbers of its sets: who takes part, who is due, who is over and why. Needs no Ray."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pixaris.results.report import Stop, TrialReport
from pixaris.statistics.racing.race import Fall, Race


@dataclass(frozen=True)
class RacedScores:
    """Which of a trial's scores race, and in which order its items come.

    Attributes:
        names: The objectives, then the guards' scores.
        signs: 1 where a higher score is better, else -1; for each name.
        order: Item indices as every trial goes through them.
        worst: What the leading score of an item counts that has none; None leaves it out.
    """

    names: tuple[str, ...]
    signs: tuple[float, ...]
    order: tuple[int, ...]
    worst: float | None = None

    def of(self, report: TrialReport) -> list[list[float | None]]:
        """A trial's scores in item order, larger is better; for each name."""
        done = self.order[: report.items]
        rows: list[list[float | None]] = []
        for name, sign in zip(self.names, self.signs, strict=True):
            known = report.item_scores.get(name, {})
            rows.append([sign * known[index] if index in known else None for index in done])
        if self.worst is not None:
            bound = self.signs[0] * self.worst
            # Only the leading score: guards are about scores that exist.
            rows[0] = [bound if score is None else score for score in rows[0]]
        return rows


@dataclass(frozen=True)
class Field:
    """How many sets race at once.

    Attributes:
        side_by_side: Sets of a wave: all of them where they are known from the start, some where the searcher
            learns from those before.
        limit: Sets of the whole search, or None.
    """

    side_by_side: int
    limit: int | None


@dataclass(frozen=True)
class Over:
    """A trial that the race is through with, or one as it stands.

    Attributes:
        number: The trial's.
        report: What it told last.
        snapshot: What another process needs to go on with it, or None.
        stop: Why it was stopped, or None where it was not.
        estimate: Its objective as it would be over all items, on the objective's own scale; None without a
            score.
    """

    number: int
    report: TrialReport
    snapshot: bytes | None
    stop: Stop | None
    estimate: float | None = None


class Book(ABC):
    """Keeps the trials that share a few processes, by their numbers: the scheduler asks it who is due.

    It lives in the driver's main thread, and is told of everything in one order.

    Attributes:
        over: Numbers of the trials that it is through with.
        exhausted: Whether no set will be proposed any more.
    """

    def __init__(self) -> None:
        self._reports: dict[int, TrialReport] = {}
        self._snapshots: dict[int, bytes] = {}
        self._told: list[Over] = []
        self.over: set[int] = set()
        self.exhausted = False

    @property
    @abstractmethod
    def living(self) -> list[int]:
        """Trials that are not over, in the order they came."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many sets may be proposed now."""

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether no trial is under way and none will be."""

    @abstractmethod
    def enter(self, number: int) -> None:
        """A trial takes part."""

    @abstractmethod
    def start_without_more(self, *, last: bool) -> None:
        """Begin with the sets there are: for now no more are proposed.

        Args:
            last: Or ever.
        """

    @abstractmethod
    def needed(self) -> int:
        """Items that have to be run at least to end what has begun."""

    @abstractmethod
    def is_due(self, number: int) -> bool:
        """Whether a trial's next item is to be run now."""

    @abstractmethod
    def urgency(self, number: int) -> float:
        """Whose turn it is first: of those that are due the one with the smallest."""

    @abstractmethod
    def upcoming(self) -> Iterator[tuple[int, int, bool]]:
        """Items that will be run next, the most urgent first: a trial's number, how many it has done, and
        whether it is certain to be run.
        """

    @abstractmethod
    def hear(self, number: int, report: TrialReport, snapshot: bytes | None = None) -> None:
        """Take in what a trial told, and decide what follows from it."""

    def withdraw(self, number: int, stop: Stop | None = None) -> None:
        """A trial is over, whatever is thought of it here.

        Args:
            number: The trial's.
            stop: Why, where that is to be told: somebody has rejected it. Then it must have reported.
        """
        # A trial that has told nothing has no report to end with; it is withdrawn once it has.
        if number in self.over or (stop is not None and number not in self._reports):
            return
        if stop is None:
            self.over.add(number)
        else:
            self._end(number, stop)
        self._leave(number)

    @abstractmethod
    def _leave(self, number: int) -> None:
        """Go on without a trial that was withdrawn."""

    @abstractmethod
    def _estimates(self) -> Mapping[int, float]:
        """Number to the mean that a trial would have over all items; NaN without any."""

    def items(self, number: int) -> int:
        """How many items a trial has reported."""
        report = self._reports.get(number)
        if report is None:
            return 0
        return report.items

    def snapshot(self, number: int) -> bytes | None:
        """What another process needs to go on with a trial."""
        return self._snapshots.get(number)

    def take_over(self) -> list[Over]:
        """The trials that are over since this was asked last."""
        if not self._told:
            return []
        told, self._told = self._told, []
        # Once for all that fell at a look: the fit goes over every score there is.
        means = self._estimates()
        return [replace(one, estimate=_known(means.get(one.number, math.nan))) for one in told]

    def unfinished(self) -> list[Over]:
        """The trials that are under way and have told something, as they stand."""
        kept = [number for number in self.living if number in self._snapshots]
        return [Over(number, self._reports[number], self._snapshots[number], None) for number in kept]

    def _keep(self, number: int, report: TrialReport, snapshot: bytes | None) -> None:
        self._reports[number] = report
        if snapshot is not None:
            self._snapshots[number] = snapshot

    def _end(self, number: int, stop: Stop | None) -> None:
        self.over.add(number)
        self._told.append(Over(number, self._reports[number], self._snapshots.pop(number, None), stop))


def _known(mean: float) -> float | None:
    if math.isnan(mean):
        return None
    return mean


class RaceBook(Book):
    """Keeps a race's trials by their numbers.

    Args:
        race: Decides.
        scores: What it decides by.
        field: How many sets race at once.
    """

    def __init__(self, race: Race, scores: RacedScores, field: Field) -> None:
        super().__init__()
        self._race = race
        self._scores = scores
        self._field = field
        self._known: set[int] = set()

    # Who takes part

    @property
    def living(self) -> list[int]:
        """Sets that have items to run, in the order they came."""
        return self._race.living

    @property
    def room(self) -> int:
        """How many sets may be proposed now."""
        # A wave that has begun takes nobody in: whoever came later would be compared over fewer items.
        if not self._race.open or self.exhausted:
            return 0
        return max(0, self._field.side_by_side - self._race.entered)

    @property
    def ended(self) -> bool:
        """Whether no set races and none will."""
        full = self._field.limit is not None and len(self._known) >= self._field.limit
        return not self.living and (self.exhausted or full)

    def enter(self, number: int) -> None:
        """A set takes part; the last one of a wave closes it."""
        if number in self._known:
            return
        self._known.add(number)
        # The baseline runs to its end whatever happens: everything is compared with it.
        self._race.enter(number, kept=number == 0)
        last = self._field.limit is not None and number + 1 >= self._field.limit
        if last or self._race.entered >= self._field.side_by_side:
            self._race.close()

    def start_without_more(self, *, last: bool) -> None:
        """Begin with the sets there are: for now no more are proposed.

        Args:
            last: Or ever.
        """
        self.exhausted = self.exhausted or last
        if self._race.entered:
            self._race.close()
            self._settle()

    def needed(self) -> int:
        """Items that have to be run at least to end what has begun: one of every living set, and all of the
        leader's.
        """
        most = max(map(self.items, self.living), default=0)
        # The one item of every living set has been counted for the leader too.
        rest = len(self._scores.order) - most - 1
        if self.living:
            return len(self.living) + max(0, rest)
        return 0

    # How far they are

    def is_due(self, number: int) -> bool:
        """Whether a set's next item is to be run before the next look."""
        return self._race.may_run(number)

    def urgency(self, number: int) -> float:
        """How many items a set has done."""
        return self.items(number)

    def upcoming(self) -> Iterator[tuple[int, int, bool]]:
        """Items that will be run next, the most urgent first: a set's number, how many it has done, and
        whether it is certain to be run. The others are those of the sets that stand best.
        """
        living = self.living
        due = [number for number in living if self.is_due(number)]
        for number in sorted(due, key=self.items):
            yield number, self.items(number), True
        means = self._race.means()
        for number in sorted(living, key=lambda one: -float(np.nan_to_num(means[one]))):
            following = self.items(number) + int(number in due)
            if 0 < following < len(self._scores.order):
                yield number, following, False

    # What they tell

    def hear(self, number: int, report: TrialReport, snapshot: bytes | None = None) -> None:
        """Take in what a trial told, and decide what follows from it."""
        if number in self.over:
            return
        self._keep(number, report, snapshot)
        self._race.record(number, self._scores.of(report), report.items)
        if report.is_over:
            if report.items < len(self._scores.order):
                # It failed, or was ended from outside: the others must not wait for its items at the next
                # look.
                self._race.leave(number)
            self._end(number, None)
        self._settle()

    def _leave(self, number: int) -> None:
        self._race.leave(number)
        self._settle()

    def _settle(self) -> None:
        for fall in self._race.settle():
            self._end(fall.number, self._stop(fall))

    def _stop(self, fall: Fall) -> Stop:
        if fall.against is None or fall.difference is None:
            return Stop("race", fall.items, note="the budget pays for no more sets to the end")
        name, sign = self._scores.names[fall.score], self._scores.signs[fall.score]
        guarded = fall.score >= self._race.rules.objectives
        if guarded:
            note = f"{name} is worse than the baseline's by more than is allowed"
        else:
            note = ""
        return Stop("race", fall.items, fall.against, sign * fall.difference, fall.half_width, note)

    def _estimates(self) -> Mapping[int, float]:
        sign = self._scores.signs[0]
        return {number: sign * mean for number, mean in self._race.means().items()}
