"""A judge's answer as models write it: the first object that follows the schema counts."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.metrics.judges.answers import read_answer
from pixaris.metrics.judges.base import NoVerdictError

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number"}, "why": {"type": "string"}},
    "required": ["score"],
}
FENCE = "```"


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 7}',
        'My verdict:\n{"score": 7, "why": "fine"}',
        '{"score": 7}\nAsk me for more.',
        'I looked {closely} at it: {"score": 7}.',
        f'{FENCE}json\n{{"score": 7}}\n{FENCE}',
        f'{FENCE}JSON\n{{"score": 7}}\n{FENCE}',
        f'{FENCE}json5 title=x\n{{"score": 7}}\n{FENCE}',
        '~~~\n{"score": 7}\n~~~',
        f'Notes:\n{FENCE}\nblurry?\n{FENCE}\nVerdict:\n{FENCE}json\n{{"score": 7}}\n{FENCE}',
        f'{FENCE}json\n{{"score": 7}}',
        f'{FENCE}json\n{{"score": 7, "why": "shows {FENCE}x{FENCE} and }}"}}\n{FENCE}',
        '[{"score": 7}]',
        'Here: [{"score": 7}]',
        '<think>{"score": 2}?</think>\n{"score": 7}',
        '<THINKING>\n{"score": 2}\n</THINKING>{"score": 7}',
        '{"score": 2}? No, sharper.\n</think>\n{"score": 7}',
        '{"score": 7}\n<thought>or {"score": 2}?</thought>',
        '{"verdict": {"score": 7}}',
        '{"blur": 3} {"score": 7}',
        '{"score": "high"} {"score": 7}',
        '{"score": 7, "why": "two\nlines"}',
        '\ufeff{"score": 7}',
    ],
)
def test_the_verdict_is_found_in_what_models_write_around_it(text: str) -> None:
    assert read_answer([text], SCHEMA)["score"] == 7


@pytest.mark.parametrize(
    ("texts", "score"),
    [
        (['{"score": 2} or more?', '{"score": 7}'], 7),
        (['{"score"', ": 7}"], 7),
        (["Let me see {", '{"score": 7}'], 7),
        (['{"score": 7}', "That is all."], 7),
    ],
)
def test_of_several_parts_the_last_that_holds_a_verdict_counts(texts: list[str], score: int) -> None:
    assert read_answer(texts, SCHEMA)["score"] == score


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("eight of ten", "no JSON object: it wrote 'eight of ten'"),
        ("[7]", "no JSON object"),
        ('{"score": NaN}', "no JSON object"),
        ('<think>{"score": 2}, but I am cut off', "no JSON object"),
        ('{"why": "fine"} and {"score": "high"}', "follow the schema: 'score' is a required property"),
    ],
)
def test_what_is_no_verdict_says_what_was_written(text: str, said: str) -> None:
    with pytest.raises(NoVerdictError, match=said):
        read_answer([text], SCHEMA)


@given(
    answer=st.fixed_dictionaries({"score": st.integers()}, optional={"why": st.text()}),
    before=st.text(st.characters(blacklist_characters="{}<>")),
    after=st.text(st.characters(blacklist_characters="{}<>")),
    fence=st.sampled_from(["", "```json\n", "```JSON\n", "~~~\n"]),
)
def test_whatever_words_stand_around_it_the_object_is_the_answer(
    answer: dict[str, Any], before: str, after: str, fence: str
) -> None:
    assert read_answer([f"{before}\n{fence}{json.dumps(answer)}\n{after}"], SCHEMA) == answer


@pytest.mark.parametrize(
    "text", ["{" * 10**6, '{"a":' * 10**5, "<think>" * 10**5 + "</thought>", "[" * 10**6]
)
def test_an_answer_that_is_none_is_told_soon_however_long(text: str) -> None:
    began = time.process_time()
    with pytest.raises(NoVerdictError):
        read_answer([text], SCHEMA)
    assert time.process_time() - began < 20
