"""The keys under which a trial reports to Ray Tune's searchers and schedulers."""

from __future__ import annotations

OBJECTIVE = "objective"
"""What is optimised, or the leading one of several objectives."""

TIME = "items"
"""What counts as a trial's time: the items it has done."""


def objective_keys(count: int) -> list[str]:
    """The keys of all objectives: `OBJECTIVE`, then ``objective_2``, ``objective_3``, …."""
    return [OBJECTIVE, *(f"{OBJECTIVE}_{number}" for number in range(2, count + 1))]


REPORT = "report"
"""The whole `pixaris.results.report.TrialReport`."""
