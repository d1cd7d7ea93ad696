"""The answer of a search as a value, and what must be known of a search to give one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from pixaris.results.objective import Objective
from pixaris.results.trial import TrialResult
from pixaris.statistics.intervals import MeanInterval
from pixaris.statistics.paired import PairedDifference

VerdictKind: TypeAlias = Literal[
    "better", "no evidence", "needs a re-check", "baseline", "too few items", "no baseline", "no score"
]
"""What the numbers allow to say.

- "better": the winner is better than the baseline; the interval of its expected, or of its re-checked, gain
  leaves out 0.
- "no evidence": there is such an interval, and it holds 0.
- "needs a re-check": the gain cannot be told from the luck of having been picked without new images.
- "baseline": no set beats the baseline.
- "too few items": fewer than six common items, or a score for the whole run only, give no interval.
- "no baseline": the baseline has no score to compare with.
- "no score": no trial has one.
"""


@dataclass(frozen=True)
class NextStep:
    """What to do now.

    Attributes:
        words: What and why, one sentence.
        command: Arguments of ``pixaris`` that do it, unquoted, paths as such; empty where no command does.
    """

    words: str
    command: tuple[str | Path, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What a search says in the end.

    Differences are winner minus baseline on the objective's own scale, so that where less is better a gain is
    negative.

    Attributes:
        kind: What the numbers allow to say.
        sentence: The answer.
        lines: What it rests on and what limits it, a sentence each.
        next_steps: What to do now; none while the search runs.
        winner: The best trial's number; None if no trial has a score.
        picked_from: Parameter sets that it is the best of, the baseline not counted.
        measured: Its difference over the common items as it was measured, which is too good by the luck of
            having been picked; None if the winner is the baseline.
        expected: The difference to expect on images like these: that of held-out items, if there are any;
            None where it cannot be told.
        rechecked: The difference with new seeds over the same items; None without a re-check.
        tied: Numbers of the sets that cannot be told from the winner, best first.
    """

    kind: VerdictKind
    sentence: str
    lines: tuple[str, ...] = ()
    next_steps: tuple[NextStep, ...] = ()
    winner: int | None = None
    picked_from: int = 0
    measured: PairedDifference | None = None
    expected: MeanInterval | None = None
    rechecked: PairedDifference | None = None
    tied: tuple[int, ...] = ()

    def html(self) -> str:
        """Its words as paragraphs of HTML, the answer in bold."""
        steps = [f"Next: {step.words}" for step in self.next_steps]
        rest = "".join(f"<p>{escape(line)}</p>" for line in (*self.lines, *steps))
        return f"<p><b>{escape(self.sentence)}</b></p>{rest}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.html()


class Judged(Protocol):
    """What a verdict asks of a search."""

    @property
    def folder(self) -> Path:
        """Where everything lies."""

    @property
    def objectives(self) -> Sequence[Objective]:
        """What is optimised, the leading score first."""

    @property
    def items(self) -> Sequence[str]:
        """Names of the eval set's items."""

    @property
    def trials(self) -> Sequence[TrialResult]:
        """By number."""

    @property
    def status(self) -> str:
        """How it stands: "running" while it is under way."""

    @property
    def recheck(self) -> Judged | None:
        """Its re-check, a search of its best sets; None without one."""

    def ranking(self) -> Sequence[TrialResult]:
        """Trials with a score, best first."""

    def importance(self) -> Mapping[str, float]:
        """Parameter name to its share of the scores' variance.

        Raises:
            ConfigurationError: There is too little to tell it by.
        """
