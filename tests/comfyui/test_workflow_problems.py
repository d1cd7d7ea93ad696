"""What a server would refuse is found before anything is sent, in agreement with two recorded servers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pixaris.comfyui.object_info import InputSpec, ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError

DATA = Path(__file__).parents[1] / "data" / "comfyui"
VERSIONS = ("0.27.0", "0.3.64")
SEG: dict[str, Any] = json.loads((DATA / "workflows" / "02_seg_threshold_grow.json").read_text())
Graph = dict[str, Any]


def info(version: str) -> ObjectInfo:
    return ObjectInfo(json.loads((DATA / f"object_info.{version}.json").read_text()))


def recorded(version: str, case: str) -> Any:
    return json.loads((DATA / "transcripts" / f"{version}-validation.json").read_text())[case]


def told(graph: Graph, version: str = "0.27.0", **more: Any) -> list[str]:
    return [str(problem) for problem in Workflow.load(graph).problems(info(version), **more)]


def put(node: str, input: str, value: Any) -> Callable[[Graph], None]:
    return lambda graph: graph[node]["inputs"].__setitem__(input, value)


def drop(node: str, input: str) -> Callable[[Graph], None]:
    return lambda graph: graph[node]["inputs"].pop(input)


def swap_class(node: str, class_type: str) -> Callable[[Graph], None]:
    return lambda graph: graph[node].__setitem__("class_type", class_type)


def add(key: str, class_type: str, **inputs: Any) -> Callable[[Graph], None]:
    return lambda graph: graph.__setitem__(key, {"class_type": class_type, "inputs": inputs})


def remove(key: str) -> Callable[[Graph], None]:
    return lambda graph: graph.pop(key)


def several(*changes: Callable[[Graph], None]) -> Callable[[Graph], None]:
    def change_all(graph: Graph) -> None:
        for change in changes:
            change(graph)

    return change_all


# Recorded case, the change to the graph that was posted for it, and a word of our message ("" where the
# server took it).
CASES: list[tuple[str, Callable[[Graph], None], str]] = [
    ("unknown_node", swap_class("4", "NoSuchNode"), "no node class 'NoSuchNode'"),
    (
        "missing_input",
        drop("4", "value"),
        "node 'Threshold' (ThresholdMask, id 4), input 'value': is required",
    ),
    ("missing_link_input", drop("4", "mask"), "input 'mask': is required"),
    ("string_for_float", put("4", "value", "abc"), "must be a number (got 'abc')"),
    ("numeric_string_for_float", put("4", "value", "0.3"), ""),
    ("float_for_int", put("5", "expand", 2.9), ""),
    ("numstring_float_for_int", put("5", "expand", "2.9"), "must be a whole number (got '2.9')"),
    ("null_for_int", put("5", "expand", None), "must be a whole number (got null)"),
    ("bool_for_int", put("5", "expand", True), ""),
    ("string_for_bool", put("5", "tapered_corners", "false"), ""),
    ("above_max", put("4", "value", 1.5), "must be at most 1.0 (got 1.5)"),
    ("below_min", put("2", "blur_radius", 0), "must be at least 1 (got 0)"),
    ("off_step", put("4", "value", 0.12345), ""),
    (
        "not_in_list",
        put("3", "channel", "purple"),
        "must be one of 'red', 'green', 'blue', 'alpha' (got 'purple')",
    ),
    ("number_for_filename", put("1", "image", 5), "must be the name of an image file (got 5)"),
    ("bad_link_len", put("4", "mask", ["3", 0, 1]), "must be a value or a link"),
    ("bad_link_len1", put("4", "mask", ["3"]), "must be a value or a link"),
    ("link_to_missing_node", put("4", "mask", ["99", 0]), "linked to node '99', which does not exist"),
    ("link_slot_out_of_range", put("4", "mask", ["3", 7]), "output 7 of node 'Channel'"),
    ("link_int_node_id", put("4", "mask", [3, 0]), "node id as text"),
    ("link_str_slot", put("4", "mask", ["3", "0"]), "must be a value or a link"),
    (
        "type_mismatch",
        put("4", "mask", ["2", 0]),
        "must be MASK, but output 0 of node 'Blur' (ImageBlur, id 2) gives IMAGE",
    ),
    ("list_for_float", put("4", "value", [0.1, 0.2]), "a list is always taken for a link"),
    ("dict_value_wrap", put("4", "value", {"__value__": 0.4}), ""),
    ("dict_for_float", put("4", "value", {"a": 0.4}), "must be a number"),
    ("extra_unknown_input", put("4", "no_such_input", 3), ""),
    ("no_outputs", remove("8"), "no node is an output node"),
    ("cycle", put("4", "mask", ["6", 0]), "the links go round in a circle"),
    (
        "two_outputs_one_bad",
        several(
            add("9", "SaveImage", images=["10", 0], filename_prefix="x"),
            add("10", "MaskToImage", mask=["11", 0]),
            add("11", "ThresholdMask", mask=["3", 0], value=7.0),
        ),
        "must be at most 1.0 (got 7.0)",
    ),
    ("unreachable_unknown_node", add("20", "NoSuchNode"), "no node class 'NoSuchNode'"),
    ("unreachable_bad_value", add("20", "ThresholdMask", mask=["3", 0], value=7.0), ""),
    ("unreachable_missing_input", add("20", "ThresholdMask"), ""),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("case", "change", "says"), CASES, ids=[case for case, _, _ in CASES])
def test_problems_agree_with_the_recorded_server(
    version: str, case: str, change: Callable[[Graph], None], says: str
) -> None:
    graph = copy.deepcopy(SEG)
    change(graph)
    reply = recorded(version, case)
    refused = reply["status"] != 200 or bool(reply["body"].get("node_errors"))
    problems = told(graph, version)
    assert bool(problems) == refused == bool(says)
    assert says in "\n".join(problems)
    for node in reply["body"].get("node_errors", {}):
        assert any(f"id {node})" in problem for problem in problems)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", sorted((DATA / "workflows").glob("*.json")), ids=lambda file: file.stem)
def test_workflows_that_ran_have_no_problems(version: str, file: Path) -> None:
    assert Workflow.load(file).problems(info(version)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_many_faults_are_told_at_once_even_behind_a_broken_link(version: str) -> None:
    graph = copy.deepcopy(SEG)
    changes = [
        put("2", "blur_radius", 99),
        put("2", "sigma", "wide"),
        put("3", "channel", "rad"),
        put("4", "value", -1),
        drop("5", "expand"),
        put("6", "mask", ["99", 0]),
        put("7", "mask", ["1", 0]),
        add("20", "ImageBlurr"),
    ]
    for change in changes:
        change(graph)
    problems = told(graph, version)
    assert len(problems) == len(changes)
    for word in (
        "99",
        "'wide'",
        "did you mean 'red'?",
        "at least 0.0",
        "'expand': is required",
        "node '99'",
        "gives IMAGE",
        "'ImageBlur'",
    ):
        assert any(word in problem for problem in problems), word


def test_versions_that_differ_are_told_apart() -> None:
    graph: Graph = {}
    add("1", "EmptyImage", width=8, height=8, batch_size=1, color=0)(graph)
    add("2", "ImageScaleToTotalPixels", image=["1", 0], upscale_method="area", megapixels=0.1)(graph)
    add("3", "SaveImage", images=["2", 0], filename_prefix="x")(graph)
    assert told(graph, "0.3.64") == []
    assert [
        "'resolution_steps': is required (INT) and missing; its default is 1" in p
        for p in told(graph, "0.27.0")
    ] == [True]


def test_a_long_chain_and_a_wide_diamond_are_judged_without_recursion() -> None:
    graph: Graph = {}
    add("0", "EmptyImage", width=8, height=8, batch_size=1, color=0)(graph)
    for step in range(1, 3000):
        add(
            str(step),
            "ImageBlend",
            image1=[str(step - 1), 0],
            image2=[str(step - 1), 0],
            blend_factor=0.5,
            blend_mode="normal",
        )(graph)
    add("end", "SaveImage", images=["2999", 0], filename_prefix="x")(graph)
    assert told(graph) == []
    graph["0"] = {"class_type": "ImageInvert", "inputs": {"image": ["2999", 0]}}
    assert any("go round in a circle" in problem for problem in told(graph))


def test_image_files_are_looked_for_only_when_it_is_known_which_will_be_uploaded() -> None:
    graph = copy.deepcopy(SEG)
    add("30", "LoadImage", image="fixed.png")(graph)
    add("31", "ImageCompositeMasked", destination=["1", 0], source=["30", 0], x=0, y=0, resize_source=False)(
        graph
    )
    graph["2"]["inputs"]["image"] = ["31", 0]
    assert told(graph) == []
    assert [
        "'fixed.png' is not in the server's input folder" in p
        for p in told(graph, pending=[("Load Input Image", "image")])
    ] == [True]
    graph["30"]["inputs"]["image"] = "sub/fixed.png"
    assert told(graph, pending=[("Load Input Image", "image")]) == []
    with pytest.raises(WorkflowError, match="did you mean 'Load Input Image'"):
        told(graph, pending=[("Load Input Imag", "image")])


def test_a_value_that_will_be_bound_is_not_judged() -> None:
    graph = copy.deepcopy(SEG)
    graph["4"]["inputs"]["value"] = 7
    assert told(graph, pending=[("Threshold", "value"), ("Load Input Image", "image")]) == []


def test_a_value_where_only_a_link_works_is_a_problem_though_it_would_fail_only_when_run() -> None:
    graph = copy.deepcopy(SEG)
    graph["4"]["inputs"]["mask"] = 0.5
    assert ["takes MASK from another node" in problem for problem in told(graph)] == [True]


def test_both_combo_spellings_and_bare_types_are_read() -> None:
    read = ObjectInfo(
        {
            "A": {
                "input": {
                    "required": {
                        "old": [["a", "b"], {}],
                        "new": ["COMBO", {"options": ["a", 2]}],
                        "bare": ["IMAGE"],
                    },
                    "optional": {
                        "n": ["INT", {"default": 3, "min": 1, "max": 2**64 - 1}],
                        "far": ["COMBO", {"remote": {"route": "/x"}}],
                    },
                    "hidden": {"prompt": "PROMPT"},
                },
                "output": ["IMAGE", ["a", "b"]],
                "output_node": True,
            },
            "Odd": {"input": None},
            "Broken": "text",
        }
    )
    assert read.input("A", "old") == InputSpec("COMBO", True, options=("a", "b"))
    assert read.input("A", "new") == InputSpec("COMBO", True, options=("a", 2))
    assert read.input("A", "bare") == InputSpec("IMAGE", True)
    assert read.input("A", "n") == InputSpec("INT", False, default=3, min=1, max=2**64 - 1)
    far = read.input("A", "far")
    assert far is not None
    assert not far.closed
    assert read.input("A", "prompt") is None
    assert read.outputs("A") == ("IMAGE", "COMBO")
    assert read.is_output("A")
    assert read.classes() == ("A", "Odd")


def test_unions_wildcards_and_types_worked_out_later_do_not_count_as_mismatch() -> None:
    classes = ObjectInfo(
        {
            "Source": {"input": {}, "output": ["IMAGE", "MASK", "*", "COMFY_MATCHTYPE_V3", "LATENT"]},
            "Sink": {
                "input": {
                    "required": {
                        "a": ["IMAGE,MASK"],
                        "b": ["*"],
                        "c": ["IMAGE"],
                        "many": ["COMFY_AUTOGROW_V3", {}],
                    }
                },
                "output_node": True,
            },
        }
    )

    def judged(a: int, b: int, c: int) -> list[str]:
        inputs = {"a": ["1", a], "b": ["1", b], "c": ["1", c], "many.item0": ["1", 0]}
        graph = {"1": {"class_type": "Source", "inputs": {}}, "2": {"class_type": "Sink", "inputs": inputs}}
        return [str(problem) for problem in Workflow.load(graph).problems(classes)]

    assert judged(0, 4, 2) == judged(1, 0, 3) == judged(3, 1, 0) == []
    assert len(judged(4, 0, 4)) == 2
