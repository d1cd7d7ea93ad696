"""Whether a run may pass: is it worse than a baseline by more than is allowed?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from xml.etree import ElementTree

from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.results.comparison.compare import ScoreChange, score_change
from pixaris.results.comparison.scored import ScoredRun
from pixaris.results.manifest import item_differences
from pixaris.results.verdict.words import counted
from pixaris.statistics.signflip import FEWEST

Outcome: TypeAlias = Literal["passed", "worse", "undecided"]

_WORST_FIRST: tuple[Outcome, ...] = ("worse", "undecided", "passed")

# 4, because 2 and 3 are those of errors.
EXIT_CODES: Mapping[Outcome, int] = {"passed": 0, "worse": 1, "undecided": 4}


@dataclass(frozen=True)
class GateResult:
    """One score against its limit.

    Attributes:
        metric: The score's name.
        limit: By how much it may be worse on average.
        outcome: "passed" if it is sure to be within the limit, "worse" if it is sure to be beyond.
        sentence: Why.
        change: The difference, or None where no item has the score in both.
    """

    metric: str
    limit: float
    outcome: Outcome
    sentence: str
    change: ScoreChange | None = None


def read_limits(texts: Sequence[str]) -> dict[str, float]:
    """The limits of ``--max-regression``.

    Args:
        texts: ``ssim=0.01`` each.

    Returns:
        Score name to how much worse it may be.

    Raises:
        ConfigurationError: All that is wrong with them.
    """
    limits, problems = {}, []
    for text in texts:
        name, _, number = text.partition("=")
        try:
            limit = float(number)
        except ValueError:
            # Refused below, with the rule, like any other number that is none.
            limit = -1.0
        if not name or not 0.0 <= limit < float("inf"):
            rule = "must be SCORE=NUMBER, by how much it may be worse: 0 or more, as in ssim=0.01"
            problems.append(Problem(f"--max-regression {text}", rule))
        limits[name] = limit
    if problems:
        raise ConfigurationError(problems)
    return limits


def check_baseline(
    baseline: ScoredRun, eval_set: Mapping[str, Mapping[str, str]], limits: Mapping[str, float]
) -> None:
    """Refuse what cannot be compared, before anything is generated.

    Args:
        baseline: What is compared with.
        eval_set: Digests of the images of the eval set that will be run.
        limits: Score name to how much worse it may be.

    Raises:
        ConfigurationError: The eval set has changed, or the baseline lacks a score.
    """
    problems = [
        Problem(baseline.name, line) for line in item_differences(baseline.eval_set or None, eval_set)
    ]
    if problems:
        problems.append(Problem("", "make a new baseline with --save, of a version that is known to be good"))
    for name in limits:
        if name not in baseline.scores:
            hint = nearest(name, list(baseline.scores)) or f"; it has {', '.join(baseline.scores) or 'none'}"
            problems.append(Problem(baseline.name, f"has no score {name!r}{hint}"))
    if problems:
        raise ConfigurationError(problems)


def gate(baseline: ScoredRun, run: ScoredRun, limits: Mapping[str, float]) -> list[GateResult]:
    """Hold a run against a baseline: one result for each limit."""
    return [_judged(baseline, run, metric, limit) for metric, limit in limits.items()]


def outcome_of(results: Sequence[GateResult]) -> Outcome:
    """Of all limits together: the worst one's."""
    outcomes = {result.outcome for result in results}
    return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), "passed")


def _judged(baseline: ScoredRun, run: ScoredRun, metric: str, limit: float) -> GateResult:
    # First: a model that fails on the hard items would score better on the rest.
    lost = [name for name in baseline.scores[metric] if name not in run.scores.get(metric, {})]
    if lost:
        sentence = f"{counted(len(lost), 'item')} without a score now: {', '.join(lost[:3])}"
        return GateResult(metric, limit, "worse", sentence, score_change(baseline, run, metric))
    change = score_change(baseline, run, metric)
    if change is None:
        return GateResult(metric, limit, "undecided", "the baseline has the score of no item")
    found = change.difference
    # Without any difference there is no spread, and no test to make.
    if not any(change.changes.values()):
        return GateResult(metric, limit, "passed", f"all {found.count} items score the same", change)
    fact = f"{found.mean:+.4f} on {found.count} items"
    if found.low is None or found.high is None:
        return GateResult(
            metric, limit, "undecided", f"{fact}: too few to be sure, it takes {FEWEST}", change
        )
    # As losses: smallest first, whichever direction is better.
    ends = sorted((-change.sign * found.low, -change.sign * found.high))
    fact = f"{fact} (95 %: {found.low:+.4f} … {found.high:+.4f})"
    if ends[1] <= limit:
        return GateResult(metric, limit, "passed", f"{fact}, sure to be no more than {limit:g} worse", change)
    if ends[0] > limit:
        return GateResult(metric, limit, "worse", f"{fact}, sure to be more than {limit:g} worse", change)
    return GateResult(metric, limit, "undecided", f"{fact}, which may be more than {limit:g} worse", change)


def junit(results: Sequence[GateResult], *, allow_undecided: bool = False) -> bytes:
    """The results as a JUnit file, which CI systems show: one test case for each limit."""
    if allow_undecided:
        fails = {"worse"}
    else:
        fails = {"worse", "undecided"}
    failed = [one for one in results if one.outcome in fails]
    suite = ElementTree.Element(
        "testsuite", name="pixaris gate", tests=str(len(results)), failures=str(len(failed))
    )
    for one in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname="pixaris.gate", name=f"{one.metric} within {one.limit:g}"
        )
        if one in failed:
            ElementTree.SubElement(case, "failure", type=one.outcome, message=one.sentence)
        elif one.outcome == "undecided":
            ElementTree.SubElement(case, "skipped", message=one.sentence)
        else:
            ElementTree.SubElement(case, "system-out").text = one.sentence
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text
