"""Flux generators: fields and ranges checked before anything is sent, images found by node title."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import pytest
from flux_kit import KEY, standing_in
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixaris import components
from pixaris.endpoints.apis.flux import flux_endpoint
from pixaris.exceptions import ConfigurationError, ModeratedError
from pixaris.flux.models import ACTIVE_TASKS, MODELS
from pixaris.generation import flux
from pixaris.generation.base import ImageGenerator, ItemArgs
from pixaris.generation.flux import (
    Flux2FlexGenerator,
    Flux2ProGenerator,
    Flux3ImageGenerator,
    FluxDevGenerator,
    FluxExpandGenerator,
    FluxFillGenerator,
    FluxGenerator,
    FluxKontextMaxGenerator,
    FluxProGenerator,
    FluxUltraGenerator,
)
from pixaris.images import EncodedImage, digest
from pixaris.testing import samples
from pixaris.types import EvalItem, EvalSet, GenerationParam

GENERATORS = [
    cls
    for cls in vars(flux).values()
    if isinstance(cls, type) and issubclass(cls, FluxGenerator) and getattr(cls, "model", None) is not None
]


def params(**fields: Any) -> list[dict[str, Any]]:
    return [{"node_name": name, "input": name, "value": value} for name, value in fields.items()]


def picture(size: tuple[int, int] = (48, 32), seed: int = 1) -> EncodedImage:
    return EncodedImage.of(samples.picture(seed, size))


def args(images: Mapping[str, EncodedImage] | None = None, item: str = "photo", **fields: Any) -> ItemArgs:
    return ItemArgs.of({"generation_params": params(**fields)}, item=item).with_images(images or {})


def filling(**fields: Any) -> ItemArgs:
    mask = EncodedImage.of(samples.mask(1))
    return args({"Load Mask Image": mask, "Load Input Image": picture()}, **fields)


def sent(generator: FluxGenerator, given: ItemArgs) -> dict[str, Any]:
    return json.loads(generator.request(given).payload)  # type: ignore[no-any-return]


def told(generator: FluxGenerator, given: ItemArgs) -> list[str]:
    with pytest.raises(ConfigurationError) as raised:
        generator.request(given)
    return [problem.message for problem in raised.value.problems]


def test_every_model_has_one_generator_with_a_name_in_search_files() -> None:
    assert {cls.model.name for cls in GENERATORS} == set(MODELS)
    assert len(GENERATORS) == len(MODELS)
    named = {
        components.resolve(name, components.GENERATORS, ImageGenerator) for name in components.GENERATORS
    }
    assert named >= set(GENERATORS)


@pytest.mark.parametrize(
    ("cls", "good", "bad"),
    [
        (
            FluxFillGenerator,
            {"steps": 15, "guidance": 1.5, "safety_tolerance": 6},
            {"steps": 14, "guidance": 100.1, "safety_tolerance": 7},
        ),
        (
            FluxFillGenerator,
            {"output_format": "webp", "seed": -5},
            {"output_format": "gif", "seed": 0.5, "width": 512},
        ),
        (FluxExpandGenerator, {"top": 2048, "left": 0}, {"top": 2049, "left": -1}),
        (FluxProGenerator, {"width": 1440, "height": 256}, {"width": 1441, "height": 250, "steps": 20}),
        (FluxProGenerator, {"width": 288}, {"width": 300}),
        (
            FluxUltraGenerator,
            {"aspect_ratio": "21:9", "raw": True},
            {"aspect_ratio": "22:9", "raw": 1},
        ),
        (FluxDevGenerator, {"steps": 1, "guidance": 5}, {"steps": 51, "guidance": 5.1}),
        (
            Flux2ProGenerator,
            {"prompt": "a", "width": 64, "safety_tolerance": 5},
            {"prompt": "a", "width": 63, "safety_tolerance": 6},
        ),
        (
            Flux2FlexGenerator,
            {"prompt": "a", "guidance": 10},
            {"prompt": "a", "guidance": 10.5, "prompt_upsampling": "yes"},
        ),
        (
            Flux3ImageGenerator,
            {"prompt": "a", "resolution": "4k"},
            {"prompt": "a", "resolution": "8k", "seed": 1},
        ),
    ],
)
def test_each_model_has_its_own_fields_and_ranges(
    cls: type[FluxGenerator], good: dict[str, Any], bad: dict[str, Any]
) -> None:
    images = {"Load Input Image": picture((256, 256))} if cls is FluxExpandGenerator else {}
    make = filling if cls is FluxFillGenerator else lambda **fields: args(images, **fields)
    assert set(good.items()) <= set(sent(cls(), make(**good))["fields"].items())
    messages = told(cls(), make(**bad))
    wrong = [name for name in bad if name != "prompt"]
    assert len(messages) == len(wrong)
    assert all(name in message for name, message in zip(wrong, messages, strict=True))
    assert all(cls.model.name in message for message in messages)


def test_a_missing_prompt_is_told_before_anything_is_sent() -> None:
    assert told(FluxKontextMaxGenerator(), args()) == [
        "`prompt` of flux-kontext-max is missing: it takes text"
    ]
    assert told(FluxKontextMaxGenerator(), args(prompt=" ")) == [
        "`prompt` of flux-kontext-max must not be empty"
    ]


def test_a_webhook_is_refused_because_its_answer_has_no_polling_url() -> None:
    (message,) = told(FluxFillGenerator(), filling(webhook_url="https://example.com"))
    assert "says nothing of where its result is" in message


@pytest.mark.parametrize("node_name", ["steps", "flux", "Flux", "flux-pro-1.0-fill", ""])
def test_a_parameter_names_its_field_and_needs_no_node(node_name: str) -> None:
    assert FluxFillGenerator().fault(GenerationParam(node_name, "steps", 20)) is None


def test_a_parameter_for_a_node_of_a_workflow_is_told() -> None:
    fault = FluxFillGenerator().fault(GenerationParam("KSampler", "steps", 20))
    assert fault is not None
    assert fault.of_target
    assert "write node_name: steps, or leave it out" in fault.message
    unknown = FluxFillGenerator().fault(GenerationParam("guidence", "guidence", 20))
    assert unknown is not None
    assert "did you mean 'guidance'?" in unknown.message


def test_images_come_by_node_title_whatever_their_order() -> None:
    mask, image = EncodedImage.of(samples.mask(1)), picture()
    for images in (
        {"Load Mask Image": mask, "Load Input Image": image},
        {"Load Input Image": image, "Load Mask Image": mask},
    ):
        found = {one.input: one.image for one in FluxFillGenerator().request(args(images)).images}
        assert (found["image"], found["mask"]) == (image, mask)


def test_several_images_feed_their_fields_and_a_list_keeps_their_order() -> None:
    images = {
        f"Load {name} Image": picture((256, 256), seed)
        for seed, name in enumerate(("Input 3", "Input", "input_2"))
    }
    request = Flux2ProGenerator().request(args(images, prompt="a"))
    assert [one.input for one in request.images] == ["input_image", "input_image_2", "input_image_3"]
    request = Flux3ImageGenerator().request(args(images, prompt="a"))
    assert [one.image for one in request.images] == [
        images[f"Load {name} Image"] for name in ("Input", "input_2", "Input 3")
    ]


def test_what_a_run_would_fail_at_is_told_at_once_and_names_the_item() -> None:
    mask = EncodedImage.of(samples.mask(1, (40, 32)))
    items = (
        EvalItem(
            0, "good", {"Input": picture(), "Mask": EncodedImage.of(samples.mask(1)), "Depth": picture()}
        ),
        EvalItem(1, "bad", {"Input": picture(), "Mask": mask, "Depth": picture()}),
    )
    found = [
        str(problem)
        for problem in FluxFillGenerator().problems(EvalSet("set", items), args(item="", steps=99))
    ]
    assert len(found) == 3
    assert "`steps` of flux-pro-1.0-fill must be at most 50 (got 99)" in found[0]
    assert found[1].startswith("folder 'Depth' of eval set 'set': feeds the node 'Load Depth Image'")
    assert found[2] == "item 'bad': the mask has 40×32 pixels and the image 48×32; they must be the same"


def test_a_fill_needs_a_mask_or_transparency() -> None:
    (message,) = told(FluxFillGenerator(), args({"Load Input Image": picture()}))
    assert "a folder 'Mask'" in message
    see_through = samples.picture(1).convert("RGBA")
    see_through.putalpha(samples.mask(1))
    assert sent(FluxFillGenerator(), args({"Load Input Image": EncodedImage.of(see_through)}))[
        "images"
    ].keys() == {"image"}


def test_images_too_small_or_too_large_for_a_model_are_told() -> None:
    (message,) = told(Flux3ImageGenerator(), args({"Load Input Image": picture((200, 200))}, prompt="a"))
    assert "at least 65,536 pixels" in message
    huge = EncodedImage.of(Image.new("RGB", (4001, 4000)))
    (message,) = told(Flux2ProGenerator(), args({"Load Input Image": huge}, prompt="a"))
    assert "at most 16 megapixels" in message


def test_an_item_has_the_same_seed_in_every_run_unless_a_parameter_sets_it() -> None:
    one, again = (sent(FluxFillGenerator(), filling(steps=steps))["fields"]["seed"] for steps in (20, 50))
    assert one == again
    assert one != sent(FluxFillGenerator(), filling(item="other"))["fields"]["seed"]
    assert sent(FluxFillGenerator(), filling(seed=7))["fields"]["seed"] == 7
    assert "seed" not in sent(Flux3ImageGenerator(), args(prompt="a"))["fields"]


def test_a_stand_ins_images_are_not_taken_for_the_apis(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(generator: ImageGenerator) -> str:
        return generator.request(filling()).cache_key

    monkeypatch.delenv("PIXARIS_FLUX_BASE_URL", raising=False)
    api, there = key(FluxFillGenerator()), "http://127.0.0.1:8189"
    assert key(FluxFillGenerator(base_url="https://api.eu.bfl.ai")) == api
    monkeypatch.setenv("PIXARIS_FLUX_BASE_URL", f"{there}/")
    stand_in = key(FluxFillGenerator())
    assert stand_in != api
    monkeypatch.delenv("PIXARIS_FLUX_BASE_URL")
    told = FluxFillGenerator(api_key=KEY).for_accounts([flux_endpoint(KEY, there)])
    assert key(told) == key(pickle.loads(pickle.dumps(told))) == stand_in
    assert told.endpoints()[0].headers == (("x-key", KEY),)


def test_the_cache_key_names_what_changes_the_image_and_nothing_else() -> None:
    generator = FluxFillGenerator()
    keys = [
        generator.request(given).cache_key
        for given in (filling(), filling(), filling(steps=50.0), filling(steps=20))
    ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3  # that 50 is the default is the API's to decide
    other = args({"Load Mask Image": EncodedImage.of(samples.mask(2)), "Load Input Image": picture()})
    assert generator.request(other).cache_key != keys[0]


ANYTHING = st.one_of(
    *(st.integers(-200, 3000), st.floats(-200, 3000), st.integers(-(10**500), 10**500), st.floats()),
    *(st.text(max_size=8), st.booleans(), st.none(), st.just([1])),
)


@given(value=ANYTHING)
def test_what_fits_a_field_is_sent_within_its_range_and_all_else_is_told(value: Any) -> None:
    for model in MODELS.values():
        for field in model.fields:
            try:
                fitted = field.fit(value)
            except ValueError as error:
                assert "must" in str(error)  # noqa: PT017  (whether it is raised is what is varied)
                continue
            assert field.fit(fitted) == fitted == value
            if field.kind in ("integer", "number"):
                assert type(fitted) is (int if field.kind == "integer" else float)
                assert field.low is None or fitted >= field.low
                assert field.high is None or fitted <= field.high


def test_a_seed_of_hundreds_of_digits_is_told_and_not_sent() -> None:
    (message,) = told(FluxFillGenerator(), filling(seed=-(10**400)))
    assert "`seed` of flux-pro-1.0-fill must fit into 64 bits (got about -2**1329)" in message
    assert sent(FluxFillGenerator(), filling(seed=2**63))["fields"]["seed"] == 2**63


def test_the_key_is_in_no_pickle_and_no_text() -> None:
    generator = FluxFillGenerator(api_key=KEY, base_url="http://127.0.0.1:9")
    (endpoint,) = generator.endpoints()
    assert (endpoint.kind, endpoint.depth, endpoint.url) == ("flux", ACTIVE_TASKS, "http://127.0.0.1:9")
    assert KEY.encode() not in pickle.dumps(generator)
    assert KEY not in f"{generator!r}{endpoint!r}{vars(pickle.loads(pickle.dumps(generator)))}"
    assert FluxKontextMaxGenerator(api_key=KEY).endpoints()[0].depth == 6


def test_a_single_image_of_a_plain_dict_as_in_the_first_days() -> None:
    images = [
        {"node_name": "Load Mask Image", "pillow_image": samples.mask(1)},
        {"node_name": "Load Input Image", "pillow_image": samples.picture(1)},
    ]
    with standing_in() as server:
        generator = FluxFillGenerator(api_key=KEY, base_url=server.places.api)
        image, name = generator.generate_single_image(
            {"pillow_images": images, "generation_params": params(prompt="a beach")}
        )
        again, _ = generator.generate_single_image(
            {"pillow_images": images[::-1], "generation_params": params(prompt="a beach")}
        )
        assert server.account.asked[0].body["prompt"] == "a beach"
    assert (image.size, name) == ((48, 32), "generated.png")
    assert digest(image) == digest(again)


def test_a_moderated_image_is_an_error_of_its_own() -> None:
    with standing_in({"fault": "content"}) as server:
        generator = FluxFillGenerator(api_key=KEY, base_url=server.places.api)
        with pytest.raises(ModeratedError) as raised:
            generator.generate_single_image(filling())
    assert raised.value.reasons == ("Violence", "Derivative Works Filter")


def test_what_an_image_costs_is_estimated_by_its_model_and_megapixels() -> None:
    items = EvalSet("set", tuple(EvalItem(i, str(i), {"Input": picture((1024, 1024))}) for i in range(2)))
    assert FluxKontextMaxGenerator().cost(items, args()) == 16.0
    assert Flux2ProGenerator().cost(items, args()) == 2 * (
        3 + 3 * 1.5
    )  # 1024² begins a second megapixel, in and out
    assert Flux2ProGenerator().cost(items, args(width=512, height=512)) == 2 * (3 + 2 * 1.5)
    assert Flux3ImageGenerator().cost(items, args()) is None
