"""How a judge is asked: its pace, its repetitions, its cache, its settings."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.gemini_kit import KEY, MODEL, StandIn, error, quota, says
from metrics.judge_kit import Question as Asked
from metrics.judge_kit import ScriptedJudge, in_turn

from pixaris.exceptions import (
    AccountError,
    ConfigurationError,
    MetricError,
    RateLimitedError,
    UnreachableError,
)
from pixaris.images import EncodedImage
from pixaris.metrics.extras import require
from pixaris.metrics.hosts.local import LocalHost
from pixaris.metrics.judges.answers import simplified
from pixaris.metrics.judges.base import NoVerdictError, Usage
from pixaris.metrics.judges.limits import Limits, Pace, PatientJudge
from pixaris.metrics.judges.service import JudgeService
from pixaris.metrics.judges.settings import service_of
from pixaris.metrics.judges.verdicts import Question, Verdicts
from pixaris.metrics.llm import LLMErrorsMetric
from pixaris.testing import samples

PICTURE = EncodedImage.of(samples.picture(1))
SCHEMA = {"type": "object", "properties": {"q": {"type": "number"}}, "required": ["q"]}
ENVIRON = {"PIXARIS_GEMINI_API_KEY": KEY, "PIXARIS_GEMINI_MODEL": MODEL}


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patient(
    judge: ScriptedJudge, clock: Clock, limits: Limits | None = None, per_minute: float = 0.0
) -> PatientJudge:
    return PatientJudge(judge, limits or Limits(), Pace(per_minute, clock=clock, sleep=clock.sleep))


def ask(judge: PatientJudge) -> Any:
    return judge.judge([PICTURE], "?", SCHEMA).answer


def test_the_time_that_the_server_asks_for_is_waited_for() -> None:
    clock = Clock()
    judge = ScriptedJudge(
        in_turn(
            RateLimitedError("wait", retry_after=37.0), RateLimitedError("wait", retry_after=2.5), {"q": 1}
        )
    )
    assert ask(patient(judge, clock)) == {"q": 1}
    assert clock.slept == [37.0, 2.5]


@pytest.mark.parametrize(("asked_for", "shortest", "times"), [(0.0, 1.0, 20), (1e-9, 0.1, 6001)])
def test_a_server_that_asks_to_wait_for_nothing_for_ever_is_given_up(
    asked_for: float, shortest: float, times: int
) -> None:
    clock = Clock()
    judge = ScriptedJudge(in_turn(RateLimitedError("wait", retry_after=asked_for)))
    with pytest.raises(MetricError, match="more than the 600 s allowed"):
        ask(patient(judge, clock))
    assert min(clock.slept) == pytest.approx(shortest)
    assert len(judge.asked) <= times


def test_a_pause_holds_everybody_and_a_longer_one_counts() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    pace.pause(30)
    pace.pause(10)
    pace.wait()
    pace.wait()
    assert clock.slept == [30.0]


def test_a_server_that_asks_to_wait_too_long_costs_the_item_its_score() -> None:
    clock = Clock()
    judge = ScriptedJudge(in_turn(RateLimitedError("wait", retry_after=400.0)))
    with pytest.raises(MetricError, match=r"800 s in all, more than the 600 s allowed"):
        ask(patient(judge, clock))
    assert clock.slept == [400.0]


def test_waits_without_a_time_and_lost_answers_are_spaced_out_more_and_more() -> None:
    clock = Clock()
    judge = ScriptedJudge(
        in_turn(RateLimitedError("wait"), UnreachableError("lost"), UnreachableError("lost"), {"q": 1})
    )
    assert ask(patient(judge, clock)) == {"q": 1}
    assert clock.slept == [1.0, 2.0, 4.0]


def test_a_judge_that_stays_away_is_given_up_after_the_attempts() -> None:
    judge = ScriptedJudge(in_turn(UnreachableError("the judge does not answer")))
    with pytest.raises(MetricError, match="does not answer; asked 3 times"):
        ask(patient(judge, Clock(), Limits(attempts=3)))
    assert len(judge.asked) == 3


@pytest.mark.parametrize("failure", [NoVerdictError("refused"), AccountError("bad key")])
def test_what_asking_again_does_not_mend_is_not_asked_again(failure: Exception) -> None:
    judge = ScriptedJudge(in_turn(failure, {"q": 1}))
    with pytest.raises(type(failure)):
        ask(patient(judge, Clock()))
    assert len(judge.asked) == 1


@given(st.floats(1, 600), st.integers(1, 40))
def test_questions_are_no_nearer_to_each_other_than_their_rate_allows(per_minute: float, count: int) -> None:
    clock = Clock()
    pace = Pace(per_minute, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(count):
        pace.wait()
        times.append(clock.now)
    assert all(later - earlier >= 60 / per_minute - 1e-6 for earlier, later in itertools.pairwise(times))
    assert clock.now - 100 == pytest.approx((count - 1) * 60 / per_minute)


def test_a_rate_that_was_not_used_is_not_saved_up() -> None:
    clock = Clock()
    pace = Pace(60, clock=clock, sleep=clock.sleep)
    pace.wait()
    clock.now += 30
    pace.wait()
    pace.wait()
    assert clock.slept == [1.0]


def test_no_more_questions_are_under_way_than_the_account_allows() -> None:
    def slowly(asked: object) -> Any:
        time.sleep(0.05)
        return says({"q": 1})

    with StandIn(slowly) as server:
        service, _ = service_of({"base_url": server.url, "concurrency": 3, "cache": False}, ENVIRON)
        host = LocalHost()
        answers = [host.submit(service, Question.of((PICTURE,), "?", SCHEMA, n)) for n in range(12)]
        assert [future.result().answer for future in answers] == [{"q": 1}] * 12
    assert server.most_at_once == 3


def test_metrics_that_share_an_account_are_each_waited_for_as_long_as_they_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIXARIS_GEMINI_API_KEY", KEY)

    def late(asked: object) -> Any:
        time.sleep(0.5)
        return says({"errors": 0})

    with StandIn(late) as server:
        settings = {"base_url": server.url, "attempts": 1, "cache": False, "model": "m"}
        patient = LLMErrorsMetric(judge={**settings, "timeout": 60})
        hasty = LLMErrorsMetric(judge={**settings, "timeout": 0.05})
        assert patient.calculate([PICTURE.image]) == {"llm_errors": 1.0}
        with pytest.raises(MetricError, match="does not answer"):
            hasty.calculate([PICTURE.image])
        assert patient.calculate([PICTURE.image]) == {"llm_errors": 1.0}
    assert patient._service.key == hasty._service.key  # so they share the limits of the account


def test_the_whole_way_a_full_minute_is_waited_out_over_a_real_socket() -> None:
    left = [quota("0.3s"), error(503, "UNAVAILABLE", "overloaded"), says({"q": 1})]
    with StandIn(lambda asked: left.pop(0)) as server:
        service, _ = service_of({"base_url": server.url, "cache": False}, ENVIRON)
        verdict = LocalHost().submit(service, Question.of((PICTURE,), "?", SCHEMA)).result()
    assert verdict.answer == {"q": 1}
    assert server.asked[1].at - server.asked[0].at >= 0.3


def test_the_same_question_asked_at_once_is_bought_once(tmp_path: Path) -> None:
    entered, go = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Mapping[str, Any]:
        entered.set()
        go.wait(20)
        return {"q": 1}

    judge = ScriptedJudge(answer)
    service, host = JudgeService(judge, Limits(), tmp_path), LocalHost()
    futures = [host.submit(service, Question.of((PICTURE,), "?", SCHEMA)) for _ in range(5)]
    assert entered.wait(20)
    go.set()
    assert sum((future.result(20).usage for future in futures), Usage()) == Usage(1, 100, 10, cached=4)
    assert len(judge.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        Question.of((PICTURE,), "another prompt", SCHEMA),
        Question.of((EncodedImage.of(samples.picture(2)),), "?", SCHEMA),
        Question.of((PICTURE, PICTURE), "?", SCHEMA),
        Question.of((PICTURE,), "?", {**SCHEMA, "required": []}),
        Question.of((PICTURE,), "?", SCHEMA, 1),
    ],
    ids=["prompt", "image", "images", "schema", "sample"],
)
def test_whatever_changes_a_verdict_changes_its_key(other: Question) -> None:
    question = Question.of((PICTURE,), "?", SCHEMA)
    assert other.key("judge") != question.key("judge")
    assert question.key("judge 2") != question.key("judge")
    assert Question.of((EncodedImage.of(PICTURE.image),), "?", dict(SCHEMA)).key("judge") == question.key(
        "judge"
    )


def test_a_verdict_file_that_is_torn_counts_as_unknown(tmp_path: Path) -> None:
    verdicts = Verdicts(tmp_path)
    judge = ScriptedJudge(in_turn({"q": 1}))
    service, host = JudgeService(judge, Limits(), tmp_path), LocalHost()
    host.submit(service, Question.of((PICTURE,), "?", SCHEMA)).result()
    (file,) = tmp_path.rglob("*.json")
    assert verdicts.get(file.stem) is not None
    file.write_text('{"answer": {"q"')
    assert verdicts.get(file.stem) is None


@pytest.mark.parametrize("url", ["http://[::1", "http://x:port", "https:///v1", "http//proxy"])
def test_an_address_that_is_none_is_told_and_not_shown(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"judge\.base_url: must be a URL such as https://proxy\.example\.com"
    ) as caught:
        service_of({"base_url": url}, ENVIRON)
    assert url not in str(caught.value)


def test_everything_wrong_with_the_settings_is_told_at_once_and_no_secret_is_shown() -> None:
    given = {
        "sdk": "google-gena",
        "modle": "x",
        "api_key": "AIza-secret",
        "concurrency": 0,
        "timeout": "long",
        "thinking_level": "deep",
        "prices": {"prompt": -1},
        "cache": 3,
        "base_url": "ftp://user:secret@x",
    }
    with pytest.raises(ConfigurationError) as caught:
        service_of(given, {})
    text = str(caught.value)
    assert "11 problems" in text
    for words in (
        "judge.sdk: 'google-gena' is no known SDK (did you mean 'google-genai'?)",
        "judge.modle: is no known setting (did you mean 'model'?)",
        "judge.api_key: does not belong here",
        "judge.concurrency: must be a whole number from 1 to 1000 (got 0)",
        "judge.thinking_level: must be one of minimal, low, medium, high (got 'deep')",
        "judge.model: is missing; name the model that judges, or set PIXARIS_GEMINI_MODEL, or gemini_model in"
        " config.yaml",
        "the judge's API key: is missing; set gemini_api_key",
    ):
        assert words in text
    assert "secret" not in text


def test_the_key_may_come_from_where_google_s_own_tools_look() -> None:
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        service, _ = service_of({"model": MODEL}, {name: KEY})
        assert KEY not in service.key + repr(service)
    with pytest.raises(ConfigurationError, match="without line breaks") as caught:
        service_of({"model": MODEL}, {"GEMINI_API_KEY": "se\ncret"})
    assert "cret" not in str(caught.value).replace("secret", "")


def test_judges_of_one_account_share_their_limits_and_others_do_not() -> None:
    one, same = (service_of(None, ENVIRON)[0] for _ in range(2))
    assert one.key == same.key
    assert service_of({"model": "another"}, ENVIRON)[0].key != one.key
    assert service_of(None, {**ENVIRON, "PIXARIS_GEMINI_API_KEY": "another"})[0].key != one.key


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"needs no\.such\.sdk, which is not installed: \S*( -m )?pip install 'pixaris\[gemini\]'",
    ):
        require("the LLM judge", "gemini", "no.such.sdk")
    with pytest.raises(ConfigurationError, match=r"pip install 'pixaris\[gemini-legacy\]'") as caught:
        service_of({"sdk": "google-generativeai", "thinking_level": "low"}, ENVIRON)
    assert "google-generativeai knows no thinking levels" in str(caught.value)


def test_a_schema_is_reduced_to_what_the_ended_sdk_knows() -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "number", "minimum": 0, "maximum": 1, "description": "how good"},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "notes": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
        },
        "required": ["score"],
    }
    assert simplified(schema) == {
        "type": "OBJECT",
        "properties": {
            "score": {"type": "NUMBER", "description": "how good"},
            "kind": {"type": "STRING", "enum": ["a", "b"], "format": "enum"},
            "notes": {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}},
        },
        "required": ["score"],
    }
