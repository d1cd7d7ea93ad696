"""What a search is that votes steer: rounds of sets, and votes that are waited for after each.

A round is an ordinary search that goes on where the last one ended, with more sets: its searcher is made anew
and told of all earlier sets what the votes say of them by now. Between two rounds there are no trials, so
waiting for people holds nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from pixaris.feedback_handlers.base import FeedbackHandler, IterationKey
from pixaris.search.check import CheckedSearch
from pixaris.search.settings import DEFAULT_SAMPLES
from pixaris.search.steering.settings import key_of, voting_of

_LISTED = 4
# A vote names two sets, so each is seen about six times.
_EACH_SET = 3
"""Votes for each set, where nobody says how many."""


@dataclass(frozen=True)
class Steering:
    """How votes steer a search.

    Attributes:
        key: The iteration that its sets are put up in.
        handler: Keeps it, and the votes.
        votes: After how many the search ends.
        rounds: Sets besides the baseline at the end of each round.
        score: Name of the score that the votes make.
    """

    key: IterationKey
    handler: FeedbackHandler
    votes: int
    rounds: tuple[int, ...]
    score: str

    @classmethod
    def of(cls, checked: CheckedSearch) -> Steering | None:
        """How votes steer a search without problems; None if they do not."""
        settings = checked.settings
        voting, handler = voting_of(settings), settings.keeping.feedback
        if voting is None or handler is None:
            return None
        sets = _sets(checked)
        # The last round has what is left, however few.
        rounds = [*range(voting.sets_per_round, sets, voting.sets_per_round), sets]
        # A grid cannot be gone on with for more sets: it has all of them.
        if not _is_divisible(checked):
            rounds = [sets]
        votes = voting.votes or _EACH_SET * sets
        return cls(key_of(settings, voting), handler, votes, tuple(rounds), voting.score)

    def due(self, sets: int) -> int:
        """How many votes there must be before more than so many sets are made."""
        return math.ceil(self.votes * min(1.0, sets / self.rounds[-1]))

    def describe(self) -> str:
        """``36 votes on iteration 'looks', after 4, 8, 12 sets``."""
        ends = list(map(str, self.rounds))
        listed = ", ".join(ends if len(ends) <= _LISTED else [*ends[:2], "…", ends[-1]])
        return f"{self.votes} votes on iteration {self.key.name!r}, after {listed} sets"


def of_round(checked: CheckedSearch, sets: int) -> CheckedSearch:
    """The search up to the end of a round.

    Args:
        checked: All of it.
        sets: One of `Steering.rounds`.
    """
    settings = checked.settings
    if not _is_divisible(checked):
        return checked
    return replace(checked, settings=replace(settings, strategy=replace(settings.strategy, num_samples=sets)))


def _sets(checked: CheckedSearch) -> int:
    trials = checked.size.trials
    if trials is None:
        return DEFAULT_SAMPLES
    # Without the baseline.
    return trials - 1


def _is_divisible(checked: CheckedSearch) -> bool:
    """Whether ``num_samples`` says how many sets are made: it does not of a grid."""
    samples, trials = checked.settings.strategy.num_samples, checked.size.trials
    return trials is None or samples == trials - 1
