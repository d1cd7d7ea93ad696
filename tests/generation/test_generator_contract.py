"""Every generator keeps the contract of its seam; and what breaks it is found out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from kit import WORKFLOW
from PIL import Image
from sketch import SketchGenerator

from pixaris.components import GENERATORS
from pixaris.endpoints.apis.flux import FluxApi
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.generation.comfyui import ComfyGenerator
from pixaris.plugins import resolve
from pixaris.testing import samples
from pixaris.testing.contracts import ContractError, check_image_generator
from pixaris.types import GenerationRequest

FLUX = {name: resolve(name, GENERATORS, ImageGenerator) for name in GENERATORS if name.startswith("flux_")}


def args(*values: Any, node: str = "", input: str = "colour", **images: Image.Image) -> list[dict[str, Any]]:
    """Arguments that differ in one parameter."""
    given = [{"node_name": f"Load {name} Image", "pillow_image": image} for name, image in images.items()]
    return [
        {
            "generation_params": [{"node_name": node, "input": input, "value": value}],
            "pillow_images": given,
            "max_parallel_jobs": 2,
        }
        for value in values
    ]


def test_the_generator_of_comfyui_workflows_keeps_its_contract() -> None:
    check_image_generator(
        ComfyGenerator(WORKFLOW),
        args(0.25, 0.5, 0.75, node="Threshold", input="value", Input=samples.picture(1)),
    )


@pytest.mark.parametrize("name", FLUX)
def test_every_generator_of_flux_keeps_its_contract(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXARIS_FLUX_API_KEY", "a-key")
    generator: Any = FLUX[name]()
    size = (512, 512)
    pictures = {"Input": samples.picture(1, size), "Mask": samples.mask(1, size)}
    taken = {image.title for image in generator.model.images}
    images = {title: image for title, image in pictures.items() if f"Load {title} Image" in taken}
    both = args("a boat", "a house", node="flux", input="prompt", **images)
    for one in both:
        if generator.model.field("finetune_id"):
            one["generation_params"].append({"node_name": "flux", "input": "finetune_id", "value": "mine"})
    check_image_generator(generator, both)


def test_a_made_up_generator_keeps_its_contract() -> None:
    check_image_generator(SketchGenerator(("http://127.0.0.1:9",)), args(1, 2, 3))


class Painting(ImageGenerator):
    """Makes its images itself."""

    def generate_single_image(self, args: Mapping[str, Any]) -> tuple[Image.Image, str]:
        return Image.new("RGB", (4, 4), args["generation_params"][0]["value"]), "painted.png"


def test_a_generator_that_makes_its_images_itself_keeps_its_contract() -> None:
    check_image_generator(Painting(), args("red", "blue"))


class Numbering(SketchGenerator):
    """Gives the same arguments another payload every time."""

    def request(self, args: ItemArgs) -> GenerationRequest:
        one = super().request(args)
        return GenerationRequest(one.id, one.item, one.kind, uuid.uuid4().hex)


class Repeating(SketchGenerator):
    """Gives the same id twice."""

    def request(self, args: ItemArgs) -> GenerationRequest:
        one = super().request(args)
        return GenerationRequest(args.item, one.item, one.kind, one.payload)


class Mistaken(SketchGenerator):
    """Asks another kind of endpoint than it says."""

    def request(self, args: ItemArgs) -> GenerationRequest:
        one = super().request(args)
        return GenerationRequest(one.id, one.item, FluxApi.kind, one.payload)


class Blind(SketchGenerator):
    """Makes the same image of everything."""

    def request(self, args: ItemArgs) -> GenerationRequest:
        one = super().request(args)
        return GenerationRequest(one.id, one.item, one.kind, "{}")


class Nameless(Painting):
    """Gives the image alone."""

    def generate_single_image(self, args: Mapping[str, Any]) -> Any:
        return super().generate_single_image(args)[0]


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Numbering(), "the same image has the same cache key"),
        (Repeating(), "every request has an id of its own"),
        (Mistaken(), "is of the kind of the generator's api"),
        (Blind(), "images that differ have cache keys that differ"),
    ],
)
def test_a_generator_that_breaks_a_rule_is_found_out(broken: ImageGenerator, rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_image_generator(broken, args(1, 2))


def test_a_generator_that_gives_no_name_is_found_out() -> None:
    with pytest.raises(ContractError, match="gives an image and a name"):
        check_image_generator(Nameless(), args("red", "blue"))
