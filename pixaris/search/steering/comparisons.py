"""Votes on images as votes between what made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pixaris.feedback_handlers.base import FeedbackImage, Vote
from pixaris.statistics.preference.davidson import Answer, Comparison

_ANSWERS: dict[str, Answer] = {"left": "first", "right": "second", "tie": "tie"}


def comparisons(
    runs: Sequence[str], images: Iterable[FeedbackImage], votes: Sequence[Vote]
) -> list[Comparison]:
    """Votes as comparisons of runs, by their places; votes on images that are gone are left out.

    Args:
        runs: Names of what made the images.
        images: All of them.
        votes: Those that count.
    """
    numbers = {run: number for number, run in enumerate(runs)}
    run_of = {image.name: numbers[image.run] for image in images}
    return [
        Comparison(run_of[vote.left], run_of[vote.right], _ANSWERS[vote.outcome])
        for vote in votes
        if vote.left in run_of and vote.right in run_of and run_of[vote.left] != run_of[vote.right]
    ]
