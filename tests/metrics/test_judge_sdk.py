"""A judge through a real SDK against a stand-in server.

The SDK is the configured one: ``make test`` tries google-genai, ``make test-legacy`` the same cases with
google-generativeai.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from metrics.gemini_kit import (
    KEY,
    MODEL,
    Asked,
    Response,
    StandIn,
    bad_key,
    blocked,
    error,
    no_model,
    quota,
    says,
    unsafe,
)
from PIL import Image

from pixaris.exceptions import AccountError, PixarisError, RateLimitedError, UnreachableError
from pixaris.images import EncodedImage
from pixaris.metrics.judges.base import Judge, NoVerdictError, Usage
from pixaris.metrics.judges.google import Account
from pixaris.metrics.judges.settings import service_of
from pixaris.testing import samples

SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "quality": {"type": "number", "minimum": 0, "maximum": 1},
        "kind": {"type": "string", "enum": ["photo", "drawing"]},
    },
    "required": ["quality"],
}
LEGACY = os.environ.get("PIXARIS_GEMINI_SDK") == "google-generativeai"
PICTURE = EncodedImage.of(samples.picture(1))

_answers: list[Response] = []
_lock = threading.Lock()


def answer(asked: Asked) -> Response:
    with _lock:
        return _answers.pop(0) if len(_answers) > 1 else _answers[0]


@pytest.fixture(scope="module")
def running() -> Iterator[StandIn]:
    with StandIn(
        answer
    ) as stand_in:  # one for all tests, because google-generativeai has one account per process
        yield stand_in


@pytest.fixture
def server(running: StandIn) -> StandIn:
    running.asked.clear()
    running.looked_up.clear()
    running.headers.clear()
    running.models = lambda asked: (200, {"name": f"models/{MODEL}"})
    _answers[:] = [says({"quality": 0.5})]
    return running


@pytest.fixture
def judge(server: StandIn) -> Judge:
    return judge_of(server)


def judge_of(server: StandIn, **settings: object) -> Judge:
    environ = {
        "PIXARIS_GEMINI_API_KEY": KEY,
        "PIXARIS_GEMINI_SDK": os.environ.get("PIXARIS_GEMINI_SDK", "google-genai"),
    }
    service, _ = service_of({"model": MODEL, "base_url": server.url, "timeout": 20, **settings}, environ)
    return service.judge


def replies(*responses: Response) -> None:
    _answers[:] = responses


def ask(judge: Judge) -> Any:
    return judge.judge([PICTURE], "How good is image 1?", SCHEMA)


def test_a_question_goes_out_with_its_images_labelled_in_order_and_the_key_in_a_header(
    server: StandIn, judge: Judge
) -> None:
    replies(says({"reason": "sharp", "quality": 0.75, "kind": "photo"}))
    other = EncodedImage.of(samples.picture(2))
    verdict = judge.judge([PICTURE, other], "Which is better?", SCHEMA)
    assert verdict.answer == {"reason": "sharp", "quality": 0.75, "kind": "photo"}
    (asked,) = server.asked
    assert asked.digests == [PICTURE.digest, other.digest]
    assert [part["text"] for part in asked.parts if "text" in part] == [
        "Image 1:",
        "Image 2:",
        "Which is better?",
    ]
    assert asked.key == KEY
    assert KEY not in asked.path
    assert asked.path.partition("?")[0].endswith(f"/models/{MODEL}:generateContent")
    assert set(asked.schema["properties"]) == {"reason", "quality", "kind"}


def test_nothing_is_sent_that_newer_models_refuse(server: StandIn, judge: Judge) -> None:
    ask(judge)
    config = server.asked[0].body["generationConfig"]
    assert not {"temperature", "topP", "topK", "candidateCount"} & set(config)
    assert config["responseMimeType"] == "application/json"


def test_tokens_are_counted_thoughts_included(judge: Judge) -> None:
    replies(says({"quality": 0.5}, prompt_tokens=1200, answer_tokens=30, thoughts=200))
    assert ask(judge).usage == Usage(calls=1, prompt_tokens=1200, answer_tokens=230)


def test_a_question_without_images_is_text_alone(server: StandIn, judge: Judge) -> None:
    judge.judge([], "What is to be seen?", SCHEMA)
    assert server.asked[0].images == []
    assert len(server.asked[0].parts) == 1


@pytest.mark.parametrize(
    "text",
    ['```json\n{"quality": 0.25}\n```', 'Here it is:\n```\n{"quality": 0.25}\n```', ' {"quality": 0.25}\n'],
    ids=["fenced", "with words", "with space"],
)
def test_an_answer_between_fences_counts(judge: Judge, text: str) -> None:
    replies(says(text))
    assert ask(judge).answer == {"quality": 0.25}


def test_thoughts_before_the_answer_do_not_spoil_it(judge: Judge) -> None:
    status, body = says({"quality": 0.25})
    assert isinstance(body, dict)
    body["candidates"][0]["content"]["parts"].insert(
        0, {"text": "First I look at {the light}.", "thought": True}
    )
    replies((status, body))
    assert ask(judge).answer == {"quality": 0.25}


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (blocked(), r"refused the question \(PROHIBITED_CONTENT\)"),
        (unsafe(), r"refused to answer \(SAFETY\)"),
        (unsafe("RECITATION"), r"refused to answer \(RECITATION\)"),
        (says('{"quality": 0.5', finish="MAX_TOKENS"), "cut off"),
        (says("I would say eight of ten."), "no JSON object: it wrote 'I would say"),
        (says(""), "no JSON object: it is empty"),
        (says("[0.5]"), "no JSON object"),
        (says('{"quality": NaN}'), "no JSON object"),
        (says({"quality": "high"}), "does not follow the schema: quality: 'high' is not of type 'number'"),
        (says({"quality": 7}), "does not follow the schema: quality: 7 is greater than the maximum of 1"),
        (says({"reason": "fine"}), "does not follow the schema: 'quality' is a required property"),
        (
            error(400, "INVALID_ARGUMENT", "Unable to process input image."),
            "does not take the question: Unable to process",
        ),
    ],
)
def test_refused_and_malformed_answers_are_no_verdict_and_say_why(
    judge: Judge, response: Response, words: str
) -> None:
    replies(response)
    with pytest.raises(NoVerdictError, match=words):
        ask(judge)


def test_what_was_refused_is_counted_too(judge: Judge) -> None:
    replies(blocked())
    with pytest.raises(NoVerdictError) as caught:
        ask(judge)
    assert caught.value.usage == Usage(calls=1, prompt_tokens=500)
    assert pickle.loads(pickle.dumps(caught.value)).usage == caught.value.usage


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (bad_key(), "key is refused: API key not valid"),
        (error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."), "key is refused"),
        (error(401, "UNAUTHENTICATED", "Request had invalid credentials."), "key is refused"),
        (no_model(), f"model '{MODEL}' is not there.*gemini_model"),
        (quota(quota_id="GenerateRequestsPerDayPerProjectPerModel-FreeTier"), "quota is used up .*PerDay"),
        (quota(value="0"), "quota is used up"),
    ],
)
def test_what_no_waiting_mends_is_the_account_s(judge: Judge, response: Response, words: str) -> None:
    replies(response)
    with pytest.raises(AccountError, match=words) as caught:
        ask(judge)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("delay", "seconds"), [("37s", 37.0), ("2.5s", 2.5), ("0s", 0.0), ("", None), ("soon", None)]
)
def test_a_full_minute_says_how_long_to_wait(judge: Judge, delay: str, seconds: float | None) -> None:
    replies(quota(delay))
    with pytest.raises(RateLimitedError) as caught:
        ask(judge)
    assert caught.value.retry_after == seconds


def test_the_header_and_the_sentence_say_it_too(server: StandIn, judge: Judge) -> None:
    replies(error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 12.5s."))
    with pytest.raises(RateLimitedError) as caught:
        ask(judge)
    assert caught.value.retry_after == 12.5
    server.headers["Retry-After"] = "9"
    with pytest.raises(RateLimitedError) as caught:
        ask(judge)
    assert caught.value.retry_after == 9.0


@pytest.mark.parametrize(
    "response",
    [
        error(500, "INTERNAL", "An internal error has occurred."),
        error(503, "UNAVAILABLE", "The model is overloaded."),
        error(504, "DEADLINE_EXCEEDED", "Too late."),
        (502, "<html>bad gateway</html>"),
        (200, "<html>a login page</html>"),
    ],
    ids=["500", "503", "504", "502 in HTML", "200 in HTML"],
)
def test_a_server_that_fails_may_be_asked_again_and_the_sdk_does_not_do_so_itself(
    server: StandIn, judge: Judge, response: Response
) -> None:
    replies(response)
    with pytest.raises(UnreachableError):
        ask(judge)
    assert len(server.asked) == 1


def test_a_redirect_is_not_followed_with_the_key(server: StandIn, judge: Judge) -> None:
    if LEGACY:
        pytest.skip("google-generativeai follows redirects by itself, which docs/llm-judge.md says")
    with StandIn(lambda asked: says({"quality": 1})) as elsewhere:
        server.headers["Location"] = elsewhere.url
        replies((307, {}))
        with pytest.raises(PixarisError):
            ask(judge)
        assert elsewhere.asked == []


def test_the_check_asks_for_the_model_and_believes_only_a_clear_no(server: StandIn, judge: Judge) -> None:
    judge.check()
    assert [asked.path.partition("?")[0].rpartition("/models/")[2] for asked in server.looked_up] == [MODEL]
    server.models = lambda asked: bad_key()
    with pytest.raises(AccountError, match="key is refused"):
        judge.check()
    server.models = lambda asked: no_model()
    with pytest.raises(AccountError, match="is not there"):
        judge.check()
    for unclear in (error(500, "INTERNAL", "oops"), (404, "<html>no such page</html>"), quota()):
        server.models = lambda asked, unclear=unclear: unclear  # type: ignore[misc]
        judge.check()
    assert server.asked == []


def test_a_judge_pickles_without_showing_its_key(judge: Judge) -> None:
    ask(judge)
    copied = pickle.loads(pickle.dumps(judge))
    assert ask(copied).answer == {"quality": 0.5}
    account = copied._account
    assert isinstance(account, Account)
    assert KEY not in repr(account) + copied.identity + copied.account
    assert copied.account == judge.account


def test_many_threads_may_ask_at_once(server: StandIn, judge: Judge) -> None:
    replies(says({"quality": 0.5}))
    results: list[float] = []
    threads = [
        threading.Thread(target=lambda: results.append(ask(judge).answer["quality"])) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0.5] * 12


def test_what_a_stand_in_says_is_not_taken_for_google_s_verdict(server: StandIn) -> None:
    judge = judge_of(server)
    google = [
        type(judge)(Account(MODEL, KEY, url)) for url in ("", "https://generativelanguage.googleapis.com")
    ]
    assert google[0].identity == google[1].identity == MODEL
    there = judge.identity
    assert there != MODEL
    assert server.url not in there
    assert there != type(judge)(Account(MODEL, KEY, "http://other.example.com")).identity


@pytest.mark.skipif(LEGACY, reason="google-generativeai does not know thinking levels")
def test_the_thinking_level_is_sent_and_changes_the_identity(server: StandIn) -> None:
    low = judge_of(server, thinking_level="low")
    ask(low)
    (level,) = server.asked[0].body["generationConfig"]["thinkingConfig"].values()
    assert level.upper() == "LOW"
    assert low.identity != judge_of(server).identity


def test_a_large_photograph_is_sent_smaller_than_the_api_s_limit(server: StandIn, judge: Judge) -> None:
    large = EncodedImage.of(Image.linear_gradient("L").resize((2500, 60)))
    judge.judge([large], "How good?", SCHEMA)
    (image,) = server.asked[0].images
    assert max(image.size) == 2048
