"""The order of trials: a few models at a time, every set once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import plan_of

from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.managed import ManagedSource
from pixaris.endpoints.sources.static import StaticSource
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.search.algorithms import ordering
from pixaris.search.driver.plan import SearchPlan
from pixaris.search.space.domain import Domain
from pixaris.search.space.space import Parameter, Space, Target
from pixaris.types import ParamValue

KEYS = st.lists(st.sampled_from("abcde"), max_size=40)


def order(keys: str, at_once: int) -> str:
    return "".join(keys[index] for index in ordering.by_models(keys, at_once))


def test_models_take_turns_as_many_as_there_are_endpoints() -> None:
    assert order("aaabbbccc", 4) == "abcabcabc"
    assert order("aaabbbccc", 2) == "abababccc"
    assert order("aaabbbccc", 1) == "aaabbbccc"


def test_a_model_that_is_through_leaves_its_place_to_the_next() -> None:
    assert order("aaaabcd", 2) == "abacada"


def test_sets_that_need_no_models_keep_their_order() -> None:
    assert ordering.by_models([""] * 5, 4) == [0, 1, 2, 3, 4]


@given(KEYS, st.integers(1, 6))
def test_every_set_is_there_once_and_those_of_a_model_in_their_order(keys: list[str], at_once: int) -> None:
    found = ordering.by_models(keys, at_once)
    assert sorted(found) == list(range(len(keys)))
    assert found[:1] == list(range(len(keys)))[:1], "the baseline stays first"
    for key in set(keys):
        own = [index for index in found if keys[index] == key]
        assert own == sorted(own)


@given(KEYS, st.integers(1, 6))
def test_no_more_models_are_under_way_than_at_once(keys: list[str], at_once: int) -> None:
    ordered = [keys[index] for index in ordering.by_models(keys, at_once)]
    spans = {key: (ordered.index(key), len(ordered) - 1 - ordered[::-1].index(key)) for key in ordered}
    for place in range(len(ordered)):
        assert sum(first <= place <= last for first, last in spans.values()) <= at_once


def test_one_at_a_time_changes_the_model_as_seldom_as_can_be() -> None:
    ordered = order("abcabcabc", 1)
    assert sum(first != second for first, second in pairwise(ordered)) == 2


SPACE = Space(
    (
        Parameter("model", (Target("Model", "ckpt_name"),), Domain("grid_search", options=("a", "b", "c"))),
        Parameter(
            "sampler", (Target("KSampler", "sampler_name"),), Domain("choice", options=("euler", "ddim"))
        ),
        Parameter("lora", (Target("Lora", "lora_name"),), Domain("choice", options=("x", "y"))),
        Parameter("cfg", (Target("KSampler", "cfg"),), Domain("grid_search", options=(4.0, 8.0))),
    )
)
BASELINE: dict[str, ParamValue] = {"model": "a", "sampler": "euler", "lora": "x", "cfg": 8.0}


def key_of(values: Mapping[str, ParamValue]) -> str:
    return f"{values['model']}+{values['lora']}"


def test_the_parameters_that_decide_about_models_are_found() -> None:
    assert ordering.deciding(SPACE, BASELINE, key_of) == ("model", "lora")
    assert ordering.deciding(SPACE, BASELINE, lambda values: "") == ()


def test_as_many_models_at_once_as_there_are_models_and_endpoints() -> None:
    assert [ordering.models_at_once(SPACE, ("model", "lora"), endpoints) for endpoints in (0, 1, 4, 64)] == [
        1,
        1,
        4,
        6,
    ]
    assert ordering.models_at_once(SPACE, (), 64) == 1


def test_sets_that_agree_in_what_decides_are_looked_at_once() -> None:
    asked = []

    def counted(values: Mapping[str, ParamValue]) -> str:
        asked.append(values)
        return key_of(values)

    found = ordering.keys(list(SPACE.grid()), ("model", "lora"), counted)
    assert found == [key_of(values) for values in SPACE.grid()]
    assert len(asked) == 6


WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "b"}, "_meta": {"title": "Model"}},
    "2": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "cfg": 8.0, "sampler_name": "euler"}},
    "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
}


def plan(*sources: EndpointSource, folder: Path, **changes: Any) -> SearchPlan:
    space = Space(
        (
            Parameter(
                "model", (Target("Model", "ckpt_name"),), Domain("grid_search", options=("a", "b", "c"))
            ),
            Parameter(
                "sampler", (Target("2", "sampler_name"),), Domain("grid_search", options=("euler", "ddim"))
            ),
            Parameter("cfg", (Target("2", "cfg"),), Domain("grid_search", options=(4.0, 8.0))),
        )
    )
    settings = {"algorithm": "grid", **changes}
    generator = ComfyGenerator(WORKFLOW)
    return plan_of(folder, generator=generator, space=space, sources=sources, items=8, **settings)


def test_a_search_over_checkpoints_has_one_trial_for_each_that_is_worked_on(tmp_path: Path) -> None:
    four = [StaticSource(f"http://m{index}") for index in range(4)]
    assert (plan(*four, folder=tmp_path).models_at_once, plan(*four, folder=tmp_path).pace.concurrent) == (
        3,
        3,
    )
    assert plan(ManagedSource(("x",), replicas=2), folder=tmp_path).models_at_once == 2
    assert replace(plan(four[0], folder=tmp_path), endpoints=9).models_at_once == 3, (
        "a name may stand for many"
    )
    assert plan(*four, folder=tmp_path, max_concurrent=1).models_at_once == 1


@pytest.mark.parametrize(
    ("endpoints", "expected"), [(4, "acbacbacbac"), (2, "abababacccc"), (1, "bbbaaaacccc")]
)
def test_the_checkpoints_take_turns_after_the_baseline(tmp_path: Path, endpoints: int, expected: str) -> None:
    """The baseline, of model b, has had its turn."""
    found = plan(*(StaticSource(f"http://m{index}") for index in range(endpoints)), folder=tmp_path)
    sets = [values for values in found.space.grid() if values != found.baseline]
    order = found.by_models(sets)
    models = "".join(str(sets[index]["model"]) for index in order)
    assert sorted(order) == list(range(11))
    assert models == expected
