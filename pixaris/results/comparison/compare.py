"""Two runs over the same items: what differs between them, and whether the scores do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pixaris.results.comparison.scored import ScoredRun
from pixaris.results.verdict.words import counted
from pixaris.statistics.corrections import ALPHA, holm
from pixaris.statistics.paired import PairedDifference
from pixaris.types import Direction, ParamValue


@dataclass(frozen=True)
class ScoreChange:
    """One score of two runs, over the items that both have.

    Attributes:
        metric: The score's name.
        direction: What is better; None for what is only watched.
        difference: The second run's minus the first's.
        p: The difference's, corrected for all the scores and runs that are compared beside (Holm).
        changes: Item name to its difference, the worst first.
    """

    metric: str
    direction: Direction | None
    difference: PairedDifference
    p: float
    changes: Mapping[str, float]

    @property
    def is_evident(self) -> bool:
        """Whether it is more than luck."""
        return self.difference.low is not None and self.p <= ALPHA

    @property
    def is_better(self) -> bool:
        """Whether the difference has the sign that is wished."""
        return self.loss < 0.0

    @property
    def loss(self) -> float:
        """By how much the second run is worse on average."""
        return -self.sign * self.difference.mean

    @property
    def sign(self) -> float:
        """1 where more is better (or nothing is said), −1 where less is."""
        if self.direction == "min":
            return -1.0
        return 1.0

    def worst(self, count: int) -> list[tuple[str, float]]:
        """The items that lost, the worst first: name and difference."""
        return [(name, change) for name, change in self.changes.items() if self.sign * change < 0.0][:count]


@dataclass(frozen=True)
class Comparison:
    """A run held against another.

    Attributes:
        first: What it is held against.
        second: The run that is held against it.
        values: Parameter name to its value in the first and the second, where they differ; None where one has
            none.
        scores: One for each score that both have.
        problems: What makes them less comparable, a sentence each.
    """

    first: ScoredRun
    second: ScoredRun
    values: Mapping[str, tuple[ParamValue | None, ParamValue | None]]
    scores: tuple[ScoreChange, ...]
    problems: tuple[str, ...] = ()


def compare(first: ScoredRun, others: Sequence[ScoredRun]) -> list[Comparison]:
    """Hold runs against the first one."""
    found = [_pair(first, other) for other in others]
    # Over all scores of all runs: whoever compares twenty finds one below 5 % by luck.
    adjusted = iter(holm([change.p for one in found for change in one.scores]))
    corrected = []
    for one in found:
        scores = tuple(replace(change, p=next(adjusted)) for change in one.scores)
        corrected.append(replace(one, scores=scores))
    return corrected


def _pair(first: ScoredRun, second: ScoredRun) -> Comparison:
    names = dict.fromkeys([*first.values, *second.values])
    values = {name: (first.values.get(name), second.values.get(name)) for name in names}
    both = [name for name in first.scores if name in second.scores]
    differing = {name: pair for name, pair in values.items() if pair[0] != pair[1]}
    changes = (score_change(first, second, name) for name in both)
    scores = tuple(change for change in changes if change is not None)
    return Comparison(first, second, differing, scores, tuple(_problems(first, second)))


def score_change(first: ScoredRun, second: ScoredRun, metric: str) -> ScoreChange | None:
    """One score of two runs; None where no item has it in both."""
    before, after = first.scores.get(metric, {}), second.scores.get(metric, {})
    # Only where both have it: an item that failed in one says nothing of the difference.
    changes = {name: after[name] - before[name] for name in before if name in after}
    if not changes:
        return None
    direction = second.directions.get(metric) or first.directions.get(metric)
    if direction == "min":
        sign = -1.0
    else:
        sign = 1.0
    difference = PairedDifference.of(list(changes.values()))
    # Worst first, whichever direction is better.
    ordered = dict(sorted(changes.items(), key=lambda pair: sign * pair[1]))
    return ScoreChange(metric, direction, difference, difference.p, ordered)


def _problems(first: ScoredRun, second: ScoredRun) -> list[str]:
    found = []
    if first.eval_set and second.eval_set:
        common = [name for name in first.eval_set if name in second.eval_set]
        other = [name for name in common if first.eval_set[name] != second.eval_set[name]]
        if other:
            if len(other) == 1:
                which = "item of the same name has"
            else:
                which = "items of the same names have"
            found.append(f"{len(other)} {which} other images: {', '.join(other[:3])}")
    missing = set(first.items) ^ set(second.items)
    if missing:
        found.append(f"left out, because only one of them has it: {counted(len(missing), 'item')}")
    return found
