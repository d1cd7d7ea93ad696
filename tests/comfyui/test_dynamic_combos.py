"""Dynamic combos: what hangs on an option is typed, checked and filled in by the option that is chosen."""

from __future__ import annotations

from typing import Any

import pytest
from cli.space_kit import NEST

from pixaris.comfyui.object_info import InputSpec, ObjectInfo
from pixaris.comfyui.server.declarations import declarations
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.types import GenerationParam

INFO = ObjectInfo(
    {
        **declarations(),
        "DynamicNest": {
            "input": {"required": {"combo": NEST, "images": ["IMAGE"]}},
            "output": ["IMAGE"],
            "output_node": False,
        },
    }
)
SIDES = {"resize_type.width": 30, "resize_type.height": 20, "resize_type.crop": "center"}


def workflow(resize_type: Any = "scale dimensions", **inputs: Any) -> Workflow:
    resize = {"input": ["1", 0], "scale_method": "area", **inputs}
    if resize_type is not None:
        resize["resize_type"] = resize_type
    return Workflow.load(
        {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
            },
            "2": {"class_type": "ResizeImageMaskNode", "inputs": resize, "_meta": {"title": "Resize"}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
        }
    )


def told(graph: Workflow) -> list[str]:
    return [f"{one.where.rpartition(', ')[2]} {one.message}" for one in graph.problems(INFO)]


def test_the_options_are_the_choices_and_carry_their_inputs() -> None:
    spec = INFO.input("ResizeImageMaskNode", "resize_type")
    assert spec is not None
    assert (spec.type, spec.closed, spec.initial) == ("COMBO", True, "scale dimensions")
    assert len(spec.options) == 9
    width = spec.branch("scale width")["width"]
    assert (width.type, width.min, width.max, width.required) == ("INT", 0, 16384, True)
    assert spec.branch("scale sideways") == {}


@pytest.mark.parametrize(
    "raw",
    [
        ["COMFY_DYNAMICCOMBO_V3"],
        ["COMFY_DYNAMICCOMBO_V3", {}],
        ["COMFY_DYNAMICCOMBO_V3", {"options": None}],
        ["COMFY_DYNAMICCOMBO_V3", {"options": [5, {"key": None}, {"inputs": {}}]}],
        ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "a", "inputs": 5}, {"key": "b"}]}],
    ],
)
def test_a_description_of_another_form_is_read_as_far_as_it_goes(raw: Any) -> None:
    spec = InputSpec.parse(raw, required=True)
    assert spec.type in ("COMBO", "COMFY_DYNAMICCOMBO_V3")
    assert all(inputs == {} for _, inputs in spec.branches)


def test_a_sound_node_has_no_problems() -> None:
    assert told(workflow(**SIDES)) == []
    assert told(workflow("scale by multiplier", **{"resize_type.multiplier": 2.0})) == []


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (workflow(**{**SIDES, "resize_type.width": 16385}), "'resize_type.width' must be at most 16384"),
        (workflow(**{**SIDES, "resize_type.crop": "left"}), "'resize_type.crop' must be one of 'disabled'"),
        (workflow(**{"resize_type.width": 3}), "'resize_type.height' is required (INT) and missing"),
        (workflow("scale sideways", **SIDES), "'resize_type' must be one of 'scale dimensions'"),
        (workflow(None, **SIDES), "'resize_type' is required (COMBO) and missing"),
        (workflow(["1", 0], **SIDES), "'resize_type' takes no link"),
        (workflow("match size", **SIDES), "'resize_type.match' is required (IMAGE,MASK) and missing"),
        (
            workflow("match size", **{**SIDES, "resize_type.match": ["2", 9]}),
            "'resize_type.match' is linked to output 9",
        ),
    ],
)
def test_what_the_server_would_refuse_or_fail_on_is_found(graph: Workflow, said: str) -> None:
    assert any(said in message for message in told(graph)), told(graph)


def test_what_hangs_on_another_option_is_not_judged() -> None:
    stale = {**SIDES, "resize_type.width": -5, "resize_type.multiplier": 0.5}
    assert told(workflow("scale by multiplier", **stale)) == []


def bound(graph: Workflow, **values: Any) -> dict[str, Any]:
    params = [GenerationParam("Resize", name.replace("__", "."), value) for name, value in values.items()]
    inputs: dict[str, Any] = graph.bind(params, INFO).as_dict()["2"]["inputs"]
    return inputs


def test_values_are_typed_by_the_option_that_is_bound_with_them() -> None:
    inputs = bound(workflow(**SIDES), resize_type__multiplier=2, resize_type="scale by multiplier")
    assert inputs["resize_type"] == "scale by multiplier"
    assert (inputs["resize_type.multiplier"], type(inputs["resize_type.multiplier"])) == (2.0, float)
    with pytest.raises(WorkflowError, match=r"must be at most 8\.0"):
        bound(workflow(**SIDES), resize_type__multiplier=9, resize_type="scale by multiplier")
    with pytest.raises(WorkflowError, match="must be one of 'scale dimensions'"):
        bound(workflow(**SIDES), resize_type="scale sideways")


def test_another_option_is_filled_in_as_the_user_interface_does() -> None:
    inputs = bound(workflow(**SIDES), resize_type="scale total pixels")
    assert (inputs["resize_type.megapixels"], inputs["resize_type.multiple"]) == (1.0, 1)
    assert told(workflow(**inputs)) == []
    kept = bound(workflow(**SIDES), resize_type="scale width")
    assert kept["resize_type.width"] == 30


def test_what_another_option_left_behind_and_does_not_fit_is_replaced() -> None:
    stale = workflow("scale width", **{"resize_type.width": 5, "resize_type.multiplier": 99.0})
    assert bound(stale, resize_type="scale by multiplier")["resize_type.multiplier"] == 1.0


def test_without_another_option_nothing_is_added() -> None:
    graph = workflow(**SIDES)
    assert bound(graph, resize_type="scale dimensions") == graph.as_dict()["2"]["inputs"]
    assert bound(graph, scale_method="lanczos").keys() == graph.as_dict()["2"]["inputs"].keys()


def nested(**inputs: Any) -> Workflow:
    return Workflow.load(
        {
            "1": {
                "class_type": "EmptyImage",
                "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
            },
            "2": {"class_type": "DynamicNest", "inputs": {"images": ["1", 0], **inputs}},
            "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "x"}},
        }
    )


def test_an_option_may_bring_a_choice_that_brings_inputs() -> None:
    deep = {"combo": "deep", "combo.sub": "floats", "combo.sub.float_x": 0.5, "combo.sub.float_y": 2}
    (message,) = told(nested(**deep))
    assert "'combo.sub.float_y' must be at most 1.0" in message
    (message,) = told(nested(combo="deep"))
    assert "'combo.sub' is required (COMBO) and missing" in message
    assert told(nested(combo="plain")) == []
    filled = nested(combo="plain").bind([GenerationParam("2", "combo", "deep")], INFO)
    assert told(filled) == []
    assert filled.value("2", "combo.sub.float_x") == 0.5


def test_a_fixed_choice_is_judged_with_what_hangs_on_it_left_to_it() -> None:
    graph = workflow(**SIDES)
    assert graph.problems(INFO, [("Resize", "resize_type")]) == []
