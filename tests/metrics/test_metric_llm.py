"""The metrics that ask a judge: what they ask, and what they make of the answers."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from metrics.gemini_kit import KEY, MODEL, Asked, Response, StandIn, bad_key, blocked, no_model, says
from metrics.judge_kit import Question, ScriptedJudge, in_turn

from pixaris.components import METRICS, make, resolve
from pixaris.exceptions import AccountError, ConfigurationError, MetricError
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric, Execution, Scale
from pixaris.metrics.judges import settings
from pixaris.metrics.judges.base import NoVerdictError, Usage
from pixaris.metrics.judges.metric import JudgeMetric
from pixaris.metrics.llm import (
    LLMErrorsMetric,
    LLMMetric,
    LLMRealityMetric,
    LLMSimilarityMetric,
    LLMStyleMetric,
)
from pixaris.metrics.llm_adherence import LLMAdherenceMetric
from pixaris.metrics.llm_custom import LLMCustomMetric
from pixaris.metrics.llm_preference import LLMPreferenceMetric
from pixaris.testing import samples
from pixaris.testing.contracts import check_metric
from pixaris.types import EvalItem, GenerationParam

ITEMS = samples.eval_set(3).items
IMAGE = samples.picture(7)
GOOD = {"reality": 0.8, "similarity": 0.6, "errors": 1, "style": 0.9}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXARIS_JUDGE_CACHE", str(tmp_path / "verdicts"))


def answer_anything(asked: Asked) -> Response:
    """An answer that depends on what is shown, so that equal questions have equal answers."""
    shade = int(asked.digests[0][:2], 16) / 255 if asked.digests else 0.0
    values: dict[str, Any] = {
        "reality": shade,
        "similarity": shade,
        "style": shade,
        "errors": int(4 * shade),
        "better": "tie",
    }
    values |= {
        "warmth": 10 * shade,
        "sunny": shade > 0.5,
        "questions": ["Is there a boat?"],
        "answers": [{"number": 1, "answer": "yes"}],
    }
    return says({name: values[name] for name in asked.schema["properties"] if name in values})


@pytest.fixture
def server() -> Iterator[StandIn]:
    with StandIn(answer_anything) as stand_in:
        yield stand_in


@pytest.fixture
def gemini(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The configuration points at the stand-in."""
    for name, value in {"API_KEY": KEY, "MODEL": MODEL, "BASE_URL": server.url}.items():
        monkeypatch.setenv(f"PIXARIS_GEMINI_{name}", value)
    return server


def score(metric: BaseMetric, image: Any = IMAGE, item: EvalItem = ITEMS[0]) -> dict[str, float]:
    return metric.named(metric.score(image, item))


def test_the_four_scores_and_their_average_come_from_one_question_with_three_images() -> None:
    judge = ScriptedJudge(in_turn(GOOD))
    values = score(LLMMetric(reference="Input", style="Original", samples=1, judge=judge))
    assert values == pytest.approx(
        {"llm_reality": 0.8, "llm_similarity": 0.6, "llm_errors": 0.5, "llm_style": 0.9, "llm_average": 0.7}
    )
    (asked,) = judge.asked
    item = ITEMS[0]
    assert asked.images == (EncodedImage.of(IMAGE), item.inputs["Input"], item.references["Original"])
    for words in (
        "Image 2: the object.",
        "Image 3: the style.",
        "Judge image 1 only",
        '"errors": how many separate errors',
    ):
        assert words in asked.prompt
    assert asked.schema["required"] == ["reality", "similarity", "errors", "style"]


def test_the_original_s_lists_of_images_are_matched_by_the_item_s_place() -> None:
    judge = ScriptedJudge(in_turn(GOOD))
    objects, styles = [samples.picture(n) for n in range(3)], [samples.picture(10 + n) for n in range(3)]
    metric = LLMMetric(objects, styles, samples=1, judge=judge)
    score(metric, item=EvalItem(2, "third"))
    assert judge.asked[0].images[1:] == (EncodedImage.of(objects[2]), EncodedImage.of(styles[2]))
    assert set(metric.calculate(objects)) == {
        "llm_reality",
        "llm_similarity",
        "llm_errors",
        "llm_style",
        "llm_average",
    }


def test_without_object_or_style_images_nothing_is_asked_about_them() -> None:
    judge = ScriptedJudge(in_turn({"reality": 0.5, "errors": 0}))
    assert score(LLMMetric(samples=1, judge=judge)) == {
        "llm_reality": 0.5,
        "llm_errors": 1.0,
        "llm_average": 0.75,
    }
    assert '"similarity"' not in judge.asked[0].prompt
    assert "$" not in judge.asked[0].prompt


