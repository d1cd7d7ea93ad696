"""What charts draw: one search of a report, its sets with what they are measured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pixaris.report.charts.scale import Scale, of_domain
from pixaris.results.trial import TrialResult
from pixaris.statistics.intervals import MeanInterval
from pixaris.types import ParamValue


@dataclass(frozen=True)
class Measured:
    """A set as charts draw it.

    Attributes:
        place: The set's place in the report.
        trial: Its values and scores.
        gain: Its difference to the baseline, item by item; its mean where there is no baseline.
    """

    place: int
    trial: TrialResult
    gain: MeanInterval

    @property
    def values(self) -> Mapping[str, ParamValue]:
        """Parameter name to value."""
        return self.trial.values


@dataclass(frozen=True)
class Subject:
    """A search as charts draw it.

    Attributes:
        sets: Those that have a score.
        metric: Name of the leading score.
        higher_is_better: Its direction.
        whole: Items of the eval set.
        winner: Number of the best trial, or None.
        paired: Whether gains are differences to the baseline.
        space: Parameter name to its domain, as the manifest has it.
        importance: Parameter name to its share, the largest first; empty while it cannot be told.
        unknown: Why it cannot be told.
    """

    sets: Sequence[Measured]
    metric: str
    higher_is_better: bool
    whole: int
    winner: int | None
    paired: bool
    space: Mapping[str, Mapping[str, object]]
    importance: Mapping[str, float]
    unknown: str = ""

    @property
    def gain_label(self) -> str:
        """What the gain is, in words."""
        if self.paired:
            return f"change of {self.metric} against the baseline"
        return self.metric

    @cached_property
    def parameters(self) -> list[str]:
        """Names of the parameters that vary, the most important first."""
        names = dict.fromkeys([*self.importance, *(name for one in self.sets for name in one.values)])
        return [name for name in names if self._varies(name)]

    def _varies(self, name: str) -> bool:
        # By `repr`: 1 and True are equal, and lists have no hash.
        return len({repr(one.values.get(name)) for one in self.sets}) > 1

    def scale(self, name: str) -> Scale:
        """A parameter's axis."""
        values = [one.values[name] for one in self.sets if name in one.values]
        return of_domain(self.space.get(name, {}), values)

    def kind(self, trial: TrialResult) -> str:
        """ "winner", "baseline" or ""."""
        if trial.number == self.winner:
            return "winner"
        if trial.number == 0:
            return "baseline"
        return ""

    def is_whole(self, trial: TrialResult) -> bool:
        """Whether it went through all items."""
        return trial.items >= self.whole

    def better(self, one: float, other: float) -> bool:
        """Whether a gain is better than another."""
        if self.higher_is_better:
            return one > other
        return one < other
