"""What people's votes say of a search in the end."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.results.evidence.preferences import Preferences, Preferred
from pixaris.results.trial import TrialResult
from pixaris.results.verdict.base import Judged, NextStep, Verdict, VerdictKind
from pixaris.results.verdict.words import counted, names

_MAY_BE_BEST = 0.1
"""How probable it must be that a set is the best to be named beside the winner."""

_MORE_VOTES = NextStep(
    "Let people vote on more pairs: go on with the search (--resume) with a larger number of votes."
)


def verdict_of_votes(search: Judged, preferences: Preferences) -> Verdict:
    """What a search says that votes steer: whether people prefer its winner to the baseline, and how sure
    that is.

    Args:
        search: It, also one that still runs.
        preferences: What the votes say.
    """
    ranking = [trial for trial in search.ranking() if preferences.of(trial.number) is not None]
    if not ranking or not preferences.votes:
        return Verdict("no score", "Nobody has voted yet.")
    winner = ranking[0]
    preferred = preferences.of(winner.number)
    assert preferred is not None, "of the others nothing is said"
    picked = len(ranking) - 1
    # Half of the time is what two equal sets get.
    kind: VerdictKind = "better" if preferred.low > 0.5 else "no evidence"
    sentence = _sentence(winner, preferred, preferences)
    if winner.number == 0:
        kind = "baseline"
        sentence = f"People prefer no set to the baseline, {_after(preferences)}."
    rivals = _rivals(ranking[1:], preferences)
    steps = () if search.status == "running" or kind == "better" else (_MORE_VOTES,)
    lines = (
        f"It is the best of {counted(picked + 1, 'set')} with a probability of {preferred.best:.0%}.",
        *_rival_lines(rivals),
    )
    return Verdict(kind, sentence, lines, steps, winner.number, picked, tied=rivals)


def _sentence(winner: TrialResult, preferred: Preferred, preferences: Preferences) -> str:
    rate = f"{preferred.rate:.0%} of the time (95 % interval {preferred.low:.0%} to {preferred.high:.0%})"
    if preferred.low > 0.5:
        return f"People prefer {winner.name} to the baseline {rate}, {_after(preferences)}."
    return (
        f"No evidence that people prefer {winner.name} to the baseline: they are expected to {rate},"
        f" {_after(preferences)}."
    )


def _after(preferences: Preferences) -> str:
    people = f"{preferences.raters} {'person' if preferences.raters == 1 else 'people'}"
    return f"after {counted(preferences.votes, 'vote')} of {people}"


def _rivals(others: Sequence[TrialResult], preferences: Preferences) -> tuple[int, ...]:
    """Numbers of the sets that may as well be the best."""
    found = []
    for trial in others:
        preferred = preferences.of(trial.number)
        if preferred is not None and preferred.best >= _MAY_BE_BEST:
            found.append(trial.number)
    return tuple(found)


def _rival_lines(rivals: tuple[int, ...]) -> tuple[str, ...]:
    if rivals:
        return (f"So may be {names(rivals)}.",)
    return ()