@pytest.mark.parametrize(("objects", "styles"), [(8, 9), (8, 8), (7, 7), (9, 9)])
def test_calculate_is_given_as_many_images_as_it_has_to_compare_with(objects: int, styles: int) -> None:
    judge = ScriptedJudge(in_turn({"reality": 1, "similarity": 1, "errors": 0, "style": 1}))
    metric = LLMMetric(
        [samples.picture(n) for n in range(objects)],
        [samples.picture(n) for n in range(styles)],
        samples=1,
        judge=judge,
    )
    images = [samples.picture(n) for n in range(8)]
    if (objects, styles) == (8, 8):
        assert metric.calculate(images)["llm_average"] == 1.0
        return
    with pytest.raises(MetricError, match=r"llm has \d (object|style)s, but is given 8 images"):
        metric.calculate(images)
    assert judge.asked == []


def test_samples_give_a_mean_and_a_spread_and_errors_are_counted_before_they_are_turned_into_a_score() -> (
    None
):
    judge = ScriptedJudge(
        in_turn({"reality": 0.2, "errors": 0}, {"reality": 0.4, "errors": 1}, {"reality": 0.9, "errors": 5})
    )
    metric = LLMMetric(samples=3, judge=judge)
    values = score(metric)
    assert len(judge.asked) == 3
    assert values["llm_reality"] == pytest.approx(0.5)
    assert values["llm_reality_spread"] == pytest.approx(statistics.stdev([0.2, 0.4, 0.9]))
    assert values["llm_errors"] == pytest.approx(1 / 3)
    assert values["llm_average"] == pytest.approx((0.5 + 1 / 3) / 2)
    assert metric.scales()["llm_reality_spread"].direction is None
    assert "llm_reality_spread" not in metric.directions()


def test_samples_that_were_refused_are_left_out_and_an_item_without_any_says_why() -> None:
    refusal = NoVerdictError("the judge refused to answer (SAFETY)", Usage(calls=1, prompt_tokens=50))
    metric = LLMRealityMetric(
        samples=3, judge=ScriptedJudge(in_turn({"reality": 0.2}, refusal, {"reality": 0.4}))
    )
    assert score(metric)["llm_reality"] == pytest.approx(0.3)
    assert metric.usage == Usage(calls=3, prompt_tokens=250, answer_tokens=20)
    with pytest.raises(MetricError, match=r"refused to answer \(SAFETY\)"):
        score(LLMRealityMetric(samples=3, judge=ScriptedJudge(in_turn(refusal))))


def test_calculate_leaves_out_images_without_a_score_and_stops_at_an_account_that_is_no_good() -> None:
    def answer(question: Question) -> dict[str, float] | Exception:
        return NoVerdictError("no") if question.images[0] == EncodedImage.of(IMAGE) else {"reality": 0.25}

    judge = ScriptedJudge(answer)
    assert LLMRealityMetric(judge=judge).calculate([IMAGE, samples.picture(1)]) == {"llm_reality": 0.25}
    with pytest.raises(MetricError, match="no"):
        LLMRealityMetric(judge=judge).calculate([IMAGE])
    with pytest.raises(AccountError, match="bad key"):
        LLMRealityMetric(judge=ScriptedJudge(in_turn(AccountError("bad key")))).calculate([IMAGE, IMAGE])


@pytest.mark.parametrize(
    ("metric", "aspect"),
    [
        (lambda judge: LLMRealityMetric(judge=judge), "reality"),
        (lambda judge: LLMErrorsMetric(judge=judge), "errors"),
        (lambda judge: LLMSimilarityMetric(reference="Original", judge=judge), "similarity"),
        (lambda judge: LLMStyleMetric(reference="Original", judge=judge), "style"),
    ],
)
def test_each_aspect_is_a_metric_of_its_own(metric: Any, aspect: str) -> None:
    judge = ScriptedJudge(in_turn(GOOD))
    made = metric(judge)
    assert score(made) == {f"llm_{aspect}": 0.5 if aspect == "errors" else GOOD[aspect]}
    assert made.scales() == {f"llm_{aspect}": Scale("max", (0.0, 1.0))}
    assert judge.asked[0].schema["required"] == [aspect]
    assert len(judge.asked[0].images) == 1 + len(made.reference_folders())


def test_what_was_asked_before_is_known_and_costs_nothing() -> None:
    judge = ScriptedJudge(in_turn({"reality": 0.2}, {"reality": 0.8}))
    first, again = LLMRealityMetric(samples=2, judge=judge), LLMRealityMetric(samples=2, judge=judge)
    values = score(first)
    assert score(again) == values
    assert values["llm_reality_spread"] > 0
    assert len(judge.asked) == 2
    assert again.usage == Usage(cached=2)
    score(again, samples.picture(8))
    score(LLMErrorsMetric(judge=ScriptedJudge(in_turn(GOOD))))
    assert len(judge.asked) == 4


