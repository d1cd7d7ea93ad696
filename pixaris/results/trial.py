"""A trial as a search's results have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from pixaris.files import read_json_lines
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.journal import History
from pixaris.results.paths import SearchPaths, trial_name
from pixaris.results.report import Stop, TrialReport, Usage
from pixaris.types import ParamValue
from pixaris.words import listed

TrialStatus: TypeAlias = Literal["running", "finished", "stopped", "interrupted", "failed"]


@dataclass(frozen=True)
class EvalItems:
    """What trials' item scores are of.

    Attributes:
        objective: Name of the leading objective.
        count: Items of the eval set.
        paths: The search's.
    """

    objective: str
    count: int
    paths: SearchPaths


@dataclass(frozen=True, repr=False)
class TrialResult:
    """One trial: one parameter set over the eval set, or over its first items.

    Attributes:
        number: 0 is the baseline.
        values: Parameter name to value.
        status: "stopped" if a scheduler ended it early.
        report: What it told last.
        item_scores: The leading objective per item, in the eval set's order; None where an item has none
            (yet).
        folder: Where its images and scores are.
        stop: Why it was stopped early, or None.
    """

    number: int
    values: Mapping[str, ParamValue]
    status: TrialStatus
    report: TrialReport = field(default_factory=TrialReport)
    item_scores: tuple[float | None, ...] = ()
    folder: str = ""
    stop: Stop | None = None

    def __repr__(self) -> str:
        if self.objective is None:
            score = "None"
        else:
            score = f"{self.objective:.4f}"
        return f"<{self.name} {self.status}, objective={score} on {self.scored} items, {listed(self.values)}>"

    @property
    def name(self) -> str:
        """``trial_0003``; also its folder's name."""
        return trial_name(self.number)

    @property
    def objective(self) -> float | None:
        """Mean of the leading objective over the items that have it, or None."""
        return self.report.objective

    @property
    def scores(self) -> Mapping[str, float]:
        """Score name to its mean."""
        return self.report.scores

    @property
    def items(self) -> int:
        """Items done, failed ones included."""
        return self.report.items

    @property
    def scored(self) -> int:
        """Items that have the objective."""
        return sum(score is not None for score in self.item_scores)

    @property
    def failures(self) -> int:
        """Items without an image or a score."""
        return self.report.failures

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.report.usage.seconds

    @property
    def cost(self) -> float | None:
        """Credits that its images were charged, or None where nothing was."""
        return self.report.usage.cost

    @property
    def unaccounted(self) -> int:
        """Requests that may have been charged besides: their answers were lost."""
        return self.report.usage.unaccounted

    @property
    def cached(self) -> int:
        """Images that were taken from the cache."""
        return self.report.usage.cached

    @property
    def error(self) -> str:
        """Why it failed, or ""."""
        return self.report.error

    def scores_of(self, metric: str) -> tuple[float | None, ...]:
        """A score per item, in the eval set's order; None where an item has none."""
        known = self.report.item_scores.get(metric, {})
        return tuple(known.get(index) for index in range(len(self.item_scores)))

    def as_dict(self) -> dict[str, object]:
        """Plain JSON values: a line of ``trials.jsonl``."""
        report = self.report.as_dict()
        return {
            "number": self.number,
            "name": self.name,
            "status": self.status,
            "values": dict(self.values),
            "objective": self.objective,
            "scores": report["scores"],
            "item_scores": list(self.item_scores),
            "items": self.items,
            "failures": self.failures,
            **report["usage"],
            "error": self.error,
            "folder": self.folder,
            "stop": None if self.stop is None else asdict(self.stop),
            "report": {key: report[key] for key in ("objectives", "item_scores", "state")},
        }

    @classmethod
    def of_report(
        cls,
        number: int,
        values: Mapping[str, ParamValue],
        status: TrialStatus,
        report: TrialReport,
        eval_items: EvalItems,
    ) -> TrialResult:
        """A trial by what it told last.

        Args:
            number: The trial's number.
            values: Its parameter set.
            status: How it stands.
            report: Its last report.
            eval_items: What its item scores are of, and where.
        """
        # Journals of before 0.2 have the leading score under "".
        known = report.item_scores.get(eval_items.objective, report.item_scores.get("", {}))
        each = tuple(known.get(index) for index in range(eval_items.count))
        folder = str(eval_items.paths.trial(number).folder)
        return cls(number, dict(values), status, report, each if known or report.items else (), folder)

    @classmethod
    def from_dict(cls, row: Mapping[str, object], folder: Path) -> TrialResult:
        """Read what `as_dict` wrote, also of versions before 0.2; keys of later versions are passed over.

        Args:
            row: A line of ``trials.jsonl``.
            folder: The search's folder.

        Raises:
            ForeignError: It is no such line.
        """
        known = read_as(_Line, row)
        # Last, so that what the report itself says wins over the line's plain columns, which are there for
        # people.
        more = known.report
        report = TrialReport.from_dict(
            {
                "objectives": (known.objective,),
                "items": known.items,
                "failures": known.failures,
                "scores": known.scores,
                "error": known.error,
                "usage": {key: row[key] for key in Usage.__dataclass_fields__ if key in row},
                **more,
            }
        )
        return cls(
            number=known.number,
            values=known.values,
            status=known.status,
            report=report,
            item_scores=known.item_scores,
            folder=str(SearchPaths(folder).trial(known.number).folder),
            stop=known.stop,
        )


@dataclass(frozen=True)
class _Line:
    """A line of ``trials.jsonl``."""

    number: int
    status: TrialStatus
    values: Mapping[str, ParamValue]
    objective: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    item_scores: tuple[float | None, ...] = ()
    items: int = 0
    failures: int = 0
    error: str = ""
    stop: Stop | None = None
    report: Mapping[str, object] = field(default_factory=dict)


def ended_trials(paths: SearchPaths) -> dict[int, TrialResult]:
    """Trials by number as a search has written them down: those that have ended, in whatever way, the last
    time they did.
    """
    found = {}
    preferences = read_preferences(paths)
    for row in read_json_lines(paths.trials):
        try:
            trial = TrialResult.from_dict(row, paths.folder)
        except ForeignError:
            continue  # a line of something else
        if preferences is not None:
            trial = replace(trial, report=preferences.told(trial.number, trial.report))
        # A trial that was resumed has several lines; the last counts.
        found[trial.number] = trial
    return found


def trials_of(eval_items: EvalItems, unfinished: TrialStatus) -> list[TrialResult]:
    """All trials of a search, also those that are under way, or were when it was killed."""
    paths = eval_items.paths
    found, history = ended_trials(paths), History.read(paths)
    for number, values in history.values.items():
        known = found.get(number)
        # The journal is written first. A process that was killed in between has told the end there alone; and
        # what another process has ended since is no longer interrupted.
        if number in history.over and (known is None or known.status == "interrupted"):
            found[number] = over_trial(history, number, eval_items)
        elif known is None or (known.status == "interrupted" and unfinished == "running"):
            report = history.latest.get(number, TrialReport())
            found[number] = TrialResult.of_report(number, values, unfinished, report, eval_items)
    return [found[number] for number in sorted(found)]


def over_trial(history: History, number: int, eval_items: EvalItems) -> TrialResult:
    """A trial that is over, as the journal has it."""
    report = history.over[number]
    # Stopped by the scheduler is the only other way to be over with a score.
    status: TrialStatus = "finished" if report.state == "ended" else "stopped"
    if report.objective is None or report.state == "failed":
        status = "failed"
    trial = TrialResult.of_report(number, history.values[number], status, report, eval_items)
    return replace(trial, stop=history.stops.get(number))
