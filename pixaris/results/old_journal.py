"""Reports as journals of versions before 0.2 hold them: flat keys, item scores of the last report only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pixaris.results.keys import OBJECTIVE, TIME
from pixaris.results.report import TrialReport, TrialState, Usage

_SCORES = "scores/"
LEADING = ""
"""Stands for the leading objective's name, which those journals did not write beside its item scores."""


def old_report(result: Mapping[str, Any]) -> TrialReport:
    """A report from its old form.

    Raises:
        TypeError, ValueError: It is none.
    """
    scores = {
        key.removeprefix(_SCORES): float(value) for key, value in result.items() if key.startswith(_SCORES)
    }
    keys = [OBJECTIVE, *sorted(key for key in result if key.startswith(f"{OBJECTIVE}_"))]
    each = enumerate(result.get("item_scores", ()))
    return TrialReport(
        objectives=tuple(_number(result.get(key)) for key in keys),
        items=int(result.get(TIME, 0)),
        failures=int(result.get("failures", 0)),
        scores=scores,
        item_scores={LEADING: {index: score for index, score in each if score is not None}},
        usage=Usage(
            float(result.get("seconds", 0.0)),
            _number(result.get("cost")),
            int(result.get("unaccounted", 0)),
            int(result.get("cached", 0)),
        ),
        state=_state(result),
        error=str(result.get("error", "")),
    )


def _state(result: Mapping[str, Any]) -> TrialState:
    if result.get("broken"):
        return "broken"
    if result.get("interrupted"):
        return "interrupted"
    return "ended" if result.get("ended") else "running"


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None  # JSON has no NaN; a number that is missing was one
    return value