def test_another_model_is_asked_anew_and_a_refusal_is_not_remembered() -> None:
    judge = ScriptedJudge(in_turn(NoVerdictError("no"), {"reality": 0.2}))
    with pytest.raises(MetricError):
        score(LLMRealityMetric(judge=judge))
    assert score(LLMRealityMetric(judge=judge)) == {"llm_reality": 0.2}
    assert score(LLMRealityMetric(judge=ScriptedJudge(in_turn({"reality": 0.9})))) == {"llm_reality": 0.9}


def test_adherence_is_the_share_of_yes_over_questions_that_are_made_once_for_a_prompt() -> None:
    def answer(question: Question) -> dict[str, Any]:
        if not question.images:
            assert "a red boat on a lake" in question.prompt
            return {"questions": ["Is there a boat?", "Is it red?", "Is it on a lake?", "Is it one?"]}
        assert "2. Is it red?" in question.prompt
        words = ["yes", "no", "yes", "unclear"]
        return {"answers": [{"number": n, "answer": word} for n, word in enumerate(words, 1)]}

    judge = ScriptedJudge(answer)
    metric = LLMAdherenceMetric("a red boat on a lake", judge=judge)
    assert score(metric) == {"llm_adherence": 0.5}
    assert score(metric, samples.picture(8)) == {"llm_adherence": 0.5}
    assert [len(question.images) for question in judge.asked] == [0, 1, 1]


def test_adherence_reads_the_prompt_that_the_workflow_had() -> None:
    judge = ScriptedJudge(
        lambda q: (
            {"answers": [{"number": 1, "answer": "yes"}]} if q.images else {"questions": [q.prompt[-40:]]}
        )
    )
    metric = LLMAdherenceMetric({"node_name": "Positive", "input": "text"}, judge=judge)
    params = (GenerationParam("Positive", "text", "a green hat"),)
    values = metric.score_execution(Execution(EncodedImage.of(IMAGE), ITEMS[0], params=params))
    assert values == {"llm_adherence": 1.0}
    assert "a green hat" in judge.asked[0].prompt
    assert metric.prompts()[0].node_name == "Positive"


@pytest.mark.parametrize("numbers", [[1, 1], [1], [2, 2]])
def test_questions_that_were_not_each_answered_once_are_no_answer(numbers: list[int]) -> None:
    judge = ScriptedJudge(in_turn({"answers": [{"number": number, "answer": "yes"} for number in numbers]}))
    with pytest.raises(MetricError, match="did not answer every question once"):
        score(LLMAdherenceMetric(questions=["A?", "B?"], judge=judge))


@pytest.mark.parametrize(
    ("answers", "value"),
    [
        (("first", "second"), 1.0),
        (("second", "first"), 0.0),
        (("first", "first"), 0.5),
        (("second", "second"), 0.5),
        (("tie", "second"), 0.5),
        (("tie", "tie"), 0.5),
    ],
)
def test_a_preference_must_survive_the_swap(answers: tuple[str, str], value: float) -> None:
    def answer(question: Question) -> dict[str, str]:
        return {"better": answers[0] if question.images[0] == EncodedImage.of(IMAGE) else answers[1]}

    judge = ScriptedJudge(answer)
    assert score(LLMPreferenceMetric(reference="Original", judge=judge)) == {"llm_preference": value}
    assert {question.images[::-1] for question in judge.asked} == {
        question.images for question in judge.asked
    }
    assert len(judge.asked) == 2


def test_equal_images_are_a_tie_that_costs_nothing() -> None:
    judge = ScriptedJudge(in_turn({"better": "first"}))
    assert score(LLMPreferenceMetric(reference="Input", judge=judge), ITEMS[0].inputs["Input"].image) == {
        "llm_preference": 0.5
    }
    assert judge.asked == []


def test_a_pair_of_which_one_order_was_refused_does_not_count() -> None:
    refusal = NoVerdictError("refused")
    judge = ScriptedJudge(lambda q: refusal if q.images[0] == EncodedImage.of(IMAGE) else {"better": "first"})
    with pytest.raises(MetricError, match="refused"):
        score(LLMPreferenceMetric(reference="Original", judge=judge))


WARMTH = {
    "type": "object",
    "properties": {
        "why": {"type": "string"},
        "warmth": {"type": "number", "minimum": 0, "maximum": 10},
        "sunny": {"type": "boolean"},
    },
    "required": ["warmth"],
}


def test_your_own_prompt_and_schema_give_a_score_for_each_number() -> None:
    judge = ScriptedJudge(in_turn({"why": "sun", "warmth": 7.5, "sunny": True}))
    metric = LLMCustomMetric(
        "How warm is image 1?", WARMTH, images=["Original"], name="light", direction="min", judge=judge
    )
    assert score(metric) == {"light_warmth": 7.5, "light_sunny": 1.0}
    assert metric.scales() == {
        "light_warmth": Scale("min", (0.0, 10.0)),
        "light_sunny": Scale("min", (0.0, 1.0)),
    }
    assert judge.asked[0].prompt == "How warm is image 1?"
    assert judge.asked[0].images[1] == ITEMS[0].references["Original"]
    assert metric.reference_folders() == ("Original",)


