"""What a search says in the end, in words, and what it rests on."""

from pixaris.results.verdict.base import Judged, NextStep, Verdict, VerdictKind
from pixaris.results.verdict.judge import verdict_of

__all__ = ["Judged", "NextStep", "Verdict", "VerdictKind", "verdict_of"]
