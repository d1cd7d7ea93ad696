"""``votes.json``: what people's votes say of a search's sets, in place of what its trials told.

A trial is over before anybody has voted on it, so its preference is no fact of its own: it is fitted from all
votes there are, and again with every new one. This file has the latest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from pixaris.files import read_json, storing, write_json
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import SearchPaths
from pixaris.results.report import TrialReport
from pixaris.statistics.preference.davidson import Answer

_FARTHEST = 50.0
"""Logarithms beyond that are none that were fitted."""


@dataclass(frozen=True)
class Preferred:
    """How often people prefer a set to the baseline, a tie counting half.

    Attributes:
        rate: The expected share, between 0 and 1.
        low: Lower end of its 95 % interval.
        high: Upper end.
        best: Probability that no other set is better.
        votes: Votes that the set was in.
    """

    rate: float
    low: float
    high: float
    best: float = 0.0
    votes: int = 0

    @property
    def interval(self) -> tuple[float, float, float]:
        """Rate, lower and upper end."""
        return self.rate, self.low, self.high


@dataclass(frozen=True)
class Nearness:
    """Which sets share what votes say of them.

    Attributes:
        points: Number of a trial, as text, to where it lies in the unit cube of the parameters.
        categorical: Which dimensions have no order.
        lengths: Logarithm of the length scale of each dimension.
        scale: Logarithm of the variance that is shared.
        own: Logarithm of the variance that is each set's own.
    """

    points: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    categorical: tuple[bool, ...] = ()
    lengths: tuple[float, ...] = ()
    scale: float = 0.0
    own: float = 0.0

    @property
    def is_sound(self) -> bool:
        """Whether it can have been fitted: a file that somebody has edited may hold anything."""
        # What does not fit together would fail far from here, in the middle of a fit.
        dimensions = len(self.lengths)
        if not dimensions or len(self.categorical) != dimensions:
            return False
        if any(len(point) != dimensions for point in self.points.values()):
            return False
        if not all(number.isascii() and number.isdigit() for number in self.points):
            return False
        return max(map(abs, [*self.lengths, self.scale, self.own])) <= _FARTHEST


@dataclass(frozen=True)
class Said:
    """One vote.

    Attributes:
        first: Number of a trial.
        second: Of another one.
        answer: Which is better.
    """

    first: int
    second: int
    answer: Answer


@dataclass(frozen=True)
class Preferences:
    """What the votes say.

    Attributes:
        score: Name of the score.
        iteration: The feedback iteration that the sets are put up in.
        votes: How many there are.
        wanted: After how many the search ends.
        raters: How many people have voted.
        sets: Number of a trial, as text, to what is said of it.
        nearness: Which of them share that.
        said: The votes, in their order.
    """

    score: str
    iteration: str
    votes: int = 0
    wanted: int = 0
    raters: int = 0
    sets: Mapping[str, Preferred] = field(default_factory=dict)
    nearness: Nearness = Nearness()
    said: tuple[Said, ...] = ()

    def of(self, number: int) -> Preferred | None:
        """What is said of a trial; None of one that was not put up."""
        return self.sets.get(str(number))

    def told(self, number: int, report: TrialReport) -> TrialReport:
        """A trial's report with its preference as the votes have it now."""
        preferred = self.of(number)
        # A trial that has told nothing is not made one that has.
        if preferred is None or not report.objectives:
            return report
        scores = {**report.scores, self.score: preferred.rate}
        return replace(report, objectives=(preferred.rate, *report.objectives[1:]), scores=scores)


def keep_preferences(paths: SearchPaths, preferences: Preferences) -> None:
    """Keep what votes say.

    Raises:
        StorageError: That cannot be.
    """
    with storing(paths.folder):
        write_json(paths.votes, asdict(preferences), make_folder=False)


def read_preferences(paths: SearchPaths) -> Preferences | None:
    """What votes say of a search; None of one that none steer."""
    row = read_json(paths.votes)
    try:
        if row is None:
            return None
        return read_as(Preferences, row)
    except ForeignError:
        return None  # something else, or damaged: the next vote writes it anew