def test_what_is_wrong_with_your_own_question_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        LLMCustomMetric(
            " ", {"type": "object", "properties": {"a": {"type": "sting"}}}, images="Original", direction="up"
        )  # type: ignore[arg-type]
    text = str(caught.value)
    assert "4 problems" in text
    assert "prompt: must be the question" in text
    assert "schema.properties.a.type: 'sting' is not valid" in text
    with pytest.raises(
        ConfigurationError, match=r"images: must be a list of folders of the eval set \(got 5\)"
    ):
        LLMCustomMetric("Warm?", WARMTH, images=5, judge=ScriptedJudge(in_turn({})))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="must describe an object"):
        LLMCustomMetric("Warm?", {"type": "number"}, judge=ScriptedJudge(in_turn({})))
    with pytest.raises(ConfigurationError, match="needs a property of type number"):
        LLMCustomMetric(
            "Warm?",
            {"type": "object", "properties": {"a": {"type": "string"}}},
            judge=ScriptedJudge(in_turn({})),
        )


def test_every_registered_judge_metric_keeps_the_contract_over_a_real_socket(gemini: StandIn) -> None:
    options: dict[str, dict[str, Any]] = {
        "llm": {"reference": "Input", "style": "Original"},
        "llm_similarity": {"reference": "Original", "samples": 2},
        "llm_style": {"reference": "Original"},
        "llm_adherence": {"prompt": "a boat"},
        "llm_preference": {"reference": "Original", "samples": 2},
        "llm_custom": {"prompt": "How warm?", "schema": WARMTH, "samples": 2},
    }
    images = [item.inputs["Input"].image for item in ITEMS]
    for name in (name for name in METRICS if name.startswith("llm")):
        metric = make(resolve(name, METRICS, BaseMetric), options.get(name, {}))
        assert isinstance(metric, JudgeMetric)
        assert metric.extra == "gemini"
        check_metric(metric, images, ITEMS)
    assert {asked.key for asked in gemini.asked} == {KEY}


def test_costs_are_counted_and_priced(gemini: StandIn) -> None:
    metric = LLMErrorsMetric(judge={"prices": {"prompt": 0.3, "answer": 2.5}})
    score(metric)
    assert metric.costs() == {
        "calls": 1.0,
        "prompt_tokens": 1000.0,
        "answer_tokens": 20.0,
        "cached": 0.0,
        "dollars": pytest.approx((1000 * 0.3 + 20 * 2.5) / 1e6),
    }


def test_a_bad_key_or_model_is_found_before_anything_is_generated(gemini: StandIn) -> None:
    metric = LLMErrorsMetric()
    assert metric.problems() == []
    gemini.models = lambda asked: bad_key()
    (problem,) = metric.problems()
    assert "key is refused" in problem
    assert KEY not in problem
    gemini.models = lambda asked: no_model()
    assert "gemini_model" in metric.problems()[0]


def test_a_bad_key_ends_the_scoring_with_the_reason(gemini: StandIn) -> None:
    gemini.answer = lambda asked: bad_key()
    with pytest.raises(AccountError, match="key is refused") as caught:
        score(LLMErrorsMetric(samples=3))
    assert KEY not in str(caught.value)


def test_a_refusal_of_the_real_sdk_is_a_missing_score(gemini: StandIn) -> None:
    gemini.answer = lambda asked: blocked()
    metric = LLMErrorsMetric(samples=2)
    with pytest.raises(MetricError, match="PROHIBITED_CONTENT"):
        score(metric)
    assert metric.usage == Usage(calls=2, prompt_tokens=1000)


DOCS = (Path(__file__).parents[2] / "docs" / "llm-judge.md").read_text(encoding="utf-8")


def test_every_example_of_the_documentation_can_be_made(gemini: StandIn) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", DOCS, flags=re.M | re.S)
    made = [
        make(resolve(options.pop("type"), METRICS, BaseMetric), options)
        for b in blocks
        for options in yaml.safe_load(b)["metrics"]
    ]
    assert [metric.name for metric in made] == [
        "llm",
        "llm_adherence",
        "llm_preference",
        "light",
        "llm_errors",
    ]


def test_the_documentation_names_every_metric_and_every_setting() -> None:
    named = set(re.findall(r"^\| `(\w+)`", DOCS, flags=re.M))
    assert {name for name in METRICS if name.startswith("llm")} <= named
    assert set(settings.KNOWN) <= named
