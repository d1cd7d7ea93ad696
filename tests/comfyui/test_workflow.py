"""A workflow finds nodes by title, binds values without changing itself, and reads files strictly."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.types import GenerationParam

DATA = Path(__file__).parents[1] / "data" / "comfyui"
SEG_FILE = DATA / "workflows" / "02_seg_threshold_grow.json"
SEG: dict[str, Any] = json.loads(SEG_FILE.read_text())
INFO = ObjectInfo(json.loads((DATA / "object_info.0.27.0.json").read_text()))
SAMPLER_INFO = ObjectInfo(
    {
        "KSampler": {
            "input": {
                "required": {
                    "model": ["MODEL"],
                    "seed": ["INT", {"min": 0, "max": 2**64 - 1}],
                    "steps": ["INT", {"min": 1, "max": 10000}],
                    "cfg": ["FLOAT", {"min": 0.0, "max": 100.0}],
                    "sampler_name": [["euler", "dpmpp_2m"]],
                    "keep": ["BOOLEAN", {"default": False}],
                },
                "optional": {"denoise": ["FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}]},
            },
            "output": ["LATENT"],
        }
    }
)


def sampler(**inputs: Any) -> dict[str, Any]:
    given_inputs = {
        "model": ["1", 0],
        "seed": 5,
        "steps": 20,
        "cfg": 8,
        "sampler_name": "euler",
        "keep": True,
        **inputs,
    }
    return {
        "1": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "sd15.safetensors"},
            "_meta": {"title": "Model"},
        },
        "3": {"class_type": "KSampler", "inputs": given_inputs, "_meta": {"title": "KSampler"}},
    }


def bound(input: str, value: Any, info: ObjectInfo | None = None, **inputs: Any) -> Any:
    return (
        Workflow.load(sampler(**inputs))
        .bind([GenerationParam("KSampler", input, value)], info)
        .value("KSampler", input)
    )


def fault(input: str, value: Any, info: ObjectInfo | None = None, **inputs: Any) -> str:
    with pytest.raises(WorkflowError) as caught:
        bound(input, value, info, **inputs)
    return str(caught.value)


# Finding nodes


def test_a_node_is_found_by_title_then_by_id() -> None:
    workflow = Workflow.load(SEG)
    assert workflow.node("Blur").id == "2"
    assert workflow.node("2").title == "Blur"
    assert workflow.find("nothing like it") is None


def test_a_title_wins_over_an_equal_id() -> None:
    graph = copy.deepcopy(SEG)
    graph["2"]["_meta"]["title"] = "3"
    assert Workflow.load(graph).node("3").id == "2"


def test_an_unknown_title_names_the_nearest() -> None:
    with pytest.raises(WorkflowError, match=r"'Tresholt' \(did you mean 'Threshold'\?\)"):
        Workflow.load(SEG).node("Tresholt")


def test_a_title_that_stands_twice_is_an_error_with_the_ids() -> None:
    graph = copy.deepcopy(SEG)
    graph["7"]["_meta"]["title"] = "Blur"
    workflow = Workflow.load(graph)
    for look in (workflow.node, workflow.find):
        with pytest.raises(WorkflowError, match=r"'Blur' stands twice \(ids 2, 7\): use the id"):
            look("Blur")
    assert workflow.node("7").class_type == "MaskToImage"


@pytest.mark.parametrize("meta", [None, [], ["", ""], "Blur", 3])
def test_a_meta_that_is_no_object_says_nothing(meta: Any) -> None:
    (node,) = Workflow.load(
        {"1": {"class_type": "ImageBlur", "inputs": {}, "_meta": meta, "is_changed": [1]}}
    ).nodes.values()
    assert node.title == "ImageBlur"
    assert dict(node.extra) == {"is_changed": (1,)}


def test_a_node_without_a_title_goes_by_its_class() -> None:
    graph = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8}}}
    assert Workflow.load(graph).node("EmptyImage").id == "1"
    assert Workflow.load(graph).as_dict() == graph


def test_value_reads_literals_and_refuses_links_and_unknown_inputs() -> None:
    workflow = Workflow.load(SEG)
    assert workflow.value("Blur", "blur_radius") == 2
    with pytest.raises(WorkflowError, match="linked to node 'Load Input Image'"):
        workflow.value("Blur", "image")
    with pytest.raises(WorkflowError, match=r"no input 'sigmaa' \(did you mean 'sigma'\?\)"):
        workflow.value("Blur", "sigmaa")


# Binding


def test_a_fraction_binds_where_a_whole_number_was_exported() -> None:
    assert bound("cfg", 7.5) == 7.5
    assert bound("cfg", 7.5, SAMPLER_INFO) == 7.5


def test_a_fraction_into_an_int_input_is_an_error() -> None:
    assert "must be a whole number (got 7.5)" in fault("steps", 7.5, SAMPLER_INFO)


@pytest.mark.parametrize(
    ("input", "value", "kind"), [("steps", 30.0, int), ("cfg", 7, float), ("seed", 2**63 + 1, int)]
)
def test_int_and_float_sense_follow_the_server(input: str, value: float, kind: type) -> None:
    result = bound(input, value, SAMPLER_INFO)
    assert result == value
    assert type(result) is kind


def test_without_the_server_the_exported_literal_decides() -> None:
    assert type(bound("steps", 30.0)) is int
    assert type(bound("cfg", 7, cfg=8.0)) is float
    assert Workflow.load(sampler()).bind([GenerationParam("KSampler", "cfg", 8.0)]) == Workflow.load(
        sampler()
    )


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(7.5), 7.5),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.uint8(7), 7),
        (np.float64(7.0), 7),
    ],
)
def test_numpy_scalars_become_plain_numbers(value: Any, plain: float) -> None:
    result = bound("cfg", value)
    assert result == plain
    assert type(result) in (int, float)
    json.dumps(result)


def test_booleans_are_no_numbers_and_numbers_no_booleans() -> None:
    assert bound("keep", np.bool_(False)) is False
    assert bound("keep", False, SAMPLER_INFO) is False
    for info in (None, SAMPLER_INFO):
        assert "must be true or false" in fault("keep", 1, info)
        assert "must be true or false" in fault("keep", "false", info)
        assert "number" in fault("steps", True, info)
        assert "number" in fault("cfg", "7", info)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), None, [1, 2], {"a": 1}, object(), np.zeros(3), "\ud800"]
)
def test_what_is_no_json_value_cannot_be_bound(value: Any) -> None:
    fault("cfg", value)
    fault("sampler_name", value, SAMPLER_INFO)


def test_ranges_and_options_are_checked_against_the_server() -> None:
    assert "must be at most 100.0 (got 101.0)" in fault("cfg", 101, SAMPLER_INFO)
    assert "must be at least 1 (got 0)" in fault("steps", 0, SAMPLER_INFO)
    assert "did you mean 'euler'?" in fault("sampler_name", "eulr", SAMPLER_INFO)
    assert "from another node" in fault("model", "x", SAMPLER_INFO, model="left unlinked")


def test_a_linked_input_cannot_be_overwritten() -> None:
    assert "is linked to node 'Model'" in fault("model", "x")
    assert "is linked to node 'Model'" in fault("model", "x", SAMPLER_INFO)


def test_an_input_the_file_leaves_out_binds_only_if_the_server_knows_it() -> None:
    assert "no input 'denoise'" in fault("denoise", 0.5)
    assert bound("denoise", 0.5, SAMPLER_INFO) == 0.5
    assert "did you mean 'denoise'?" in fault("denoisee", 0.5, SAMPLER_INFO)


def test_all_faults_are_told_together() -> None:
    params = [
        GenerationParam("Bluur", "sigma", 1.0),
        GenerationParam("Blur", "sigmaa", 1.0),
        GenerationParam("Blur", "image", 1.0),
        GenerationParam("Grow", "expand", 7.5),
        GenerationParam("Threshold", "value", 3),
        GenerationParam("Feather Border", "left", 4),
    ]
    with pytest.raises(WorkflowError) as caught:
        Workflow.load(SEG_FILE).bind(params, INFO)
    assert [problem.where for problem in caught.value.problems] == [
        "node 'Bluur', input 'sigma'",
        "node 'Blur', input 'sigmaa'",
        "node 'Blur', input 'image'",
        "node 'Grow', input 'expand'",
        "node 'Threshold', input 'value'",
    ]
    assert str(SEG_FILE) in str(caught.value)


def test_binding_one_input_twice_to_different_values_is_an_error() -> None:
    params = [GenerationParam("Blur", "sigma", 1.0), GenerationParam("2", "sigma", 2.0)]
    with pytest.raises(WorkflowError, match=r"bound twice, to 1\.0 and to 2\.0"):
        Workflow.load(SEG).bind(params)


PARAMS = st.lists(
    st.one_of(
        st.builds(GenerationParam, st.just("Blur"), st.just("sigma"), st.floats(0.1, 10.0)),
        st.builds(GenerationParam, st.just("Blur"), st.just("blur_radius"), st.integers(1, 31)),
        st.builds(GenerationParam, st.just("Threshold"), st.just("value"), st.floats(0.0, 1.0)),
        st.builds(GenerationParam, st.just("Grow"), st.just("expand"), st.integers(-50, 50)),
        st.builds(GenerationParam, st.just("Grow"), st.just("tapered_corners"), st.booleans()),
        st.builds(
            GenerationParam, st.just("Channel"), st.just("channel"), st.sampled_from(["red", "green", "blue"])
        ),
    ),
    unique_by=lambda param: (param.node_name, param.input),
)


@given(PARAMS, st.booleans())
def test_binding_never_mutates_is_idempotent_and_touches_only_its_nodes(
    params: list[GenerationParam], known: bool
) -> None:
    original = Workflow.load(SEG)
    before, text = original.as_dict(), original.canonical_json()
    result = original.bind(params, INFO if known else None)
    assert original.as_dict() == before == SEG
    assert original.canonical_json() == text
    assert result.bind(params, INFO if known else None) == result
    for param in params:
        assert result.value(param.node_name, param.input) == param.value
    touched = {original.node(param.node_name).id for param in params}
    for key, node in original.nodes.items():
        if key not in touched:
            assert result.nodes[key] is node
    changed = {(param.node_name, param.input) for param in params}
    for node in original.nodes.values():
        for name, value in node.inputs.items():
            if (node.title, name) not in changed:
                assert result.nodes[node.id].inputs[name] == value


@given(PARAMS)
def test_binding_in_any_order_gives_the_same_payload(params: list[GenerationParam]) -> None:
    forward = Workflow.load(SEG).bind(params).canonical_json()
    assert forward == Workflow.load(SEG).bind(reversed(params)).canonical_json()


def test_nothing_reachable_from_a_workflow_can_be_changed() -> None:
    source = copy.deepcopy(SEG)
    workflow = Workflow.load(source)
    source["2"]["inputs"]["sigma"] = 9.0
    workflow.as_dict()["2"]["inputs"]["sigma"] = 9.0
    assert workflow.value("Blur", "sigma") == 1.0
    inputs: Any = workflow.node("Blur").inputs
    nodes: Any = workflow.nodes
    with pytest.raises(TypeError):
        inputs["sigma"] = 9.0
    with pytest.raises(TypeError):
        nodes["2"] = nodes["3"]
    with pytest.raises(AttributeError):
        workflow.nodes = {}
    assert isinstance(inputs["image"], tuple)


# Images and outputs


def test_an_image_binds_to_the_loader_by_title() -> None:
    workflow = Workflow.load(SEG)
    assert workflow.image_input("Load Input Image") == "image"
    assert (
        workflow.bind_image("Load Input Image", "pixaris/ab.png").value("Load Input Image", "image")
        == "pixaris/ab.png"
    )
    assert workflow.value("Load Input Image", "image") == "cells_00.png"


def test_an_image_binds_to_whatever_input_holds_a_file() -> None:
    graph = {
        "1": {
            "class_type": "MyLoader",
            "inputs": {"picture": "a.webp", "mode": "fast"},
            "_meta": {"title": "In"},
        }
    }
    assert Workflow.load(graph).bind_image("In", "b.png").value("In", "picture") == "b.png"


def test_a_node_that_loads_nothing_takes_no_image_and_the_loaders_are_named() -> None:
    with pytest.raises(
        WorkflowError, match=r"'Blur'.* loads no image file; nodes that do: 'Load Input Image'"
    ):
        Workflow.load(SEG).bind_image("Blur", "b.png")


def test_the_output_is_the_titled_node_else_the_only_save_node_else_the_only_preview() -> None:
    quant = json.loads((DATA / "workflows" / "05_quantize_invert_crop.json").read_text())
    assert Workflow.load(quant).output_node().id == "5"
    assert Workflow.load(quant).output_node("Preview Quantized").id == "6"
    titled = copy.deepcopy(quant)
    titled["6"]["_meta"]["title"] = "Save Image"
    assert Workflow.load(titled).output_node().id == "6"
    preview_only = {key: node for key, node in quant.items() if key != "5"}
    assert Workflow.load(preview_only).output_node().id == "6"
    with pytest.raises(WorkflowError, match=r"'Save Ouput' .*did you mean 'Save Output'"):
        Workflow.load(quant).output_node("Save Ouput")


def test_an_unclear_output_lists_the_candidates() -> None:
    two = copy.deepcopy(SEG)
    two["9"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}, "_meta": {"title": "Save Copy"}}
    with pytest.raises(
        WorkflowError, match=r"candidates: 'Save Output' \(SaveImage, id 8\), 'Save Copy' \(SaveImage, id 9\)"
    ):
        Workflow.load(two).output_node()
    none = {key: node for key, node in SEG.items() if key != "8"}
    with pytest.raises(WorkflowError, match="candidates: 'Mask To Image'"):
        Workflow.load(none).output_node()


def test_seeds_are_literal_inputs_only() -> None:
    graph = sampler()
    graph["4"] = {"class_type": "KSampler", "inputs": {"seed": ["3", 0]}, "_meta": {"title": "Second"}}
    graph["5"] = {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}, "_meta": {"title": "Noise"}}
    assert [(node.title, name) for node, name in Workflow.load(graph).seeds()] == [
        ("KSampler", "seed"),
        ("Noise", "noise_seed"),
    ]


# Digest form, equality, pickling


def test_the_canonical_form_ignores_titles_and_order_and_nothing_else() -> None:
    renamed = copy.deepcopy(SEG)
    renamed["2"]["_meta"]["title"] = "Softener"
    shuffled = dict(reversed(renamed.items()))
    assert Workflow.load(shuffled).canonical_json() == Workflow.load(SEG).canonical_json()
    assert Workflow.load(renamed) != Workflow.load(SEG)
    assert json.loads(Workflow.load(SEG).canonical_json())["2"] == {
        "class_type": "ImageBlur",
        "inputs": SEG["2"]["inputs"],
    }
    changed = Workflow.load(SEG).bind([GenerationParam("Blur", "sigma", 1.25)])
    assert changed.canonical_json() != Workflow.load(SEG).canonical_json()


def test_equality_is_by_content_and_tells_true_from_one() -> None:
    assert Workflow.load(SEG) == Workflow.load(SEG_FILE)
    assert hash(Workflow.load(SEG)) == hash(Workflow.load(SEG_FILE))
    assert Workflow.load(sampler(steps=1)) != Workflow.load(sampler(steps=True))


def test_it_pickles_and_reads_back_as_exported() -> None:
    workflow = Workflow.load(SEG_FILE)
    again = pickle.loads(pickle.dumps(workflow))
    assert again == workflow
    assert again.source == str(SEG_FILE)
    assert pickle.loads(pickle.dumps(workflow.node("Blur"))) == workflow.node("Blur")
    assert workflow.as_dict() == SEG
    assert pickle.loads(pickle.dumps(INFO)) == INFO


def test_affinity_is_the_set_of_model_files() -> None:
    base = Workflow.load(sampler())
    assert base.affinity_key() == "ckpt_name=sd15.safetensors"
    assert base.bind([GenerationParam("KSampler", "steps", 3)]).affinity_key() == base.affinity_key()
    other = base.bind([GenerationParam("Model", "ckpt_name", "sdxl.safetensors")])
    assert other.affinity_key() != base.affinity_key()
    assert Workflow.load(SEG).affinity_key() == Workflow.load(SEG).affinity_key(INFO) == ""


def test_affinity_leaves_out_nodes_that_work_on_images_and_asks_the_server_about_odd_names() -> None:
    graph = sampler()
    graph["8"] = {"class_type": "FaceFix", "inputs": {"image": ["3", 0], "model_name": "face.pth"}}
    graph["9"] = {"class_type": "OddLoader", "inputs": {"weights": "b", "mode": "fast"}}
    info = ObjectInfo(
        {
            "OddLoader": {
                "input": {"required": {"weights": [["a.ckpt", "b"]], "mode": [["fast", "slow"]]}},
                "output": ["MODEL"],
            },
            "CheckpointLoaderSimple": {
                "input": {"required": {"ckpt_name": [[]]}},
                "output": ["MODEL", "CLIP", "VAE"],
            },
        }
    )
    assert Workflow.load(graph).affinity_key() == "ckpt_name=sd15.safetensors"
    assert Workflow.load(graph).affinity_key(info) == "ckpt_name=sd15.safetensors\nweights=b"


# Files


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[1, 2]", "holds a JSON list"),
        ('"text"', "holds a JSON text"),
        ("{}", "has no nodes"),
        ('{"1": {"class_type": "A", "inputs": {"x": NaN}}}', "NaN is not a JSON number"),
        ('{"1": {"class_type": "A", "inputs": {"x": -Infinity}}}', "-Infinity is not a JSON number"),
        ('{"1": {"class_type": "A", "inputs": {"x": 1e999}}}', "node '1': inf is not a number"),
        (
            '{"1": {"class_type": "A", "inputs": {}}, "1": {"class_type": "B", "inputs": {}}}',
            "the key '1' stands twice",
        ),
        ('{"1": {"class_type": "A", "inputs": {"x": "\\ud800"}}}', "half a surrogate pair"),
        ('{"1": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        (
            '{"1": {"class_type": "A", "inputs": {"x": ' + "[" * 100 + "]" * 100 + "}}}",
            "nested more than 64 levels",
        ),
        ('{"1": {"class_type": "A", "inputs": {"x": ' + "9" * 5000 + "}}}", "not valid JSON"),
        (
            '{"1": {"inputs": {}}, "2": {"class_type": "A"}, "3": 7, "4": {"class_type": "A", "inputs": {}}}',
            "3 problems",
        ),
        ('{"prompt": {"1": {"class_type": "A", "inputs": {}}}, "client_id": "x"}', "request body"),
    ],
)
def test_a_file_that_is_no_workflow_is_refused_with_its_name(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "flow.json"
    file.write_text(text)
    with pytest.raises(WorkflowError) as caught:
        Workflow.load(file)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(file))
    assert len(str(caught.value)) < 1500


def test_a_ui_format_file_is_recognised_and_the_way_out_told(tmp_path: Path) -> None:
    ui = {"last_node_id": 3, "nodes": [{"id": 3, "type": "KSampler"}], "links": [], "version": 0.4}
    with pytest.raises(WorkflowError, match=r"UI-format.*Export \(API\)"):
        Workflow.load(ui)


def test_missing_unreadable_and_binary_files_are_named(tmp_path: Path) -> None:
    paths: list[tuple[str | Path, str]] = [
        (tmp_path / "none.json", "does not exist"),
        (tmp_path, "cannot be read"),
        ("x" * 5000, "cannot be read"),
        ("a\0b", "cannot be read"),
    ]
    for path, says in paths:
        with pytest.raises(WorkflowError, match=says):
            Workflow.load(path)
    binary = tmp_path / "image.json"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(WorkflowError, match="is a picture; pixaris space takes it"):
        Workflow.load(str(binary))
    binary.write_bytes(b"GIF89a\xff\xfe")
    with pytest.raises(WorkflowError, match="not UTF-8"):
        Workflow.load(str(binary))


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    file = tmp_path / "flow.json"
    file.write_bytes(b"\xef\xbb\xbf" + SEG_FILE.read_bytes())
    assert Workflow.load(file) == Workflow.load(SEG)


def test_a_dict_is_read_as_strictly_as_a_file() -> None:
    loop: dict[str, Any] = {"class_type": "A", "inputs": {}}
    loop["inputs"]["x"] = loop
    wrong: list[dict[Any, Any]] = [
        {3: {"class_type": "A", "inputs": {}}},
        {"1": {"class_type": "A", "inputs": {"x": float("nan")}}},
        {"1": {"class_type": "A", "inputs": {"x": {1, 2}}}},
        {"1": loop},
    ]
    for graph in wrong:
        with pytest.raises(WorkflowError, match="node "):
            Workflow.load(graph)
