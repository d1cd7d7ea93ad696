"""Which sets and items show best what a search found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pixaris.report.model import Report, SetRow


@dataclass(frozen=True)
class Pair:
    """Two sets to look at side by side.

    Attributes:
        before: The baseline; where the baseline won, the best of the other sets.
        after: The winner.
        gains: Place of an item to by how much the winner is better there, of items that both have.
        shown: Those of them that have both images.
    """

    before: SetRow
    after: SetRow
    gains: Mapping[int, float]
    shown: tuple[int, ...]

    @property
    def best(self) -> int | None:
        """The item with the largest gain that can be shown."""
        return max(self.shown, key=lambda place: self.gains[place], default=None)

    @property
    def runner_up(self) -> bool:
        """Whether the winner is the baseline, and stands beside the best of the other sets."""
        return self.after.trial.number == 0

    def role(self, row: SetRow) -> str:
        """What a set is, in words."""
        if row is self.after:
            if self.runner_up:
                return "winner, the baseline"
            return "winner"
        if self.runner_up:
            return "runner-up"
        return "baseline"

    def chosen(self, most: int) -> tuple[list[int], str]:
        """Items that show the difference, the largest gain first, and how they were chosen.

        Half of them have the largest gains, a third the smallest (or largest losses), the rest lie between.
        """
        ordered = sorted(self.shown, key=lambda place: -self.gains[place])
        if len(ordered) <= most:
            return ordered, ""
        top, bottom = most - most // 2, most // 3
        between = most - top - bottom
        middle = len(ordered) // 2 - between // 2
        places = [*ordered[:top], *ordered[middle : middle + between], *ordered[len(ordered) - bottom :]]
        rule = f"{top} with the largest gains, {between} from the middle, {bottom} with the smallest"
        return places, f"{len(places)} of {len(ordered)} items: {rule}"


def pair_of(report: Report) -> Pair | None:
    """The winner beside the baseline, or the runner-up where the baseline won; None without two sets."""
    ranking = report.first.ranking
    baseline = report.first.result.baseline
    if not ranking or baseline is None or not report.metrics:
        return None
    winner = ranking[0]
    other = baseline if winner.number else next((trial for trial in ranking if trial.number), None)
    if other is None:
        return None
    rows = {row.trial.number: row for row in report.sets if row.search == 0}
    before, after = rows[other.number], rows[winner.number]
    gains = _gains(report, before, after)
    shown = tuple(place for place in gains if _has_image(before, place) and _has_image(after, place))
    return Pair(before, after, gains, shown)


def _gains(report: Report, before: SetRow, after: SetRow) -> dict[int, float]:
    metric = report.metrics[0]
    sign = -1.0 if report.first.result.direction == "min" else 1.0
    pairs = enumerate(zip(report.scores(before, metric), report.scores(after, metric), strict=True))
    return {place: sign * (b - a) for place, (a, b) in pairs if a is not None and b is not None}


def _has_image(row: SetRow, place: int) -> bool:
    cell = row.cells.get(place)
    return cell is not None and cell.source is not None
