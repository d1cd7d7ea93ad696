"""Trials as a table for pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pixaris.results.trial import TrialResult

if TYPE_CHECKING:
    import pandas

_FACTS = ("number", "name", "status", "objective", "items", "scored", "failures", "seconds", "error")


def trials_table(trials: Sequence[TrialResult], items: int) -> pandas.DataFrame:
    """As `SearchResult.table`.

    Args:
        trials: One row each.
        items: Items of the eval set.
    """
    import pandas  # half a second, which a search does without

    columns: dict[str, list[object]] = {}
    for fact in _FACTS:
        columns[fact] = [getattr(trial, fact) for trial in trials]
    columns["stopped"] = [trial.stop and trial.stop.describe(items) for trial in trials]
    for name in dict.fromkeys(name for trial in trials for name in trial.values):
        columns[f"parameters.{name}"] = [trial.values.get(name) for trial in trials]
    for name in dict.fromkeys(name for trial in trials for name in trial.scores):
        columns[f"scores.{name}"] = [trial.scores.get(name) for trial in trials]
    return pandas.DataFrame(columns).set_index("number")
