"""How a search's verdict is reached."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.paths import SearchPaths
from pixaris.results.trial import TrialResult
from pixaris.results.verdict.advice import next_steps
from pixaris.results.verdict.base import Judged, Verdict
from pixaris.results.verdict.expected import ExpectedGain
from pixaris.results.verdict.preferred import verdict_of_votes
from pixaris.results.verdict.rechecked import Rechecked
from pixaris.results.verdict.words import counted, interval, names, signed
from pixaris.statistics.corrections import tied
from pixaris.statistics.paired import PairedDifference, differences
from pixaris.statistics.power import items_needed
from pixaris.statistics.signflip import FEWEST

_WORTH = 1000
"""More items than that are no advice."""


@dataclass(frozen=True)
class _Evidence:
    """A search with a winner and a baseline, and what can be said of them.

    Attributes:
        search: The search.
        winner: Its best trial.
        baseline: The trial with the workflow's own values.
        ties: The sets that cannot be told from the winner, best first.
    """

    search: Judged
    winner: TrialResult
    baseline: TrialResult
    ties: tuple[TrialResult, ...]

    @property
    def sets(self) -> list[TrialResult]:
        """The sets that the winner was picked from."""
        return [trial for trial in self.search.trials if trial.objective is not None and trial.number != 0]

    @property
    def metric(self) -> str:
        return self.search.objectives[0].metric


def verdict_of(search: Judged) -> Verdict:
    """What a search says: its winner held against its baseline, over the items that both have.

    Args:
        search: It, also one that still runs.
    """
    preferences = read_preferences(SearchPaths(search.folder))
    # Votes have no scores per item, so nothing below would apply.
    if preferences is not None and search.objectives[0].metric == preferences.score:
        return verdict_of_votes(search, preferences)
    ranking = search.ranking()
    if not ranking:
        return Verdict("no score", "No trial has a score.")
    winner = ranking[0]
    baseline = next((trial for trial in ranking if trial.number == 0), None)
    ties = _ties(search, ranking)
    if baseline is None:
        picked = sum(trial.number != 0 for trial in ranking)
        sentence = f"{winner.name} is the best of {counted(picked, 'set')}; the baseline has no score."
        return Verdict("no baseline", sentence, winner=winner.number, picked_from=picked, tied=_numbers(ties))
    evidence = _Evidence(search, winner, baseline, ties)
    if winner.number == 0:
        verdict = _of_baseline(evidence)
    else:
        verdict = _of_set(evidence)
    verdict = replace(
        verdict,
        lines=(*verdict.lines, *_tie_lines(evidence)),
        winner=winner.number,
        picked_from=len(evidence.sets),
        tied=_numbers(ties),
    )
    # No advice while it runs: it would change with every trial.
    if search.status == "running":
        return verdict
    return replace(verdict, next_steps=next_steps(search, verdict))


def _of_baseline(evidence: _Evidence) -> Verdict:
    """No set did better than the baseline."""
    sets = evidence.sets
    if not sets:
        return Verdict("baseline", "There is the baseline only: no other set has a score.")
    unfinished = sum(trial.status in ("running", "interrupted") for trial in sets)
    sentence = f"No set beats the baseline: {counted(len(sets), 'other set')} did no better than its values."
    if unfinished:
        lost = counted(len(sets) - unfinished, "other set")
        still = f"{counted(unfinished, 'set')} had not had all of their images"
        sentence = f"No set beats the baseline so far: {lost} did no better than its values, and {still}."
    ranked = [trial for trial in evidence.search.ranking() if trial.number != 0]
    closest = _difference(ranked[0], evidence.baseline)
    lines: tuple[str, ...] = ()
    if closest is not None:
        items = counted(closest.count, "item")
        if unfinished:
            place = "leads the others"
        else:
            place = "comes closest"
        lines = (f"{ranked[0].name} {place}: {evidence.metric} {interval(closest)} on {items}.",)
    return Verdict("baseline", sentence, lines)


def _of_set(evidence: _Evidence) -> Verdict:
    """A set did better than the baseline: by more than luck?"""
    winner, picked = evidence.winner, len(evidence.sets)
    measured = _difference(winner, evidence.baseline)
    if measured is None or measured.low is None:
        return _too_few(evidence, measured)
    if picked > 1:
        of = f"picked from {picked} and so too good"
    else:
        of = "the only set that was tried"
    fact = (
        f"measured {evidence.metric} {signed(measured.mean, measured.half)} on these {measured.count} items,"
        f" {of}"
    )
    expected = ExpectedGain.of(evidence.search, evidence.sets, winner, evidence.baseline)
    rechecked = Rechecked.of(evidence.search, winner)
    if rechecked is not None:
        return _of_recheck(evidence, rechecked, measured, expected)
    nothing = f"No evidence of a difference between {winner.name} and the baseline"
    if expected is None:
        return Verdict("no evidence", f"{nothing}: {fact}.", measured=measured)
    heads = {"better": f"{winner.name} is better than the baseline", "no evidence": nothing}
    head = heads.get(expected.kind, f"{winner.name} may be better than the baseline")
    rest = "how much of that is luck needs a re-check, because the sets were chosen by these same scores"
    if expected.told is not None:
        rest = f"expect about {interval(expected.told)} on images like these"
    return Verdict(
        expected.kind,
        f"{head}: {fact}; {rest}.",
        tuple(f"Mind: {remark}." for remark in measured.remarks),
        measured=measured,
        expected=expected.told,
    )


def _of_recheck(
    evidence: _Evidence, rechecked: Rechecked, measured: PairedDifference, expected: ExpectedGain | None
) -> Verdict:
    """The answer where the winner was run once more: the new images decide."""
    seen, held_out = rechecked.on_seen, rechecked.on_held_out
    found = []
    if seen is not None:
        found.append(f"{interval(seen)} on these {counted(seen.count, 'item')} with new seeds")
    if held_out is not None:
        found.append(
            f"{interval(held_out)} on {counted(held_out.count, 'item')} that the search has not seen"
        )
    decides = seen or held_out
    better = decides is not None and decides.excludes(0.0) and (decides.mean > 0) == (measured.mean > 0)
    head = f"No evidence of a difference between {evidence.winner.name} and the baseline"
    if better:
        head = f"{evidence.winner.name} is better than the baseline"
        head += " on these items" if held_out is None else ""
    picked = counted(len(evidence.sets), "set")
    sentence = (
        f"{head}: {evidence.metric} {', '.join(found)}; the search measured"
        f" {signed(measured.mean, measured.half)}, picked from {picked}."
    )
    if expected is None:
        likely = None
    else:
        likely = expected.told
    lines = []
    if held_out is None and likely is not None:
        lines.append(f"Expect about {interval(likely)} on images like these.")
    elif held_out is None:
        lines.append("How much of it holds on other images is not known: items that are held out would tell.")
    # Both halves may have the same remark.
    limits = dict.fromkeys((*(seen.remarks if seen else ()), *(held_out.remarks if held_out else ())))
    return Verdict(
        "better" if better else "no evidence",
        sentence,
        (*lines, *rechecked.better_ones(evidence.search), *(f"Mind: {remark}." for remark in limits)),
        measured=measured,
        expected=held_out or likely,
        rechecked=seen,
    )


def _too_few(evidence: _Evidence, measured: PairedDifference | None) -> Verdict:
    winner, picked = evidence.winner, counted(len(evidence.sets), "set")
    if measured is None:
        why = f"{evidence.metric} has one value for a whole run, or they share no item"
        sentence = f"{winner.name} is the best of {picked}, and nothing tells how sure that is: {why}."
        return Verdict("too few items", sentence)
    change = f"{evidence.metric} {signed(measured.mean, None)} against the baseline"
    sentence = (
        f"{winner.name} is the best of {picked} by {change}, but {counted(measured.count, 'common item')}"
        f" cannot tell whether it is better: that takes {FEWEST}."
    )
    return Verdict("too few items", sentence, measured=measured)


def _difference(trial: TrialResult, baseline: TrialResult) -> PairedDifference | None:
    values = differences(trial.item_scores, baseline.item_scores)
    if values:
        return PairedDifference.of(values)
    return None


def _ties(search: Judged, ranking: Sequence[TrialResult]) -> tuple[TrialResult, ...]:
    """The sets that went through all items and cannot be told from the winner, best first."""
    winner = ranking[0]
    whole = [trial for trial in ranking[1:] if trial.items >= len(search.items) and trial.number != 0]
    # Against the winner, not with each other: the question is whether another one would do as well.
    each = {trial.number: differences(winner.item_scores, trial.item_scores) for trial in whole}
    # Below so few items no test can tell two sets apart, and all would count as tied.
    found = set(tied({number: values for number, values in each.items() if len(values) >= FEWEST}))
    return tuple(trial for trial in whole if trial.number in found)


def _tie_lines(evidence: _Evidence) -> tuple[str, ...]:
    if not evidence.ties:
        return ()
    count = len(evidence.ties)
    if count == 1:
        which = "either of the two"
    else:
        which = f"any of the {count + 1}"
    line = f"Tied with {names(_numbers(evidence.ties))}: {which} will do"
    next_best = differences(evidence.winner.item_scores, evidence.ties[0].item_scores)
    found = PairedDifference.of(next_best)
    needed = items_needed(found.mean, found.spread)
    if needed is None:
        more = None
    else:
        more = max(1, needed - found.count)
    if more is None or more > _WORTH:
        return (f"{line}; no number of items worth making would tell the first two apart.",)
    return (f"{line}; about {counted(_rounded(more), 'more item')} would tell the first two apart.",)


def _rounded(count: int) -> int:
    """A count to two digits, upwards: it is a guess."""
    unit = int(10 ** max(0, len(str(count)) - 2))
    return math.ceil(count / unit) * unit


def _numbers(trials: Sequence[TrialResult]) -> tuple[int, ...]:
    return tuple(trial.number for trial in trials)
