"""The judge as a service: one for all that ask, with its limits, and with the verdicts that are known
already.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pixaris.exceptions import PixarisError
from pixaris.metrics.hosts.service import Scope, Service
from pixaris.metrics.judges.base import Judge, Verdict
from pixaris.metrics.judges.limits import Limits, Pace, PatientJudge
from pixaris.metrics.judges.verdicts import Question, Verdicts


@dataclass(frozen=True)
class JudgeService(Service[Question, Verdict]):
    """Answers questions: from the cache, or by asking the judge at the pace of its account.

    One for a whole cluster, so that limits hold whatever the number of trials.

    Attributes:
        judge: Who is asked.
        limits: Of its account.
        cache: Folder of known verdicts, or None.
    """

    scope: ClassVar[Scope] = "cluster"

    judge: Judge
    limits: Limits
    cache: Path | None

    @property
    def key(self) -> str:
        return f"judge {self.judge.account} {self.limits} {self.cache}"

    @property
    def parallel(self) -> int:
        return self.limits.concurrency

    def open(self) -> Callable[[Sequence[Question]], Sequence[Verdict | PixarisError]]:
        return _Desk(self.judge, self.limits, None if self.cache is None else Verdicts(self.cache))


class _Desk:
    def __init__(self, judge: Judge, limits: Limits, verdicts: Verdicts | None) -> None:
        self._judge = judge
        self._limits = limits
        self._pace = Pace(limits.requests_per_minute)
        self._verdicts = verdicts
        self._patient: dict[tuple[str, str], PatientJudge] = {}
        self._under_way: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    def __call__(self, questions: Sequence[Question]) -> list[Verdict | PixarisError]:
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Verdict | PixarisError:
        schema = json.loads(question.schema)
        judge = self._asked(question.judge or self._judge)
        try:
            if self._verdicts is None:
                return judge.judge(question.images, question.prompt, schema)
            key = question.key(judge.identity)
            # who asks the same at the same time waits for the verdict instead of buying another
            with self._turn(key):
                known = self._verdicts.get(key)
                if known is None:
                    known = judge.judge(question.images, question.prompt, schema)
                    self._verdicts.put(key, judge.identity, known)
                return known
        except PixarisError as error:
            return error

    def _asked(self, judge: Judge) -> PatientJudge:
        """The judge at the account's pace; equal ones, which come anew with every question, are one."""
        with self._lock:
            name = (judge.identity, judge.variant)
            return self._patient.setdefault(name, PatientJudge(judge, self._limits, self._pace))

    @contextlib.contextmanager
    def _turn(self, key: str) -> Iterator[None]:
        with self._lock:
            turn = self._under_way.setdefault(key, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    self._under_way.pop(key, None)


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0
