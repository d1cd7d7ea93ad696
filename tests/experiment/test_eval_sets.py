"""Where the columns and folders of an eval set go in a workflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from PIL import Image

from pixaris.exceptions import DatasetError
from pixaris.experiment.eval_sets import placed
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.generation.flux import FluxProGenerator
from pixaris.images import EncodedImage
from pixaris.types import EvalItem, EvalSet, GenerationParam


def node(kind: str, title: str = "", **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title or kind}}


def text_to_image(*titles: str) -> dict[str, Any]:
    """The graph that everybody begins with."""
    wanted, unwanted = titles or ("CLIP Text Encode (Prompt)", "CLIP Text Encode (Prompt)")
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=512, batch_size=1),
        "6": node("CLIPTextEncode", wanted, text="a bottle", clip=["4", 1]),
        "7": node("CLIPTextEncode", unwanted, text="watermark", clip=["4", 1]),
        "3": node(
            "KSampler", seed=1, steps=20, cfg=8.0, sampler_name="euler", scheduler="normal", denoise=1.0,
            model=["4", 0], positive=["6", 0], negative=["7", 0], latent_image=["5", 0],
        ),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", "Save Image", images=["8", 0], filename_prefix="x"),
    }  # fmt: skip


def prompts(*rows: Mapping[str, str], **feeds: tuple[tuple[str, str], ...]) -> EvalSet:
    items = (EvalItem(index, f"item {index}", texts=row) for index, row in enumerate(rows))
    return EvalSet("scenes", tuple(items), feeds=feeds)


def sent(eval_set: EvalSet, generator: ImageGenerator, index: int = 0) -> Any:
    """What an item's request holds."""
    args = ItemArgs.of({}).for_item(eval_set.items[index])
    return json.loads(generator.request(args).payload)


def test_a_prompt_feeds_what_leads_to_the_positive_side() -> None:
    generator = ComfyGenerator(text_to_image())
    found = placed(prompts({"prompt": "a boat", "negative": "fog", "expected": "one"}), generator)
    graph = sent(found, generator)
    assert graph["6"]["inputs"]["text"] == "a boat"
    assert graph["7"]["inputs"]["text"] == "fog"
    assert found.remarks == (
        "column 'prompt' feeds `text` of '6': the text that leads to a sampler's 'positive'",
        "column 'negative' feeds `text` of '7': the text that leads to a sampler's 'negative'",
        "only metrics can read 'expected': no node is fed with it",
    )


def test_a_column_feeds_the_node_of_its_title() -> None:
    generator = ComfyGenerator(text_to_image("Positive Prompt", "Dislikes"))
    found = placed(prompts({"positive_prompt": "a boat", "dislikes": "fog"}), generator)
    graph = sent(found, generator)
    assert (graph["6"]["inputs"]["text"], graph["7"]["inputs"]["text"]) == ("a boat", "fog")


def test_a_column_that_was_named_becomes_what_the_input_holds() -> None:
    generator = ComfyGenerator(text_to_image())
    feeds = {"cfg": (("KSampler", "cfg"),), "steps": (("KSampler", "steps"),)}
    rows = ({"prompt": "a", "cfg": "6.5", "steps": "12"}, {"prompt": "b", "cfg": "", "steps": "30"})
    found = placed(prompts(*rows, **feeds), generator)
    first, second = (sent(found, generator, index)["3"]["inputs"] for index in (0, 1))
    assert (first["cfg"], first["steps"]) == (6.5, 12)
    assert (second["cfg"], second["steps"]) == (8.0, 30)  # an empty cell leaves the workflow's own


def test_where_several_places_are_possible_they_are_told() -> None:
    graph = text_to_image()
    graph["6"]["inputs"] = {"text_g": "a", "text_l": "b", "clip": ["4", 1]}
    with pytest.raises(DatasetError) as caught:
        placed(prompts({"prompt": "a boat"}), ComfyGenerator(graph))
    assert "could feed 'CLIP Text Encode (Prompt)' (CLIPTextEncode, id 6) text_g, " in str(caught.value)
    assert "columns: {prompt: {node_name: Positive Prompt, input: text}}" in str(caught.value)


def test_one_column_may_feed_several_inputs() -> None:
    graph = text_to_image()
    graph["6"]["inputs"] = {"text_g": "a", "text_l": "b", "clip": ["4", 1]}
    generator = ComfyGenerator(graph)
    found = placed(prompts({"prompt": "a boat"}, prompt=(("6", "text_g"), ("6", "text_l"))), generator)
    inputs = sent(found, generator)["6"]["inputs"]
    assert (inputs["text_g"], inputs["text_l"]) == ("a boat", "a boat")


def test_prompts_that_would_all_make_the_same_image_are_an_error() -> None:
    graph = {"1": node("EmptyImage", width=8), "2": node("SaveImage", "Save Image", images=["1", 0])}
    with pytest.raises(DatasetError, match="no column feeds the workflow, so every item would be the same"):
        placed(prompts({"prompt": "a boat"}), ComfyGenerator(graph))


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(DatasetError, match="there is no column 'promt'; there are 'prompt'"):
        placed(prompts({"prompt": "a"}, promt=(("6", "text"),)), ComfyGenerator(text_to_image()))


def test_a_flux_model_takes_columns_by_the_names_of_its_fields() -> None:
    generator = FluxProGenerator("key")
    found = placed(prompts({"prompt": "a boat", "seed": "7", "expected": "one"}), generator)
    request = sent(found, generator)["fields"]
    assert request["prompt"] == "a boat"
    assert request["seed"] == 7
    assert "expected" not in json.dumps(request)


def test_a_generator_of_one_s_own_reads_columns_in_args() -> None:
    seen: list[str] = []

    class Painter(ImageGenerator):
        def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
            seen.append(args["prompt"])
            return Image.new("RGB", (8, 8)), "x.png"

    found = placed(prompts({"prompt": "a boat"}), Painter())
    Painter().generate_single_image(ItemArgs.of({"prompt": "of the run"}).for_item(found.items[0]))
    assert seen == ["a boat"]


def test_what_is_set_for_all_items_and_for_each_is_told() -> None:
    generator = ComfyGenerator(text_to_image())
    found = placed(prompts({"prompt": "a boat"}), generator)
    args = ItemArgs.of({}).with_params([GenerationParam("6", "text", "a house")])
    told = [str(problem) for problem in generator.problems(found, args)]
    assert told == [
        "node '6', input 'text': is set for every item by generation_params, and by the eval set for each;"
        " keep one"
    ]


def pictured(*folders: str) -> EvalSet:
    image = EncodedImage.of(Image.new("RGB", (8, 8)))
    return EvalSet("set", (EvalItem(0, "a", inputs=dict.fromkeys(folders, image)),))


def loading(*titles: str) -> ComfyGenerator:
    loaders = {str(number): node("LoadImage", title, image="x.png") for number, title in enumerate(titles, 1)}
    return ComfyGenerator({**loaders, "9": node("SaveImage", "Save Image", images=["1", 0])})


def test_photographs_beside_masks_feed_input_and_mask() -> None:
    found = placed(pictured("photos", "masks"), loading("Load Input Image", "Load Mask Image"))
    assert found.input_folders == ("Input", "Mask")
    assert found.remarks[0] == "folder 'photos' feeds 'Load Input Image': the only one of its kind"


def test_a_folder_whose_own_node_there_is_keeps_its_name() -> None:
    found = placed(pictured("photos"), loading("Load photos Image", "Load Input Image"))
    assert found.input_folders == ("photos",)
    assert found.remarks == ()
