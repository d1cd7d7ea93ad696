"""What a trial tells while it runs: one typed value from its process to journal, tracker and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, TypeAlias

from pixaris.files import JsonObject
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import trial_name

OBJECTIVE = "objective"
"""The key under which a trial tells Ray Tune what is optimised, or the leading one of several objectives."""

TIME = "items"
"""The key of what counts as a trial's time: the items it has done."""


def objective_keys(count: int) -> list[str]:
    """The keys of all objectives: `OBJECTIVE`, then ``objective_2``, ``objective_3``, …."""
    return [OBJECTIVE, *(f"{OBJECTIVE}_{number}" for number in range(2, count + 1))]


REPORT = "report"
"""The key of the whole `TrialReport`."""

TrialState: TypeAlias = Literal["running", "ended", "failed", "interrupted", "broken"]
"""Whether a trial goes on, went through its items, gave up because the rest would fail the same way, was
interrupted, or met an error of its own.
"""

ItemScores: TypeAlias = Mapping[str, Mapping[int, float]]
"""Score name to item index to score; an item without the score is left out."""


@dataclass(frozen=True)
class Usage:
    """What a trial's images took.

    Attributes:
        seconds: Wall time.
        cost: Credits that its images were charged, or None where nothing was.
        unaccounted: Requests that may have been charged besides: their answers were lost.
        cached: Images that were taken from the cache.
    """

    seconds: float = 0.0
    cost: float | None = None
    unaccounted: int = 0
    cached: int = 0


@dataclass(frozen=True)
class Stop:
    """Why a trial was stopped before its end.

    Attributes:
        by: What decided it: the scheduler's name, or "user".
        items: After how many items.
        against: Number of the trial that it was compared with, or None.
        difference: Its mean paired difference to that trial, on the objective's own scale, or None.
        half_width: Half of the 95 % interval of that difference over all items, or None.
        note: Anything else worth saying, in words.
    """

    by: str
    items: int
    against: int | None = None
    difference: float | None = None
    half_width: float | None = None
    note: str = ""

    def describe(self, items: int) -> str:
        """``stopped after 12 of 64 items: -0.041 ± 0.02 against trial_0007``.

        Args:
            items: Items of the eval set.
        """
        said = f"stopped after {self.items} of {items} items"
        if self.difference is not None and self.against is not None:
            said += f": {self.difference:+.3g}"
            # A guardrail and a spent budget have no interval.
            said += "" if self.half_width is None else f" ± {self.half_width:.2g}"
            said += f" against {trial_name(self.against)}"
        if self.note:
            return f"{said} ({self.note})"
        return said


@dataclass(frozen=True)
class TrialReport:
    """A trial as it stands after a step.

    Attributes:
        objectives: Means of the objectives over the items that have them, the leading one first; None
            where no item has it.
        items: Items done, failed ones included. They are the first ones of the search's item order.
        failures: Items without an image or a score.
        scores: Score name to its mean.
        item_scores: Every score of every item.
        usage: What its images took.
        state: Whether it goes on.
        error: Why it failed, or "".
        remarks: What is to be known of how its images were made, a sentence each.
    """

    objectives: tuple[float | None, ...] = ()
    items: int = 0
    failures: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    item_scores: ItemScores = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    state: TrialState = "running"
    error: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the trial itself has come to its end."""
        return self.state in ("ended", "failed")

    @property
    def objective(self) -> float | None:
        """The leading objective's mean."""
        if self.objectives:
            return self.objectives[0]
        return None

    def news(self, before: TrialReport | None) -> TrialReport:
        """The same with only those item scores that an earlier report of the trial did not have."""
        if before is None:
            return self
        fresh = {}
        for name, scores in self.item_scores.items():
            known = before.item_scores.get(name, {})
            # By value, not by index alone: a score that was corrected later is news.
            fresh[name] = {index: score for index, score in scores.items() if known.get(index) != score}
        return replace(self, item_scores=fresh)

    def after(self, before: TrialReport | None) -> TrialReport:
        """What `news` was made from, given the same earlier report."""
        if before is None:
            return self
        names = dict.fromkeys([*before.item_scores, *self.item_scores])
        merged = {
            name: {**before.item_scores.get(name, {}), **self.item_scores.get(name, {})} for name in names
        }
        return replace(self, item_scores=merged)

    def as_dict(self) -> JsonObject:
        """Plain JSON values; numbers come back exactly as they were."""
        row = asdict(self)
        row["item_scores"] = {}
        for name, scores in self.item_scores.items():
            row["item_scores"][name] = {str(index): score for index, score in sorted(scores.items())}
        return row

    @classmethod
    def from_dict(cls, row: object) -> TrialReport:
        """Read what `as_dict` wrote; keys of later versions are passed over.

        Raises:
            ForeignError: It is something else.
        """
        # JSON knows text keys only; they are numbers again below.
        report = read_as(cls, row, without=["item_scores"])
        if isinstance(row, Mapping):
            given = row.get("item_scores", {})
        else:
            given = {}
        return replace(report, item_scores=_item_scores(given))


def _item_scores(given: object) -> dict[str, dict[int, float]]:
    if not isinstance(given, Mapping):
        raise ForeignError("item_scores must be an object")
    found: dict[str, dict[int, float]] = {}
    for name, scores in given.items():
        row = read_as(_Scores, {"scores": scores}).scores
        if not all(index.isdigit() for index in row):
            raise ForeignError("item_scores must have numbers of items")
        found[str(name)] = {int(index): score for index, score in row.items()}
    return found


@dataclass(frozen=True)
class _Scores:
    scores: Mapping[str, float]
