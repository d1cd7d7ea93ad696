"""What votes say of a search's sets, as far as there are any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pixaris.feedback_handlers.base import Iteration, Vote
from pixaris.results.evidence.preferences import Nearness, Preferences, Preferred, Said
from pixaris.results.trial import TrialResult
from pixaris.search.algorithms.gp.thompson import Heard
from pixaris.search.algorithms.gp.values import ValueCube
from pixaris.search.space.space import Space
from pixaris.search.steering.comparisons import comparisons
from pixaris.search.steering.putting_up import Stage
from pixaris.statistics.preference.davidson import Comparison, fit
from pixaris.statistics.preference.utility import Hyperparameters, Utility, prior_of, utility

_SEED = 7


def preferences_of(
    stage: Stage, iteration: Iteration, votes: Sequence[Vote], trials: Sequence[TrialResult], space: Space
) -> Preferences:
    """How often people prefer each set to the baseline.

    Args:
        stage: Where the sets are put up.
        iteration: As it is.
        votes: Those that count.
        trials: The search's.
        space: Tells which sets are near each other.
    """
    by_run = {stage.run_of(trial): trial for trial in trials}
    runs = [run for run in iteration.runs if run in by_run]
    # The iteration comes from a store that others can write: runs that are no trials of this search are left
    # out.
    shown = [image for image in iteration.images if image.run in by_run]
    said = comparisons(runs, shown, votes)
    # Votes on one set say something of the sets near it: nearness is that of the searcher, so that both mean
    # the same.
    cube = ValueCube(space)
    points = np.array([cube.point(by_run[run].values) for run in runs], dtype=float)
    found = utility(points, cube.cube.categorical, said)
    best = found.posterior.best(np.random.default_rng(_SEED))
    numbers = [by_run[run].number for run in runs]
    baseline = numbers.index(0)
    sets = {}
    for place, number in enumerate(numbers):
        rate = found.win_rate(place, baseline)
        met = sum(place in (one.first, one.second) for one in said)
        sets[str(number)] = Preferred(rate.rate, rate.low, rate.high, float(best[place]), met)
    fitted = found.parameters
    nearness = Nearness(
        {str(number): tuple(map(float, point)) for number, point in zip(numbers, points, strict=True)},
        tuple(map(bool, cube.cube.categorical)),
        tuple(map(float, fitted.lengths)),
        fitted.scale,
        fitted.own,
    )
    steering = stage.steering
    raters = len({vote.rater for vote in votes})
    kept = tuple(Said(numbers[one.first], numbers[one.second], one.answer) for one in said)
    return Preferences(
        steering.score, steering.key.name, len(votes), steering.votes, raters, sets, nearness, kept
    )


def heard(preferences: Preferences | None, dimensions: int) -> Heard:
    """What the next round is proposed by: what votes said of earlier rounds' sets, fitted as it was then.

    Args:
        preferences: As they were kept; None before the first round.
        dimensions: Of the space: what does not fit it is passed over.
    """
    # The file may be of another version, or edited by hand: then the round begins like the first one.
    if preferences is None or not preferences.nearness.is_sound:
        return Heard()
    nearness = preferences.nearness
    if not nearness.points or len(nearness.lengths) != dimensions:
        return Heard()
    places = {int(number): place for place, number in enumerate(nearness.points)}
    votes = [
        Comparison(places[one.first], places[one.second], one.answer)
        for one in preferences.said
        if one.first in places and one.second in places
    ]
    points = tuple(nearness.points.values())
    parameters = Hyperparameters(np.array(nearness.lengths), nearness.scale, nearness.own)
    # With the hyperparameters that were kept: a search that goes on must propose what it would have proposed.
    prior = prior_of(np.array(points), np.array(nearness.categorical, dtype=bool), parameters)
    return Heard(points, Utility(fit(len(points), votes, prior), parameters))
