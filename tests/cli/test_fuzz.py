"""Whatever comes in: only typed errors with words, no hang, no traceback.

A short form runs with the tests; ``make fuzz`` tries ten thousand cases (``--fuzz-cases``, shared by the four
kinds of input).
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from kit import WORKFLOW
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from space_kit import image_to_image, object_info, structured

from pixaris.cli import files
from pixaris.comfyui import messages
from pixaris.comfyui.graph.saved import workflow_of
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.prompts import failures
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import PixarisError
from pixaris.search.draft.inputs import draft
from pixaris.search.draft.render import Frame, render
from pixaris.search.file.spec import read_search_file
from pixaris.search.objectives import Aim

INFO = object_info()
WORKFLOWS = st.builds(image_to_image) | st.builds(structured)
FRAME = Frame("x", "p", {"path": "./set"}, (), "./w.json", (), Aim({"ssim": {}}, "ssim"), (), 1)
RIGHT: dict[str, Any] = {
    "name": "cells",
    "project": "tests",
    "dataset": "./cells",
    "generator": {"type": "comfyui", "workflow": str(WORKFLOW)},
    "endpoints": {"embedded": 1},
    "generation_params": [{"node_name": "Grow", "input": "expand", "value": 2}],
    "parameters": {
        "radius": {"node_name": "Blur", "input": "blur_radius", "randint": [1, 6]},
        "value": {"node_name": "Threshold", "input": "value", "quniform": [0.2, 0.8, 0.1]},
        "channel": {"node_name": "Channel", "input": "channel", "choice": ["red", "green"]},
    },
    "metrics": [{"type": "iou", "reference": "Mask"}],
    "objective": {"metric": "iou"},
    "search": {"algorithm": "random", "num_samples": 2, "seed": 1},
    "budget": {"images": 100},
}
NUMBERS = [
    float("nan"),
    float("inf"),
    -float("inf"),
    1e308,
    5e-324,
    2**63,
    -(2**64),
    10**99,
    10**400,
    0,
    -1,
    1.5,
]
WORDS = [
    "",
    " ",
    "\0",
    "\ud800",
    "no",
    "1e3",
    "\u2028",
    "../..",
    "x" * 5000,
    "写真 🎨",
    "{a}",
    "*",
    "Blur",
    "blur_radius",
]
NASTY = st.sampled_from([*NUMBERS, *WORDS, [], {}, None, True, False])
VALUES = st.recursive(
    NASTY | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def changed(data: st.DataObject, value: Any, times: int = 3) -> Any:
    """A copy in which some places have something else, are missing, or are deeper."""
    value = copy.deepcopy(value)
    for _ in range(data.draw(st.integers(1, times))):
        at, key, depth = value, None, data.draw(st.integers(1, 6))
        for _ in range(depth):
            if not isinstance(at, dict | list) or not at:
                break
            parent, key = (
                at,
                data.draw(st.sampled_from(sorted(at, key=str) if isinstance(at, dict) else range(len(at)))),
            )
            at = parent[key]
        if key is None:
            return data.draw(VALUES)
        if data.draw(st.booleans()) and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=8) | st.sampled_from(sorted(map(str, parent))))] = data.draw(
                VALUES
            )
        else:
            parent[key] = data.draw(VALUES)
    return value


def refused_with_words(work: Callable[[], object]) -> None:
    """Do it; an error must be ours, and say something that can be printed."""
    said = "no problems"
    try:
        work()
    except PixarisError as error:
        said = str(error)
    assert said.strip()
    assert "Traceback" not in said


@pytest.fixture
def fuzz(request: pytest.FixtureRequest) -> Callable[[Callable[[st.DataObject], None]], None]:
    """Try a test with a quarter of the cases; a single case that takes 10 s hangs."""
    count = max(1, request.config.getoption("--fuzz-cases") // 4)

    def run(test: Callable[[st.DataObject], None]) -> None:
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
        limits = settings(
            max_examples=count,
            deadline=10_000,
            suppress_health_check=checks,
            database=None,
            phases=[Phase.generate],
        )
        limits(given(st.data())(test))()

    return run


def check(path: Path) -> None:
    spec, problems = read_search_file(path)
    spec_endpoints_are_ours = all(source.label.endswith("embedded") for source in spec.endpoints)
    if spec_endpoints_are_ours:  # others would be asked over the network
        files.describe(files.check(spec, problems, probing=True))


def test_search_files(tmp_path: Path, cells: Path, fuzz: Any) -> None:
    path = tmp_path / "x.yaml"
    right = {**RIGHT, "dataset": str(cells)}

    def test(data: st.DataObject) -> None:
        text = yaml.safe_dump(changed(data, right), allow_unicode=data.draw(st.booleans()), sort_keys=False)
        if data.draw(st.integers(0, 4)) == 0:  # and torn or doubled somewhere
            at = data.draw(st.integers(0, len(text)))
            text = (
                text[:at]
                + data.draw(st.text(max_size=10) | st.sampled_from(["&a ", "*a", "[" * 50, "\t", "---\n"]))
                + text[at:]
            )
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        refused_with_words(lambda: check(path))

    fuzz(test)


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "1, " * 330_000 + "1]",
        "".join(f"k{n}: {n}\n" for n in range(80_000)),
        "parameters:\n"
        + "".join(f"  p{n}: {{node_name: Blur, input: sigma, choice: [1]}}\n" for n in range(15_000)),
        "a: " + "9" * 900_000,
        "a: " + "{b: " * 200_000,
        "name: " + "ü" * 450_000,
        "generation_params:\n" + "  - {node_name: Blur, input: sigma, value: .nan}\n" * 18_000,
        "a: &a [1]\nb: [" + "*a, " * 200_000 + "]",
    ],
    ids=["list", "keys", "parameters", "digits", "depth", "unicode", "fixed", "aliases"],
)
def test_a_megabyte_of_yaml_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(PixarisError):
        check(path)


def proposed(workflow: Workflow, info: ObjectInfo, folder: Path) -> None:
    """What can be proposed is a search file that can be read."""
    workflow.problems(info)
    path = folder / "proposed.yaml"
    path.write_text(render(draft(workflow, info), FRAME), encoding="utf-8")
    _, problems = read_search_file(path, need_parameters=False)
    assert problems == []


def test_workflows(tmp_path: Path, fuzz: Any) -> None:
    info = ObjectInfo(INFO)
    path = tmp_path / "w.json"

    def test(data: st.DataObject) -> None:
        text = json.dumps(changed(data, data.draw(WORKFLOWS)))
        path.write_text(
            text if data.draw(st.integers(0, 9)) else text[: data.draw(st.integers(0, len(text)))]
        )
        refused_with_words(lambda: proposed(workflow_of(path), info, tmp_path))

    fuzz(test)


def test_pictures(tmp_path: Path, fuzz: Any) -> None:
    right, info = image_to_image(), ObjectInfo(INFO)
    path = tmp_path / "w.png"

    def test(data: st.DataObject) -> None:
        texts, buffer = PngInfo(), io.BytesIO()
        for key in ("prompt", "workflow"):
            value = json.dumps(changed(data, right) if data.draw(st.booleans()) else data.draw(VALUES))
            texts.add_text(
                key, value[: data.draw(st.integers(0, len(value)))] if data.draw(st.booleans()) else value
            )
        Image.new("RGB", (4, 4)).save(buffer, "PNG", pnginfo=texts)
        content = bytearray(buffer.getvalue())
        for _ in range(data.draw(st.integers(0, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        refused_with_words(lambda: proposed(workflow_of(path), info, tmp_path))

    fuzz(test)


def test_replies_of_servers(tmp_path: Path, fuzz: Any) -> None:
    used = {node["class_type"] for nodes in (image_to_image(), structured()) for node in nodes.values()}
    right = {name: entry for name, entry in INFO.items() if name in used}
    workflow = Workflow.load(image_to_image())
    names = failures.NodeNames(workflow.canonical_json(), workflow.titles)
    record = {
        "p": {
            "outputs": {"9": {"images": [{"filename": "a.png", "subfolder": "", "type": "output"}]}},
            "status": {},
        }
    }

    def test(data: st.DataObject) -> None:
        reply = changed(data, right, times=5)
        if isinstance(reply, dict):
            given_workflow = Workflow.load(data.draw(WORKFLOWS))
            refused_with_words(lambda: proposed(given_workflow, ObjectInfo(reply), tmp_path))
        body = changed(data, record)
        for parse in (lambda: messages.parse_history(body, "p"), lambda: messages.parse_queue(body)):
            with contextlib.suppress(
                ValueError
            ):  # their word for "no such reply", which the client turns into its own
                parse()
        refused_with_words(lambda: messages.parse_event(json.dumps(body).encode()))
        refused_with_words(lambda: failures.refusal(body, "gist", names, "http://h"))

    fuzz(test)
