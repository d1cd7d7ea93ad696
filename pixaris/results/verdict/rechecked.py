"""What a re-check says of the winner: with new seeds on the same items, and on items that were held out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from pixaris.results.trial import TrialResult
from pixaris.results.verdict.base import Judged
from pixaris.results.verdict.words import interval
from pixaris.statistics.corrections import ALPHA, holm
from pixaris.statistics.paired import PairedDifference


@dataclass(frozen=True)
class Rechecked:
    """A search's winner and baseline in its re-check.

    Attributes:
        again: The re-check.
        winner: The search's winner, as the re-check has it.
        baseline: The baseline, as the re-check has it.
        seen: The items that the search has seen.
    """

    again: Judged
    winner: TrialResult
    baseline: TrialResult
    seen: frozenset[str]

    @classmethod
    def of(cls, search: Judged, winner: TrialResult) -> Rechecked | None:
        """What a search's re-check has of its winner; None without one that is done."""
        again = search.recheck
        if again is None or again.status != "finished":
            return None
        # By values: a re-check numbers its trials anew.
        found = next(
            (trial for trial in again.trials if trial.number and trial.values == winner.values), None
        )
        baseline = next((trial for trial in again.trials if trial.number == 0), None)
        if found is None or baseline is None:
            return None
        return cls(again, found, baseline, frozenset(search.items))

    @property
    def on_seen(self) -> PairedDifference | None:
        """The winner's gain with new seeds on the search's own items; None where these were not run again."""
        return self._difference(self.winner, self.baseline, self.seen)

    @property
    def on_held_out(self) -> PairedDifference | None:
        """Its gain on items that the search has not seen; None without any."""
        held_out = set(self.again.items) - self.seen
        return self._difference(self.winner, self.baseline, held_out)

    def better_ones(self, search: Judged) -> list[str]:
        """The sets that do better than the winner in the re-check, a sentence each."""
        names = {}
        # Backwards, so that of equal sets the first one's name stays.
        for trial in reversed(search.trials):
            names[tuple(trial.values.items())] = trial.name
        found = []
        for trial in self.again.trials:
            gain = self._difference(trial, self.winner, self.again.items)
            if trial.number not in (0, self.winner.number) and gain is not None and gain.low is not None:
                found.append((names.get(tuple(trial.values.items()), trial.name), gain))
        # Several sets are held against the winner, and one of them may look better by luck.
        adjusted = holm([gain.p for _, gain in found])
        if search.objectives[0].direction == "max":
            sign = 1.0
        else:
            sign = -1.0
        return [
            f"{name} does better than the winner in the re-check: {interval(gain)}."
            for (name, gain), p in zip(found, adjusted, strict=True)
            if p <= ALPHA and sign * gain.mean > 0.0
        ]

    def _difference(
        self, one: TrialResult, other: TrialResult, items: Collection[str]
    ) -> PairedDifference | None:
        pairs = zip(self.again.items, one.item_scores, other.item_scores, strict=False)
        found = [a - b for name, a, b in pairs if name in items and a is not None and b is not None]
        if found:
            return PairedDifference.of(found)
        return None
