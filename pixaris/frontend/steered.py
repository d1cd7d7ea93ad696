"""What the page knows of a search that votes steer: which of its sets are near each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pixaris.feedback_handlers.base import Iteration
from pixaris.files import safe_name
from pixaris.results.evidence.preferences import Nearness, read_preferences
from pixaris.results.paths import SearchPaths
from pixaris.search.steering.settings import searches_of
from pixaris.statistics.preference.davidson import Array
from pixaris.statistics.preference.utility import Hyperparameters, prior_of


def shared_prior(results: Path, iteration: Iteration) -> Array | None:
    """How far an iteration's runs share what votes say of them [runs × runs].

    Args:
        results: The results folder.
        iteration: The iteration, with its images.

    Returns:
        None unless all its runs are of one search, which votes steer, and lies in the folder.
    """
    searches = searches_of(iteration.runs)
    if len(searches) != 1:
        return None
    (search,) = searches
    preferences = read_preferences(
        SearchPaths(results / safe_name(iteration.key.project) / safe_name(search))
    )
    if preferences is None or preferences.iteration != iteration.key.name:
        return None
    return _prior(preferences.nearness, iteration.runs)


def _prior(nearness: Nearness, runs: list[str]) -> Array | None:
    points = [nearness.points.get(_number(run)) for run in runs]
    # Only with all of them: a part would be another model than the driver's.
    if not nearness.is_sound or None in points:
        return None  # a file that somebody has edited, or a set that is just being put up
    parameters = Hyperparameters(np.array(nearness.lengths), nearness.scale, nearness.own)
    return prior_of(np.array(points), np.array(nearness.categorical, dtype=bool), parameters)


def _number(run: str) -> str:
    """``3`` of ``restore/trial_0003``; "" of what is no trial."""
    digits = run.rpartition("/trial_")[2]
    if digits.isascii() and digits.isdigit():
        return str(int(digits))
    return ""
