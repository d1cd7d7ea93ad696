"""A judge without a network: an implementation of the seam, as a user would write one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixaris.images import EncodedImage
from pixaris.metrics.judges.base import Judge, Schema, Usage, Verdict


@dataclass(frozen=True)
class Question:
    """What a judge was asked."""

    images: tuple[EncodedImage, ...]
    prompt: str
    schema: Schema


class ScriptedJudge(Judge):
    """Answers as a function says (an exception is raised), and remembers what it was asked.

    Args:
        answer: Gives the answer to a question.
        name: Its identity.
    """

    def __init__(
        self, answer: Callable[[Question], Mapping[str, Any] | Exception], name: str = "scripted"
    ) -> None:
        self.answer = answer
        self.asked: list[Question] = []
        self.name = f"{name} {id(self)}"
        self._lock = threading.Lock()

    @property
    def identity(self) -> str:
        return self.name

    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        question = Question(tuple(images), prompt, schema)
        with self._lock:
            self.asked.append(question)
            answer = self.answer(question)
        if isinstance(answer, Exception):
            raise answer
        return Verdict(answer, Usage(calls=1, prompt_tokens=100, answer_tokens=10))


def in_turn(*answers: Mapping[str, Any] | Exception) -> Callable[[Question], Mapping[str, Any] | Exception]:
    """One answer after the other, then the last for ever."""
    left = list(answers)
    return lambda question: left.pop(0) if len(left) > 1 else left[0]
