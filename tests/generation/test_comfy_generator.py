"""From an item's arguments to a request: images by title, parameters, seeds, the output node."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from kit import DATA, WORKFLOW
from PIL import Image

from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ConfigurationError, ExecutionError, WorkflowError
from pixaris.experiment_handlers.local import LocalExperimentHandler
from pixaris.generation.base import ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.images import EncodedImage
from pixaris.metrics.iou import IoUMetric
from pixaris.orchestration.base import generate_images_based_on_dataset
from pixaris.types import EvalItem, EvalSet, GenerationParam, upload_name

TEXT_TO_IMAGE: dict[str, Any] = {
    "4": {
        "class_type": "CheckpointLoaderSimple",
        "inputs": {"ckpt_name": "x.safetensors"},
        "_meta": {"title": "Model"},
    },
    "3": {
        "class_type": "KSampler",
        "inputs": {"seed": 5, "cfg": 8, "model": ["4", 0]},
        "_meta": {"title": "KSampler"},
    },
    "7": {"class_type": "RandomNoise", "inputs": {"noise_seed": 6}, "_meta": {"title": "Noise"}},
    "8": {"class_type": "KSampler", "inputs": {"seed": ["7", 0], "cfg": 2.5}, "_meta": {"title": "Second"}},
    "9": {
        "class_type": "SaveImage",
        "inputs": {"images": ["3", 0], "filename_prefix": "x"},
        "_meta": {"title": "Save Image"},
    },
}


def payload(generator: ComfyGenerator, item: str = "a", *params: GenerationParam) -> dict[str, Any]:
    request = generator.request(ItemArgs({}, item=item, params=params))
    assert request.item == item
    loaded: dict[str, Any] = json.loads(request.payload)
    return {node: entry["inputs"] for node, entry in loaded.items()}


def test_an_item_has_the_same_seed_in_every_run_and_another_item_another() -> None:
    generator = ComfyGenerator(TEXT_TO_IMAGE)
    first, again, other = (
        payload(generator, "a"),
        payload(ComfyGenerator(TEXT_TO_IMAGE), "a"),
        payload(generator, "b"),
    )
    assert first == again
    assert first["3"]["seed"] != other["3"]["seed"]
    assert first["7"]["noise_seed"] != 6
    assert 0 <= first["3"]["seed"] < 2**32


def test_a_seed_that_is_given_wins_by_title_or_id_and_links_stay() -> None:
    generator = ComfyGenerator(TEXT_TO_IMAGE)
    given = payload(
        generator, "a", GenerationParam("KSampler", "seed", 42), GenerationParam("7", "noise_seed", 43)
    )
    assert (given["3"]["seed"], given["7"]["noise_seed"]) == (42, 43)
    assert given["8"]["seed"] == ["7", 0]


def test_outside_a_run_the_workflows_own_seed_stays() -> None:
    assert payload(ComfyGenerator(TEXT_TO_IMAGE), "")["3"]["seed"] == 5


def test_the_same_parameters_make_the_same_request_and_different_ones_a_different_key() -> None:
    generator = ComfyGenerator(TEXT_TO_IMAGE)

    def key(*params: GenerationParam) -> str:
        return generator.request(ItemArgs({}, item="a", params=params)).cache_key

    assert key() == key()
    assert key(GenerationParam("KSampler", "cfg", 8)) == key()
    assert key(GenerationParam("KSampler", "cfg", 7.5)) != key()


def test_requests_of_one_model_share_their_affinity() -> None:
    generator = ComfyGenerator(TEXT_TO_IMAGE)

    def affinity(*params: GenerationParam) -> str:
        return generator.request(ItemArgs({}, item="a", params=params)).affinity_key

    assert affinity() == affinity(GenerationParam("KSampler", "cfg", 3.0)) != ""
    assert affinity() != affinity(GenerationParam("Model", "ckpt_name", "y.safetensors"))


def test_images_go_to_the_nodes_of_their_titles_under_names_of_their_content() -> None:
    picture = EncodedImage.of(Image.new("RGB", (4, 4), "red"))
    request = ComfyGenerator(WORKFLOW).request(ItemArgs({}, item="a", images={"Load Input Image": picture}))
    assert json.loads(request.payload)["1"]["inputs"]["image"] == upload_name(picture)
    assert [(image.node_id, image.input, image.image) for image in request.images] == [
        ("1", "image", picture)
    ]
    assert pickle.loads(pickle.dumps(request)) == request


def test_the_generator_itself_never_changes() -> None:
    generator = ComfyGenerator(TEXT_TO_IMAGE)
    before = generator.workflow.as_dict()
    payload(generator, "a", GenerationParam("KSampler", "cfg", 1.0))
    assert generator.workflow.as_dict() == before == ComfyGenerator(TEXT_TO_IMAGE).workflow.as_dict()


def test_everything_that_does_not_fit_the_eval_set_is_told_at_once() -> None:
    picture = EncodedImage.of(Image.new("RGB", (4, 4)))
    items = (EvalItem(0, "a", {"Inptu": picture}),)
    args = ItemArgs({}, images={"Load Inspo Image": picture}, params=(GenerationParam("Blur", "sgima", 1.0),))
    problems = "\n".join(map(str, ComfyGenerator(WORKFLOW).problems(EvalSet("cells", items), args)))
    for words in (
        "'Inptu'",
        "'Load Inptu Image'",
        "did you mean 'Load Input Image'",
        "'Load Inspo Image'",
        "'sgima'",
    ):
        assert words in problems


def test_an_output_node_that_is_not_there_is_told_when_the_generator_is_made() -> None:
    with pytest.raises(WorkflowError, match="'Save Outptu'"):
        ComfyGenerator(WORKFLOW, output_node="Save Outptu")


def test_a_single_image_of_a_plain_dict(endpoints: list[str]) -> None:
    generator = ComfyGenerator(
        DATA / "workflows" / "01_empty_smoke.json", endpoints[0].removeprefix("http://")
    )
    args = {"generation_params": [{"node_name": "Canvas", "input": "color", "value": 0x0A141E}]}
    image, name = generator.generate_single_image(args)
    assert (image.size, image.getpixel((0, 0)), name) == ((64, 48), (10, 20, 30), "generated.png")


def test_another_output_node_gives_another_image(endpoints: list[str]) -> None:
    workflow = DATA / "workflows" / "05_quantize_invert_crop.json"
    picture = Image.open(DATA / "assets" / "input" / "cells_00.png")
    args = {"pillow_images": [{"node_name": "Load Input Image", "pillow_image": picture}]}
    saved, _ = ComfyGenerator(workflow, endpoints[0]).generate_single_image(args)
    shown, _ = ComfyGenerator(workflow, endpoints[0], output_node="Preview Quantized").generate_single_image(
        args
    )
    assert saved.size == shown.size == (96, 80)
    assert saved.tobytes() != shown.tobytes()


def test_a_workflow_without_input_images_runs_over_a_list_of_names(
    endpoints: list[str], tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "items.txt").write_text("one\ntwo\n")
    run = generate_images_based_on_dataset(
        LocalDatasetLoader.at(tmp_path / "set"),
        ComfyGenerator(DATA / "workflows" / "01_empty_smoke.json", endpoints[0]),
        LocalExperimentHandler(tmp_path / "results"),
        [],
        {"project": "p", "experiment_run_name": "r"},
    )
    assert [(item.name, item.error) for item in run.items] == [("one", None), ("two", None)]
    assert run.status == "finished"


def test_a_node_that_raises_is_named_by_its_title(endpoints: list[str]) -> None:
    args = {
        "generation_params": [{"node_name": "Channel", "input": "channel", "value": "alpha"}],
        "pillow_images": [{"node_name": "Load Input Image", "pillow_image": Image.new("RGB", (40, 40))}],
    }
    with pytest.raises(ExecutionError, match=r"node 'Channel'.*index 3 is out of bounds") as caught:
        ComfyGenerator(WORKFLOW, endpoints[0]).generate_single_image(args)
    assert endpoints[0] in str(caught.value)


def test_a_value_of_the_wrong_type_is_told_before_it_is_sent(endpoints: list[str]) -> None:
    args = {"generation_params": [{"node_name": "Blur", "input": "blur_radius", "value": "much"}]}
    with pytest.raises(ConfigurationError, match="blur_radius"):
        ComfyGenerator(WORKFLOW, endpoints[0]).generate_single_image(args)


@pytest.mark.parametrize("value", [7.5, 99])
def test_a_run_asks_the_server_which_values_fit(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path, value: float
) -> None:
    args = {"generation_params": [{"node_name": "Blur", "input": "blur_radius", "value": value}]}
    with pytest.raises(ConfigurationError, match="blur_radius"):
        generate_images_based_on_dataset(
            cells_loader, ComfyGenerator(WORKFLOW, endpoints[0]), LocalExperimentHandler(tmp_path), [], args
        )
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_is_told_at_once(
    cells_loader: LocalDatasetLoader, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"http://127\.0\.0\.1:9.*refused"):
        generate_images_based_on_dataset(
            cells_loader, ComfyGenerator(WORKFLOW, "127.0.0.1:9"), LocalExperimentHandler(tmp_path), [], {}
        )


def test_references_must_be_as_many_as_the_items(
    cells_loader: LocalDatasetLoader, endpoints: list[str], tmp_path: Path
) -> None:
    masks = [Image.new("L", (128, 96))] * 7
    with pytest.raises(ConfigurationError, match="has 7 references, but the eval set 'cells' has 6 items"):
        generate_images_based_on_dataset(
            cells_loader,
            ComfyGenerator(WORKFLOW, endpoints[0]),
            LocalExperimentHandler(tmp_path),
            [IoUMetric(masks)],
            {},
        )
