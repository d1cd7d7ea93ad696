"""What people prefer, told by their votes in a blind comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from PIL import Image

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.metrics.base import BaseMetric, Scale, Voting

PREFERENCE = "preference"
"""Name of the score: how often people prefer a set to the baseline, a tie counting half."""

UNKNOWN = 0.5
"""What it is before anybody has voted: as likely better as worse."""

_EACH_ROUND = 8


class VotesMetric(BaseMetric):
    """How often people prefer a set's images to the baseline's, in a blind comparison on the review page.

    The search puts its sets up as a feedback iteration, a round of them at a time, and waits for votes. What
    the votes say of all sets (`pixaris.statistics.preference.utility`: Bradley–Terry with ties, worth as a
    Gaussian process over the parameters) is what the next round is proposed by. A run that is in no such
    search has 0.5: nobody has voted.

    Args:
        iteration: Name of the feedback iteration; the search makes it.
        votes: After how many votes the search ends; by default three for each set.
        sets_per_round: Sets that are put up together, before votes on them are waited for.

    Raises:
        ConfigurationError: The name is empty, or a number is not positive.
    """

    name = "votes"
    scores: Mapping[str, Scale] = MappingProxyType({PREFERENCE: Scale("max", (0.0, 1.0))})

    def __init__(self, iteration: str, votes: int | None = None, sets_per_round: int = _EACH_ROUND) -> None:
        problems = []
        if not isinstance(iteration, str) or not iteration.strip():
            rule = f"must be the name of a feedback iteration, which the search makes (got {iteration!r})"
            problems.append(Problem("iteration", rule))
        for name, value in (("votes", votes), ("sets_per_round", sets_per_round)):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and not (whole and value > 0):
                problems.append(Problem(name, f"must be a whole number of at least 1 (got {value!r})"))
        if problems:
            raise ConfigurationError(problems)
        self.iteration = iteration.strip()
        # how long people are asked may change when a search is resumed: it decides nothing about images, so
        # both are no public attributes, which a manifest holds
        self._votes = votes
        self._sets_per_round = sets_per_round

    def voting(self) -> Voting:
        return Voting(PREFERENCE, self.iteration, self._votes, self._sets_per_round)

    def calculate(self, images: Sequence[Image.Image]) -> dict[str, float]:
        return {PREFERENCE: UNKNOWN}
