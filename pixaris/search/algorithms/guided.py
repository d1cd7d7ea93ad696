"""When a search is guided image by image by a Gaussian process, and why. Needs no Ray."""

from __future__ import annotations

from dataclasses import replace

from pixaris.exceptions import Problem
from pixaris.results.budget import Budget
from pixaris.search.algorithms.racing import races
from pixaris.search.settings import DEFAULT_SAMPLES, SearchSettings, StrategySettings
from pixaris.search.steering.settings import voting_of

GP, AUTO, THOMPSON = "gp", "auto", "thompson"
MOST_IMAGES = 300
"""Images up to which ``auto`` takes the process: it finds more in few images, and its own time grows with the
third power of their number.
"""

# More keep more endpoints busy, but each is chosen without what those on their way will show.
IN_FLIGHT = 4


def guides(settings: SearchSettings) -> bool:
    """Whether a search without problems is guided."""
    algorithm = settings.strategy.algorithm.type
    return algorithm == GP or (algorithm == AUTO and not _obstacle(settings))


def algorithm_of(settings: SearchSettings) -> str:
    """The algorithm that proposes: ``auto`` becomes ``gp``, ``thompson`` or ``tpe``."""
    name = settings.strategy.algorithm.name
    if name != AUTO:
        return name
    if votes_propose(settings):
        return THOMPSON
    if guides(settings):
        return GP
    return "tpe"


def votes_propose(settings: SearchSettings) -> bool:
    """Whether a search's sets are drawn from what votes say: where they steer it, nobody names another
    algorithm, and its parameters have no conditions.
    """
    space = settings.space
    if settings.strategy.algorithm.type != AUTO or voting_of(settings) is None:
        return False
    return bool(space.varying) and not any(parameter.when for parameter in space.parameters)


def reason(settings: SearchSettings) -> str:
    """What ``auto`` has chosen and why, in a sentence; "" where something else is given."""
    if settings.strategy.algorithm.type != AUTO:
        return ""
    if votes_propose(settings):
        return "thompson: each set is the best one of a draw of what the votes say"
    obstacle = _obstacle(settings)
    if obstacle:
        return f"tpe: {obstacle}"
    limit = settings.limits.budget.images
    return f"gp: a Gaussian process chooses every image, for the best set that {limit} images can find"


def guided_problems(settings: SearchSettings) -> list[Problem]:
    """What keeps a search that asks for it from being guided."""
    if settings.strategy.algorithm.type != GP:
        return []
    obstacle = _obstacle(settings, most=None)
    if not obstacle:
        return []
    return [Problem("", f"gp cannot guide this search: {obstacle}; use tpe", "search.algorithm")]


def with_samples(strategy: StrategySettings, budget: Budget) -> StrategySettings:
    """The strategy with the number of sets that is tried where nobody says it: a guided search goes by its
    images.
    """
    unsaid = strategy.num_samples is None and strategy.algorithm.type == AUTO
    if not unsaid or budget.images is not None:
        return strategy
    return replace(strategy, num_samples=DEFAULT_SAMPLES)


def _obstacle(settings: SearchSettings, most: int | None = MOST_IMAGES) -> str:
    """Why a Gaussian process does not guide a search; "" where it can."""
    limits = settings.limits.budget.as_dict()
    images = settings.limits.budget.images
    if images is None:
        return "there is no budget of images"
    # The process plans how many images are left; seconds or credits could end the search before it has got
    # there.
    if len(limits) > 1:
        return "the budget limits more than images"
    if most is not None and images > most:
        return f"the budget is more than {most} images"
    if len(settings.objective.names) > 1:
        return "there are several objectives"
    # A parameter that does not count has no place in the cube.
    if any(parameter.when for parameter in settings.space.parameters):
        return "parameters have conditions"
    if not settings.space.varying:
        return "nothing varies"
    if not races(settings):
        return "its sets do not race"
    return ""
