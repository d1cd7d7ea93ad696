"""What a search's settings say of votes."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.feedback_handlers.base import IterationKey
from pixaris.metrics.base import Voting
from pixaris.search.settings import SearchSettings


def voting_of(settings: SearchSettings) -> Voting | None:
    """How votes make a search's score; None if they do not."""
    return next((found for metric in settings.metrics if (found := metric.voting()) is not None), None)


def key_of(settings: SearchSettings, voting: Voting) -> IterationKey:
    """The iteration of a search."""
    return IterationKey(settings.home.project, voting.iteration)


def searches_of(runs: Sequence[str]) -> set[str]:
    """Names of the searches that runs are trials of: ``restore`` of ``restore/trial_0003``."""
    return {run.rpartition("/")[0] for run in runs}
