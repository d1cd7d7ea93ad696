"""Every recorded case of ComfyUI 0.27.0's prompt validation, replayed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest

Graph = dict[str, Any]


def _set(node: str, name: str, value: Any) -> Callable[[Graph], None]:
    return lambda graph: graph[node]["inputs"].__setitem__(name, value)


def _drop(*path: str) -> Callable[[Graph], None]:
    def change(graph: Graph) -> None:
        place: Any = graph
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def _second_output(graph: Graph) -> None:
    graph["11"] = {"class_type": "ThresholdMask", "inputs": {"mask": ["3", 0], "value": 7.0}}
    graph["10"] = {"class_type": "MaskToImage", "inputs": {"mask": ["11", 0]}}
    graph["9"] = {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "bad"}}


def _beside(class_type: str, **inputs: Any) -> Callable[[Graph], None]:
    return lambda graph: graph.__setitem__("20", {"class_type": class_type, "inputs": inputs})


def _both(*changes: Callable[[Graph], None]) -> Callable[[Graph], None]:
    return lambda graph: [change(graph) for change in changes] and None


CHANGES: dict[str, Callable[[Graph], None]] = {
    "unknown_node": lambda graph: graph["4"].__setitem__("class_type", "NoSuchNode"),
    "missing_class_type": _drop("4", "class_type"),
    "missing_inputs_key": _drop("4", "inputs"),
    "missing_input": _drop("4", "inputs", "value"),
    "missing_link_input": _drop("4", "inputs", "mask"),
    "string_for_float": _set("4", "value", "abc"),
    "numeric_string_for_float": _set("4", "value", "0.3"),
    "float_for_int": _set("5", "expand", 2.9),
    "numstring_float_for_int": _set("5", "expand", "2.9"),
    "null_for_int": _set("5", "expand", None),
    "bool_for_int": _set("5", "expand", True),
    "string_for_bool": _set("5", "tapered_corners", "false"),
    "above_max": _set("4", "value", 1.5),
    "below_min": _set("2", "blur_radius", 0),
    "off_step": _set("4", "value", 0.12345),
    "nan": _set("4", "value", math.nan),
    "inf": _set("4", "value", math.inf),
    "not_in_list": _set("3", "channel", "purple"),
    "missing_file": _set("1", "image", "nope.png"),
    "number_for_filename": _set("1", "image", 5),
    "bad_link_len": _set("4", "mask", ["3", 0, 1]),
    "bad_link_len1": _set("4", "mask", ["3"]),
    "link_to_missing_node": _set("4", "mask", ["99", 0]),
    "link_slot_out_of_range": _set("4", "mask", ["3", 5]),
    "link_int_node_id": _set("4", "mask", [3, 0]),
    "link_str_slot": _set("4", "mask", ["3", "0"]),
    "type_mismatch": _set("4", "mask", ["2", 0]),
    "list_for_float": _set("4", "value", [0.1, 0.2]),
    "dict_value_wrap": _set("4", "value", {"__value__": 0.4}),
    "dict_for_float": _set("4", "value", {"a": 0.4}),
    "extra_unknown_input": _set("4", "unheard_of", 1),
    "no_outputs": _drop("8"),
    "empty": lambda graph: graph.clear(),
    "cycle": _set("4", "mask", ["6", 0]),
    "two_outputs_one_bad": _second_output,
    "unreachable_unknown_node": _beside("NoSuchNode"),
    "unreachable_bad_value": _beside("ThresholdMask", mask=["3", 0], value=9.0),
    "unreachable_missing_input": _beside("ThresholdMask"),
    "two_errors": _both(_set("4", "value", 5.0), _set("5", "expand", "x")),
}

UUID = "01234567-89ab-cdef-0123-456789abcdef"
BODIES: dict[str, Callable[[Graph], Any]] = {
    "ui_format_workflow": lambda graph: {
        "prompt": {"last_node_id": 8, "nodes": [{"id": 1}], "links": [], "version": 0.4}
    },
    "raw_not_json": lambda graph: "this is not json",
    "raw_json_text_plain": lambda graph: {"prompt": graph},
    "raw_no_prompt": lambda graph: {"client_id": "x"},
    "raw_prompt_null": lambda graph: {"prompt": None},
    "raw_prompt_list": lambda graph: {"prompt": []},
    "raw_body_list": lambda graph: [],
    "raw_number_string": lambda graph: {"prompt": graph, "number": "abc"},
    "raw_number_float": lambda graph: {"prompt": graph, "number": 3.5},
    "raw_prompt_id_bad": lambda graph: {"prompt": graph, "prompt_id": "abc"},
    "raw_prompt_id_upper": lambda graph: {"prompt": graph, "prompt_id": UUID.upper()},
    "raw_prompt_id_null": lambda graph: {"prompt": graph, "prompt_id": None},
    "raw_prompt_id_ok": lambda graph: {"prompt": graph, "prompt_id": UUID},
    "raw_extra_data_str": lambda graph: {"prompt": graph, "extra_data": "text"},
    "raw_partial_targets": lambda graph: {"prompt": graph, "partial_execution_targets": ["8"]},
    "raw_partial_targets_none": lambda graph: {"prompt": graph, "partial_execution_targets": ["7"]},
}


def _normalised(value: Any, key: str = "") -> Any:
    if key == "traceback":
        return ["(traceback lines)"]
    if key == "filename":
        return re.sub(r"\d+", "N", value)
    if isinstance(value, dict):
        return {name: _normalised(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_normalised(inner) for inner in value]
    return value


def _same(reply: Any, expected: dict[str, Any]) -> None:
    assert reply.status_code == expected["status"], reply.text
    if isinstance(expected["body"], str):
        assert reply.text == expected["body"]
        return
    body, wanted = json.loads(reply.text), expected["body"]
    if reply.status_code == 200:
        body, wanted = body["node_errors"], wanted["node_errors"]
    assert _normalised(body) == _normalised(wanted)


def test_every_recorded_case_is_replayed(recorded: Any) -> None:
    assert {*CHANGES, *BODIES} == set(recorded.transcript("validation"))


@pytest.mark.parametrize("case", CHANGES)
def test_graph_is_answered_as_recorded(client: Any, recorded: Any, case: str) -> None:
    expected = recorded.transcript("validation")[case]
    graph = recorded.seg()
    CHANGES[case](graph)
    reply = client.prompt(graph)
    _same(reply, expected)
    if reply.status_code == 200:
        row = client.wait(reply.json()["prompt_id"])
        assert row["status"]["status_str"] == expected["history_status"]
        assert _normalised(row["outputs"]) == _normalised(expected["history_outputs"])


@pytest.mark.parametrize("case", BODIES)
def test_body_is_answered_as_recorded(client: Any, recorded: Any, case: str) -> None:
    body = BODIES[case](recorded.seg())
    data = body if isinstance(body, str) else json.dumps(body)
    reply = client.post("/prompt", data=data, headers={"Content-Type": "text/plain"})
    expected = recorded.transcript("validation")[case]
    _same(reply, expected)
    if case == "raw_prompt_id_ok":
        assert reply.json()["prompt_id"] == UUID
    if case == "raw_number_float":
        assert reply.json()["number"] == 3.5


def test_counter_starts_at_zero_and_advances_for_refused_prompts(client: Any, recorded: Any) -> None:
    assert client.prompt({}).status_code == 400
    assert client.prompt(recorded.seg(_4_value=9)).status_code == 400
    assert client.prompt(recorded.seg()).json()["number"] == 2
    assert client.prompt(recorded.seg(), front=True).json()["number"] == -3
    assert client.prompt(recorded.seg(), number=-100).json()["number"] == -100.0


def test_converted_literals_are_what_runs_and_what_history_shows(client: Any, recorded: Any) -> None:
    row = client.run(recorded.seg(_4_value="0.25", _5_expand=2.9, _5_tapered_corners="false"))
    graph = row["prompt"][2]
    assert graph["4"]["inputs"]["value"] == 0.25
    assert graph["5"]["inputs"]["expand"] == 2
    assert graph["5"]["inputs"]["tapered_corners"] is True


def test_names_that_lead_out_of_the_folders_are_unknown_files(client: Any, recorded: Any) -> None:
    for name in (
        "../../secret.png",
        "/etc/passwd",
        "sub/../../../x.png",
        "../output/x.png",
        "../x.png [temp]",
    ):
        errors = client.prompt(recorded.seg(_1_image=name)).json()["node_errors"]
        assert errors["1"]["errors"][0]["details"] == f"image - Invalid image file: {name}"


def test_loader_without_a_file_name_fails_as_in_comfyui(client: Any, recorded: Any) -> None:
    graph = recorded.seg()
    del graph["1"]["inputs"]["image"]
    (error,) = client.prompt(graph).json()["node_errors"]["1"]["errors"]
    assert error["type"] == "exception_during_inner_validation"
    assert error["extra_info"]["exception_type"] == "TypeError"
