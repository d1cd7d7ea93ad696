"""Results made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pixaris.results.objective import Objective
from pixaris.results.ranking import Failures
from pixaris.results.records import SearchResult
from pixaris.results.report import TrialReport
from pixaris.results.trial import TrialResult, TrialStatus
from pixaris.types import ParamValue


def trial_of(
    number: int,
    values: Mapping[str, ParamValue],
    item_scores: tuple[float | None, ...] = (),
    *,
    status: TrialStatus = "finished",
    items: int | None = None,
    **scores: float,
) -> TrialResult:
    """A trial whose objective is the mean of its item scores.

    Args:
        number: Its number.
        values: Its parameter set.
        item_scores: The objective per item.
        status: How it stands.
        items: Items done; by default those that have a score.
        scores: The means of all scores.
    """
    known = [score for score in item_scores if score is not None]
    mean = sum(known) / len(known) if known else None
    report = TrialReport(objectives=(mean,), items=len(known) if items is None else items, scores=scores)
    return TrialResult(number, values, status, report, item_scores, f"trial_{number:04d}")


def search_of(
    *trials: TrialResult,
    folder: Path = Path("restore"),
    objectives: tuple[Objective, ...] = (Objective("ssim", "max"),),
    items: tuple[str, ...] = (),
    failures: Failures = Failures(),  # noqa: B008  (a frozen value)
) -> SearchResult:
    """A finished search of these trials."""
    return SearchResult(folder.name, folder, "finished", objectives, trials, items, failures)
