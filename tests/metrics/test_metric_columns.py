"""Judges that read columns of an eval set of prompts."""

from __future__ import annotations

import pytest
from metrics.judge_kit import ScriptedJudge, in_turn

from pixaris.exceptions import MetricError
from pixaris.experiment.setup import RunSetup
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.base import Execution
from pixaris.metrics.execution import filled, placeholders
from pixaris.metrics.llm_adherence import LLMAdherenceMetric
from pixaris.metrics.llm_custom import LLMCustomMetric
from pixaris.testing import samples
from pixaris.types import EvalItem, EvalSet

SCHEMA = {"type": "object", "properties": {"right": {"type": "boolean"}}, "required": ["right"]}
ITEM = EvalItem(0, "lake", texts={"prompt": "a boat at night", "expected": "one boat"})
WORKFLOW = {"1": {"class_type": "SaveImage", "inputs": {}, "_meta": {"title": "Save Image"}}}


def execution(item: EvalItem = ITEM) -> Execution:
    return Execution(EncodedImage.of(samples.picture(1)), item)


def told(metric: LLMCustomMetric | LLMAdherenceMetric, *items: EvalItem) -> list[str]:
    setup = RunSetup("p", EvalSet("scenes", items), ComfyGenerator(WORKFLOW), (metric,), ItemArgs({}))
    return [problem.message for problem in setup.problems()]


def test_a_judge_s_question_has_the_item_s_own_words() -> None:
    judge = ScriptedJudge(in_turn({"right": True}))
    metric = LLMCustomMetric(
        'Is there {expected}? Say {"right": true}, not {{expected}}.', SCHEMA, judge=judge
    )
    assert metric.score_execution(execution())["llm_custom_right"] == 1.0
    assert judge.asked[0].prompt == 'Is there one boat? Say {"right": true}, not {expected}.'
    assert told(metric, ITEM) == []


def test_adherence_is_asked_about_the_column_s_text() -> None:
    answers = ({"questions": ["Is there a boat?"]}, {"answers": [{"number": 1, "answer": "yes"}]})
    judge = ScriptedJudge(in_turn(*answers))
    metric = LLMAdherenceMetric({"column": "prompt"}, judge=judge)
    assert metric.score_execution(execution())["llm_adherence"] == 1.0
    assert "a boat at night" in judge.asked[0].prompt


def test_a_column_that_is_not_there_is_told_before_a_judge_is_asked() -> None:
    judge = ScriptedJudge(in_turn({"right": True}))
    metric = LLMCustomMetric("Is there {expectd}?", SCHEMA, judge=judge)
    (message,) = told(metric, ITEM)
    assert message == (
        "reads the column 'expectd' (did you mean 'expected'?); the eval set 'scenes' has 'prompt',"
        " 'expected'"
    )
    (message,) = told(metric, EvalItem(0, "a"))
    assert message.endswith("the eval set 'scenes' is no set of prompts and has no columns")
    with pytest.raises(MetricError, match="item 'lake' has no text in column 'expectd'"):
        metric.score_execution(execution())


@pytest.mark.parametrize("text", ["{}", "{ a }", '{"a": {"b": 1}}', "{1}", "{{a}}", "a}"])
def test_what_is_no_column_is_left_alone(text: str) -> None:
    assert placeholders(text) == ()
    assert filled(text, ITEM) == text.replace("{{a}}", "{a}")
