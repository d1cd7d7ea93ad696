"""What a file is that is no workflow in API format is recognised, and the way out said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixaris.cli import main
from pixaris.comfyui.graph.recognise import fault_of, fault_of_bytes, is_workflow
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError

GRAPH: dict[str, Any] = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
}
EDITORS: dict[str, Any] = {"last_node_id": 2, "nodes": [{"id": 1, "type": "EmptyImage"}], "links": []}
SEARCH = """name: x
dataset: {path: ./photos}
generator: {type: comfyui, workflow: ./w.json}
parameters: {}
"""
BODIES = [
    ({"prompt": GRAPH, "client_id": "a"}, "keep only what stands under 'prompt'"),
    ({"input": {"workflow": GRAPH}}, "keep only what stands under 'input.workflow'"),
    (
        {"input": {"workflow": GRAPH, "images": [{"name": "a"}]}},
        "keep only what stands under 'input.workflow'",
    ),
    ({"input": {"prompt": GRAPH}, "webhook": "x"}, "keep only what stands under 'input.prompt'"),
    ({"extra_data": {}, "output": {"a": [GRAPH]}}, "keep only what stands under 'output.a.0'"),
    (EDITORS, "is a UI-format file"),
    ({"input": {"workflow": EDITORS}}, "holds a workflow in UI format under 'input.workflow'"),
    (
        {"extra_pnginfo": {"workflow": EDITORS}},
        "holds a workflow in UI format under 'extra_pnginfo.workflow'",
    ),
    ({"dataset": {"path": "x"}, "generator": {}, "parameters": {}}, "is a search file, not a workflow"),
]


@pytest.mark.parametrize(("raw", "said"), BODIES)
def test_what_is_no_workflow_is_told(raw: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text(json.dumps(raw))
    for given_as in (raw, path):
        with pytest.raises(WorkflowError, match=said):
            Workflow.load(given_as)


def test_other_files_are_told_by_their_bytes(tmp_path: Path) -> None:
    picture, search = tmp_path / "w.png", tmp_path / "s.yaml"
    Image.new("RGB", (4, 4)).save(picture)
    search.write_text(SEARCH)
    with pytest.raises(WorkflowError, match="is a picture; pixaris space takes it"):
        Workflow.load(picture)
    with pytest.raises(WorkflowError, match="is a search file, not a workflow"):
        Workflow.load(search)


def test_a_workflow_is_one() -> None:
    assert fault_of(GRAPH) == ""
    assert is_workflow(GRAPH)
    assert all(is_workflow(raw) for raw, said in BODIES if "search file" not in said)
    assert not is_workflow({"name": "x", "parameters": {}})
    # a node may be called as a search file's keys are
    assert fault_of({"dataset": GRAPH["1"], "search": GRAPH["2"]}) == ""


@pytest.mark.parametrize(("raw", "said"), BODIES[:-1])
def test_where_a_search_file_is_wanted_a_workflow_is_told(
    raw: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("w.json", "w.yaml"):
        path = tmp_path / name
        path.write_text(json.dumps(raw))
        for command in ("check", "search"):
            assert main([command, str(path)]) == 2
            shown = capsys.readouterr().err
            assert "pixaris space" in shown, shown
            assert shown.count("\n") == 1, shown


def test_where_a_workflow_is_wanted_a_search_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SEARCH)
    assert main(["space", str(path)]) == 2
    assert "is a search file, not a workflow" in capsys.readouterr().err


def test_where_a_search_file_is_wanted_a_picture_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.png"
    Image.new("RGB", (4, 4)).save(path)
    assert main(["check", str(path)]) == 2
    assert "pixaris space" in capsys.readouterr().err


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    raw=st.dictionaries(st.sampled_from(["nodes", "prompt", "input", "class_type", "a"]), JSON, max_size=4)
)
def test_any_mapping_is_judged_without_a_traceback(raw: dict[str, Any]) -> None:
    fault_of(raw)
    is_workflow(raw)
    with pytest.raises(WorkflowError):
        Workflow.load(raw)


@given(data=st.binary(max_size=60))
def test_any_bytes_are_judged_without_a_traceback(data: bytes) -> None:
    assert isinstance(fault_of_bytes(data), str)
