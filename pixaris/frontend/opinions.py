"""What an iteration's votes say: who is first, and how far votes, raters and metrics can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pixaris.feedback_handlers.base import Iteration, Vote
from pixaris.search.steering.comparisons import comparisons
from pixaris.statistics.preference.standing import Share, Standing, standing


@dataclass(frozen=True)
class Opinions:
    """What votes say.

    Attributes:
        runs: Names of what was compared; a `Standing`'s numbers are places here.
        standing: Who is first.
        left: How often the left side won, of votes that are no tie: half, if sides do not matter.
        agreement: How often somebody who was asked twice said the same.
        metrics: Score name to how often it prefers what a person prefers, of votes that are no tie.
        raters: Name to votes.
        ties: Votes that are a tie.
    """

    runs: Sequence[str]
    standing: Standing
    left: Share
    agreement: Share
    metrics: Mapping[str, Share]
    raters: Mapping[str, int]
    ties: int

    @property
    def votes(self) -> int:
        """All of them."""
        return sum(self.raters.values())


def opinions(iteration: Iteration, votes: Sequence[Vote]) -> Opinions:
    """What votes say.

    Args:
        iteration: Its images, of one run at least.
        votes: Those that count, in their order.
    """
    decided = [vote for vote in votes if vote.outcome != "tie"]
    raters = Counter(vote.rater for vote in votes)
    return Opinions(
        iteration.runs,
        standing(len(iteration.runs), comparisons(iteration.runs, iteration.images, votes)),
        Share(sum(vote.outcome == "left" for vote in decided), len(decided)),
        _agreement(votes),
        _metrics(iteration, decided),
        dict(raters.most_common()),
        len(votes) - len(decided),
    )


def _agreement(votes: Sequence[Vote]) -> Share:
    said: dict[tuple[str, frozenset[str]], list[str]] = {}
    for vote in votes:
        # By image, not by side: a repeated question has its sides swapped.
        preferred = {"left": vote.left, "right": vote.right}.get(vote.outcome, "")
        said.setdefault((vote.rater, frozenset((vote.left, vote.right))), []).append(preferred)
    again = [answers for answers in said.values() if len(answers) > 1]
    # Against the first answer, which nobody had given before.
    same = sum(answers[0] == other for answers in again for other in answers[1:])
    return Share(same, sum(len(answers) - 1 for answers in again))


def _metrics(iteration: Iteration, decided: Sequence[Vote]) -> dict[str, Share]:
    scores = {image.name: image.scores for image in iteration.images}
    found = {}
    for name, direction in iteration.directions.items():
        if direction == "max":
            sign = 1
        else:
            sign = -1
        agree = asked = 0
        for vote in decided:
            left, right = scores[vote.left].get(name), scores[vote.right].get(name)
            # A metric that sees no difference has no opinion.
            if left is None or right is None or left == right:
                continue
            asked += 1
            agree += (sign * (left - right) > 0) == (vote.outcome == "left")
        found[name] = Share(agree, asked)
    return found
