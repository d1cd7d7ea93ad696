"""What two real servers said is read right, and what no server says does no harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.comfyui.messages import (
    ImageRef,
    PromptRecord,
    is_sane,
    parse_event,
    parse_history,
    parse_made,
    parse_queue,
)
from pixaris.comfyui.prompts.failures import NodeNames, outcome_error, refusal
from pixaris.exceptions import ExecutionError, InterruptedPromptError, OutOfMemoryError

DATA = Path(__file__).parents[1] / "data" / "comfyui"
VERSIONS = ("0.27.0", "0.3.64")
SEG = (DATA / "workflows" / "02_seg_threshold_grow.json").read_text()


def transcript(version: str, name: str) -> Any:
    return json.loads((DATA / "transcripts" / f"{version}-{name}.json").read_text())


def ended(version: str, name: str) -> PromptRecord:
    recorded = transcript(version, name)
    prompt_id = recorded["post"]["prompt_id"]
    record = parse_history({prompt_id: recorded["history"]}, prompt_id)
    assert record is not None
    return record


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["ws-success", "ws-cached", "ws-execution-error", "ws-interrupt"])
def test_a_recorded_run_starts_once_and_ends_once_at_its_last_message(version: str, name: str) -> None:
    recorded = transcript(version, name)
    events = [parse_event(json.dumps(message).encode()) for _, message in recorded["ws"]]
    ours = [event for event in events if event and event.prompt_id == recorded["post"]["prompt_id"]]
    assert [event.kind for event in ours].count("execution_start") == 1
    assert [event.ended for event in ours] == [False] * (len(ours) - 1) + [True]


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_endings_are_told_apart(version: str) -> None:
    success = ended(version, "ws-success")
    assert success.status == "success"
    [(_, [image])] = success.images.items()
    assert is_sane(image)
    assert success.seconds is not None
    assert 0 < success.seconds < 10
    error = ended(version, "ws-execution-error")
    assert error.status == "error"
    raised = outcome_error(error, NodeNames(SEG), "http://h")
    assert isinstance(raised, ExecutionError)
    assert "IndexError: index 3 is out of bounds for dimension 3 with size 3" in str(raised)
    assert "Traceback" not in str(raised)
    interrupted = ended(version, "ws-interrupt")
    assert interrupted.status == "interrupted"
    assert isinstance(outcome_error(interrupted, NodeNames(SEG), ""), InterruptedPromptError)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_queue_is_read_in_execution_order(version: str) -> None:
    body = transcript(version, "queue")["queue"]
    queue = parse_queue(body)
    numbers = {item[1]: item[0] for item in body["queue_pending"]}
    assert [numbers[key] for key in queue.pending] == sorted(numbers.values())
    assert len(queue.running) == 1
    assert queue.running[0] in queue
    assert not queue.stands_still


@pytest.mark.parametrize("version", VERSIONS)
def test_every_recorded_refusal_names_its_node_and_quotes_the_server(version: str) -> None:
    for case, reply in transcript(version, "validation").items():
        if reply["status"] == 200 and not reply["body"].get("node_errors"):
            continue
        found = refusal(reply["body"], f"HTTP {reply['status']}", NodeNames(SEG), "http://h")
        text = str(found.error)
        assert "traceback" not in text.lower(), case
        assert len(text) < 1500, case
        for node in reply["body"]["node_errors"] if isinstance(reply["body"], dict) else ():
            for error in reply["body"]["node_errors"][node]["errors"]:
                assert error["message"] in text, case
        assert found.missing_file == (case == "missing_file")
    reply = transcript(version, "validation")["above_max"]
    assert str(refusal(reply["body"], "", NodeNames(SEG), "http://h").error) == (
        "node 'Threshold': input 'value': Value 1.5 bigger than max of 1.0 [http://h]"
    )
    unknown = transcript(version, "validation")["unknown_node"]
    assert refusal(unknown["body"], "", NodeNames(SEG), "").error.node == "Threshold"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("torch.cuda.OutOfMemoryError", "Allocation failed"),
        ("torch.OutOfMemoryError", ""),
        ("RuntimeError", "CUDA error: out of memory"),
        ("RuntimeError", "Allocation on device 0 would exceed allowed memory."),
    ],
)
def test_ways_to_run_out_of_memory(kind: str, message: str) -> None:
    record = PromptRecord(
        "error", error={"exception_type": kind, "exception_message": message, "node_id": "2"}
    )
    error = outcome_error(record, NodeNames(SEG), "")
    assert isinstance(error, OutOfMemoryError)
    assert error.node == "Blur"


def test_titles_given_win_and_unknown_nodes_go_by_class() -> None:
    names = NodeNames(SEG, [("2", "Softener")])
    assert names.name("2") == "Softener"
    assert names.name("3") == "Channel"
    assert NodeNames('{"7": {"class_type": "KSampler", "inputs": {}}}').name("7") == "KSampler (id 7)"
    assert names.name("99", "Expanded") == "Expanded (id 99)"
    for broken in ("{", "[]", '{"7": 5}'):
        assert NodeNames(broken).name("7") == "node (id 7)"


@pytest.mark.parametrize(
    ("ref", "sane"),
    [
        (ImageRef("a_00001_.png", "", "output"), True),
        (ImageRef("._00001_.png", "", "output"), True),
        (ImageRef("ä b (1).png", "x/y", "temp"), True),
        (ImageRef("a.png", "x\\y", "input"), True),
        (ImageRef("..", "", "output"), False),
        (ImageRef("a:b_00001_.png", "x:y", "output"), True),
        (ImageRef("a\\b_00001_.png", "", "output"), True),
        (ImageRef("a..b_00001_.png", "", "output"), True),
        (ImageRef(".hidden_00001_.png", "", "output"), True),
        (ImageRef("a\0.png", "", "output"), False),
        (ImageRef("a/b.png", "", "output"), False),
        (ImageRef("a.png", "x/../..", "output"), False),
        (ImageRef("a.png", "x//y", "output"), False),
        (ImageRef("a.png", "", "models"), False),
    ],
)
def test_sane_image_references(ref: ImageRef, sane: bool) -> None:
    assert is_sane(ref) is sane


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "p",
                    "status",
                    "outputs",
                    "messages",
                    "error",
                    "node_errors",
                    "errors",
                    "extra_info",
                    "data",
                    "1",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_json_does_harm(value: Any) -> None:
    parse_event(json.dumps(value).encode())
    refusal(value, "HTTP 400", NodeNames(SEG), "")
    readers = (lambda body: parse_history(body, "p"), lambda body: parse_history({"p": body}, "p"))
    for read in (parse_queue, lambda body: parse_made(body, "s"), *readers):
        try:
            record = read(value)
        except ValueError:
            continue
        if isinstance(record, PromptRecord):
            outcome_error(record, NodeNames(SEG), "")
            for images in record.images.values():
                for image in images:
                    is_sane(image)
