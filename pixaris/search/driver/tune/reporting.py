"""A trial's report as Ray Tune passes it around: a dict with numbers for searchers and schedulers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ray.tune.result import TRAINING_ITERATION

from pixaris.results.report import REPORT, TIME, TrialReport, objective_keys


def as_result(report: TrialReport) -> dict[str, object]:
    """The report for Tune; an objective that no item has is NaN."""
    means = [math.nan if mean is None else mean for mean in report.objectives]
    numbers = dict(zip(objective_keys(len(means)), means, strict=True))
    return {**numbers, TIME: report.items, REPORT: report, "done": report.state != "running"}


def remembered_result(report: TrialReport) -> dict[str, object]:
    """The report as searchers and schedulers heard it in an earlier process, where Tune had added its
    count.
    """
    return {**as_result(report), TRAINING_ITERATION: report.items}


def report_of(result: Mapping[str, object] | None) -> TrialReport | None:
    """What a trial told; None where it told nothing."""
    report = (result or {}).get(REPORT)
    if isinstance(report, TrialReport):
        return report
    return None
