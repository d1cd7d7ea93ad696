"""Widgets that hold structures: their literals are read, bound, checked and seen as models by their names."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.comfyui.graph import structure
from pixaris.comfyui.graph.node import freeze, thaw
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.types import GenerationParam

LORAS = {
    "PowerLoraLoaderHeaderWidget": {"type": "PowerLoraLoaderHeaderWidget"},
    "lora_1": {"on": True, "lora": "style.safetensors", "strength": 0.8},
    "lora_2": {"on": False, "lora": "detail.safetensors", "strength": 1},
    "sizes": {"__value__": [512, 768]},
    "single": {"__value__": 5},
    "model": ["4", 0],
}


def workflow(**inputs: Any) -> Workflow:
    return Workflow.load(
        {
            "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}},
            "5": {
                "class_type": "Power Lora Loader (rgthree)",
                "inputs": {**LORAS, **inputs},
                "_meta": {"title": "Loras"},
            },
        }
    )


INFO = ObjectInfo(
    {
        "CheckpointLoaderSimple": {
            "input": {"required": {"ckpt_name": [["sd15.safetensors"]]}},
            "output": ["MODEL", "CLIP", "VAE"],
        },
        "Power Lora Loader (rgthree)": {
            "input": {"required": {}, "optional": {"model": ["MODEL"]}},
            "output": ["MODEL"],
            "output_node": True,
        },
        "LoraLoader": {"input": {"required": {"lora_name": [["style.safetensors", "old.safetensors"]]}}},
    }
)


def bound(input: str, value: Any, info: ObjectInfo | None = None) -> dict[str, Any]:
    inputs: dict[str, Any] = (
        workflow().bind([GenerationParam("Loras", input, value)], info).as_dict()["5"]["inputs"]
    )
    return inputs


@pytest.mark.parametrize("info", [None, INFO])
def test_a_literal_in_a_structure_is_bound_and_nothing_else_changes(info: ObjectInfo | None) -> None:
    before = workflow()
    after = bound("lora_1.strength", 0.25, info)
    assert after == {**LORAS, "lora_1": {"on": True, "lora": "style.safetensors", "strength": 0.25}}
    assert before.value("Loras", "lora_1.strength") == 0.8
    assert before == workflow()


def test_several_literals_of_one_structure_are_bound_together() -> None:
    params = [
        GenerationParam("Loras", "lora_1.strength", 0.5),
        GenerationParam("Loras", "lora_1.on", False),
        GenerationParam("5", "lora_2.strength", 0.1),
    ]
    inputs = workflow().bind(params).as_dict()["5"]["inputs"]
    assert inputs["lora_1"] == {"on": False, "lora": "style.safetensors", "strength": 0.5}
    assert inputs["lora_2"]["strength"] == 0.1


def test_a_wrapped_list_is_named_by_position_and_stays_wrapped() -> None:
    assert workflow().value("Loras", "sizes.1") == 768
    assert bound("sizes.1", 640)["sizes"] == {"__value__": [512, 640]}
    assert workflow().value("Loras", "single") == 5
    assert bound("single", 6)["single"] == {"__value__": 6}


def test_one_literal_under_two_names_is_bound_once() -> None:
    params = [GenerationParam("Loras", "single", 6), GenerationParam("5", "single.__value__", 7)]
    with pytest.raises(WorkflowError, match="is bound twice, to 6 and to 7"):
        workflow().bind(params)


@pytest.mark.parametrize(
    ("input", "value", "said"),
    [
        ("lora_1", 0.5, r"holds a structure.*name one of lora_1.on, lora_1.lora, lora_1.strength"),
        ("lora_1.strenght", 0.5, r"no input 'lora_1.strenght' \(did you mean 'lora_1.strength'\?\)"),
        ("lora_9.strength", 0.5, "no input"),
        ("sizes.2", 1, "no input"),
        ("lora_1.strength", "strong", "must be a number"),
        ("lora_1.on", 1, "must be true or false"),
        ("model.0", "5", "no input"),
    ],
)
def test_what_cannot_be_bound_says_what_can(input: str, value: Any, said: str) -> None:
    with pytest.raises(WorkflowError, match=said):
        bound(input, value)


def test_a_fraction_in_a_structure_stays_one() -> None:
    assert type(bound("lora_1.strength", 1)["lora_1"]["strength"]) is float


def test_a_structure_s_values_are_told_where_a_value_is_asked_for() -> None:
    with pytest.raises(WorkflowError, match=r"name one of lora_1.on, lora_1.lora, lora_1.strength"):
        workflow().value("Loras", "lora_1")


def test_models_in_structures_count_for_affinity_unless_they_are_switched_off() -> None:
    for info in (None, INFO):
        key = workflow().affinity_key(info)
        assert "lora_1.lora=style.safetensors" in key
        assert "detail" not in key
        other = workflow().bind([GenerationParam("Loras", "lora_1.lora", "old.safetensors")])
        assert other.affinity_key(info) != key
        stronger = workflow().bind([GenerationParam("Loras", "lora_1.strength", 0.1)])
        assert stronger.affinity_key(info) == key


def test_a_model_in_a_structure_that_the_server_lacks_is_found() -> None:
    assert workflow().problems(INFO) == []  # detail.safetensors is switched off
    gone = {"on": True, "lora": "stile.safetensors", "strength": 1}
    (problem,) = workflow(lora_1=gone).problems(INFO)
    assert problem.where == "node 'Loras' (Power Lora Loader (rgthree), id 5), input 'lora_1.lora'"
    assert "no such file (got 'stile.safetensors') (did you mean 'style.safetensors'?)" in problem.message
    assert workflow(lora_1=gone).problems(INFO, [("Loras", "lora_1.lora")]) == []


def test_an_input_whose_name_has_dots_comes_before_a_structure() -> None:
    graph = workflow(**{"lora_1.strength": 3}).bind([GenerationParam("Loras", "lora_1.strength", 4)])
    assert graph.as_dict()["5"]["inputs"]["lora_1.strength"] == 4
    assert graph.as_dict()["5"]["inputs"]["lora_1"]["strength"] == 0.8


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from(["a", "b", "a.b", "0", "__value__", ""]), inner, max_size=3)
        | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)


INPUTS = st.dictionaries(
    st.sampled_from(["x", "y", "x.a", "z"]),
    VALUES.filter(lambda value: not isinstance(value, list)),  # a list that is an input itself is a link
    max_size=4,
)


@given(inputs=INPUTS, data=st.data())
def test_every_name_leads_to_a_literal_and_replacing_it_changes_nothing_else(
    inputs: dict[str, Any], data: st.DataObject
) -> None:
    frozen = freeze(inputs)
    found = list(structure.literals(frozen))
    if not found:
        return
    name = data.draw(st.sampled_from([name for name, _ in found]))
    place = structure.find(frozen, name)
    assert place is not None
    assert structure.value_at(frozen, place) in [value for other, value in found if other == name]
    changed = structure.replaced(frozen, place, "new")
    assert structure.value_at(changed, place) == "new"
    assert structure.replaced(changed, place, structure.value_at(frozen, place)) == frozen
    assert thaw(frozen) == inputs
    json.dumps(thaw(changed))


def test_a_workflow_with_structures_pickles_and_reads_back() -> None:
    graph = workflow()
    assert pickle.loads(pickle.dumps(graph)) == graph
    assert Workflow.load(graph.as_dict()) == graph
