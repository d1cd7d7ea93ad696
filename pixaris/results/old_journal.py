"""Reports as journals of versions before 0.2 hold them: flat keys, item scores of the last report only."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pixaris.results.foreign import ForeignError
from pixaris.results.report import OBJECTIVE, TIME, TrialReport, TrialState

_SCORES = "scores/"
LEADING = ""
"""Stands for the leading objective's name, which those journals did not write beside its item scores."""


def old_report(result: object) -> TrialReport:
    """A report from its old form.

    Raises:
        ForeignError: It is none.
    """
    if not isinstance(result, Mapping):
        raise ForeignError("a report must be an object")
    # They were written as objective, objective_1, …: there are never ten, so that text sorts like numbers.
    keys = [OBJECTIVE, *sorted(key for key in result if key.startswith(f"{OBJECTIVE}_"))]
    each = result.get("item_scores", ())
    scores = {key.removeprefix(_SCORES): each for key, each in result.items() if key.startswith(_SCORES)}
    row = {
        "objectives": [_number(result.get(key)) for key in keys],
        "items": result.get(TIME, 0),
        "failures": result.get("failures", 0),
        # Numbers that are none are left out, not refused: a metric may have failed on every item.
        "scores": {name: score for name, score in scores.items() if _number(score) is not None},
        "item_scores": {LEADING: _sparse(each)},
        "usage": {key: result[key] for key in ("seconds", "unaccounted", "cached") if key in result},
        "state": _state(result),
        "error": result.get("error", ""),
    }
    row["usage"]["cost"] = _number(result.get("cost"))
    return TrialReport.from_dict(row)


def _sparse(scores: object) -> dict[str, object]:
    """A list with a place for every item as index to score."""
    if not isinstance(scores, list | tuple):
        raise ForeignError("item_scores must be a list")
    return {str(index): score for index, score in enumerate(scores) if score is not None}


def _state(result: Mapping[str, object]) -> TrialState:
    if result.get("broken"):
        return "broken"
    if result.get("interrupted"):
        return "interrupted"
    if result.get("ended"):
        return "ended"
    return "running"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None  # JSON has no NaN; a number that is missing was one
    return value
