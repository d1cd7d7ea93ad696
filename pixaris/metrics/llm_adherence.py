"""Prompt adherence: how much of what a prompt asks for is in the image, by questions and answers.

The idea: Y. Hu et al., "TIFA: Accurate and interpretable text-to-image faithfulness evaluation with question
answering", ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pixaris.exceptions import ConfigurationError, MetricError, Problem
from pixaris.metrics.base import Execution, Need, Prompt
from pixaris.metrics.judges.base import Judge
from pixaris.metrics.judges.metric import JudgeMetric, prompt_text
from pixaris.metrics.judges.verdicts import Question

_MOST = 12


class LLMAdherenceMetric(JudgeMetric):
    """The share of yes/no questions about a prompt that a judge answers with yes when it looks at the image.

    The judge itself turns the prompt into questions, once for each prompt and without seeing any image; so
    all images of a prompt are held against the same questions. Or you give the questions.

    Args:
        prompt: The prompt that the images follow: text, or ``{node_name, input}``, its place in the workflow
            …
        questions: … or the questions, each with yes as the right answer, the same for all items.
        samples: How often the questions are asked about each image.
        judge: As for `pixaris.metrics.llm.LLMMetric`.

    Raises:
        ConfigurationError: Both or neither are given, or a setting is wrong.
    """

    name = "llm_adherence"
    needs: tuple[Need, ...] = ("prompt",)

    def __init__(
        self,
        prompt: str | Mapping[str, str] | Prompt | None = None,
        *,
        questions: Sequence[str] | None = None,
        samples: int = 1,
        judge: Judge | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(samples, judge)
        if (prompt is None) == (questions is None):
            raise ConfigurationError(
                Problem(self.name, "needs the prompt that the images follow, or questions about it, not both")
            )
        self._prompt = None if prompt is None else Prompt.of(prompt)
        self._questions = None if questions is None else _questions(questions)

    def prompts(self) -> tuple[Prompt, ...]:
        return () if self._prompt is None else (self._prompt,)

    def score_execution(self, execution: Execution) -> dict[str, float]:
        questions = self.questions(execution)
        listed = "\n".join(f"{number}. {question}" for number, question in enumerate(questions, 1))
        prompt = prompt_text("answers", generated="image 1", questions=listed)
        answers = self.asked([execution.image], prompt, _answers_schema(len(questions)))
        shares = [
            share for answer in answers if (share := _share(answer["answers"], len(questions))) is not None
        ]
        if not shares:
            raise MetricError("the judge did not answer every question once")
        return self.sampled(self.name, shares)

    def questions(self, execution: Execution) -> tuple[str, ...]:
        """The questions about an execution's prompt.

        Raises:
            MetricError: It has no prompt, or the judge finds no questions in it.
        """
        if self._questions is not None:
            return self._questions
        assert self._prompt is not None
        prompt = prompt_text("questions", description=self._prompt.read(execution), most=str(_MOST))
        (answer,) = self._answers([Question.of((), prompt, _QUESTIONS_SCHEMA)])
        return tuple(answer["questions"])


_QUESTIONS_SCHEMA = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "maxItems": 4 * _MOST,
        }
    },
    "required": ["questions"],
}


def _answers_schema(count: int) -> dict[str, object]:
    one = {
        "type": "object",
        "properties": {
            "number": {"type": "integer", "minimum": 1, "maximum": count},
            "answer": {"type": "string", "enum": ["yes", "no", "unclear"]},
        },
        "required": ["number", "answer"],
    }
    answers = {"type": "array", "items": one, "minItems": count, "maxItems": count}
    return {"type": "object", "properties": {"answers": answers}, "required": ["answers"]}


def _share(answers: Sequence[Mapping[str, object]], count: int) -> float | None:
    """The share of yes; None where a question has no answer, or two."""
    said = {answer["number"]: answer["answer"] for answer in answers}
    return sum(word == "yes" for word in said.values()) / count if len(said) == count else None


def _questions(given: object) -> tuple[str, ...]:
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    if not listed or not all(isinstance(question, str) and question.strip() for question in listed):
        raise ConfigurationError(
            Problem("questions", f"must be a list of questions, at least one (got {given!r})")
        )
    return tuple(listed)
