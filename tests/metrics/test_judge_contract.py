"""What a judge must do, and that the contract notices who does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pixaris.exceptions import MetricError
from pixaris.images import EncodedImage
from pixaris.metrics.judges.base import Judge, NoVerdictError, Schema, Verdict
from pixaris.testing.contracts import ContractError, check_judge


class Fair(Judge):
    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        return Verdict({"score": len(images)})


class Picky(Fair):
    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        if len(images) > 1:
            raise NoVerdictError("one at a time")
        return super().judge(images, prompt, schema)


class Talkative(Judge):
    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        return Verdict({"score": "ten out of ten"})


class Silent(Judge):
    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        raise NoVerdictError("no")


class Bare(Judge):
    def judge(self, images: Sequence[EncodedImage], prompt: str, schema: Schema) -> Verdict:
        return {"score": 1}  # type: ignore[return-value]


class Unsteady(Fair):
    count = 0

    @property
    def identity(self) -> str:
        Unsteady.count += 1
        return f"judge {Unsteady.count}"


class Connected(Fair):
    def __init__(self) -> None:
        self.connection = lambda: None


@pytest.mark.parametrize("judge", [Fair(), Picky()])
def test_a_judge_that_answers_or_refuses_keeps_it(judge: Judge) -> None:
    check_judge(judge)


@pytest.mark.parametrize(
    ("judge", "rule"),
    [
        (Talkative(), "follows the schema"),
        (Silent(), "refused every question"),
        (Bare(), "gives a Verdict"),
        (Unsteady(), "same identity"),
        (Connected(), "must pickle"),
    ],
)
def test_what_breaks_it_is_told(judge: Judge, rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_judge(judge)


def test_a_refusal_is_an_error_of_the_metric() -> None:
    assert issubclass(NoVerdictError, MetricError)
