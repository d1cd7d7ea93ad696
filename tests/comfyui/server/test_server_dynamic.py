"""The embedded endpoint has dynamic combos as ComfyUI 0.27 does: what it refuses, what it runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pixaris.comfyui.server import dynamic
from pixaris.comfyui.server.nodes.resizing import resize_image_mask

SIZE = (60, 40)


def graph(resize_type: Any = "scale dimensions", **inputs: Any) -> dict[str, Any]:
    resize = {"input": ["1", 0], "scale_method": "area", **inputs}
    if resize_type is not None:
        resize["resize_type"] = resize_type
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 60, "height": 40, "batch_size": 1, "color": 9}},
        "2": {"class_type": "ResizeImageMaskNode", "inputs": resize},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "resized"}},
    }


SIDES = {"resize_type.width": 30, "resize_type.height": 20, "resize_type.crop": "center"}


def faults(client: Any, prompt: dict[str, Any]) -> list[tuple[str, str]]:
    reply = client.post("/prompt", json={"prompt": prompt})
    assert reply.status_code == 400, reply.text
    errors = reply.json()["node_errors"]["2"]["errors"]
    return [(error["type"], error["extra_info"]["input_name"]) for error in errors]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (graph(**{**SIDES, "resize_type.width": 16385}), [("value_bigger_than_max", "resize_type.width")]),
        (graph(**{**SIDES, "resize_type.height": -1}), [("value_smaller_than_min", "resize_type.height")]),
        (graph(**{**SIDES, "resize_type.crop": "left"}), [("value_not_in_list", "resize_type.crop")]),
        (graph(**{**SIDES, "resize_type.width": "wide"}), [("invalid_input_type", "resize_type.width")]),
        (
            graph(**{"resize_type.width": 30}),
            [
                ("required_input_missing", "resize_type.height"),
                ("required_input_missing", "resize_type.crop"),
            ],
        ),
        (graph("scale by multiplier", **SIDES), [("required_input_missing", "resize_type.multiplier")]),
        (graph("match size", **SIDES), [("required_input_missing", "resize_type.match")]),
    ],
)
def test_what_hangs_on_the_chosen_option_is_checked(
    client: Any, prompt: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert faults(client, prompt) == expected


def test_a_missing_input_is_called_by_its_own_name_as_comfyui_does(client: Any) -> None:
    reply = client.post("/prompt", json={"prompt": graph("scale width")}).json()
    (error,) = reply["node_errors"]["2"]["errors"]
    assert (error["details"], error["extra_info"]) == ("width", {"input_name": "resize_type.width"})


@pytest.mark.parametrize("choice", [None, "scale sideways", ["1", 0], 5])
def test_a_choice_that_is_none_is_found_only_when_the_node_runs(client: Any, choice: Any) -> None:
    messages = client.run(graph(choice, **SIDES))["status"]["messages"]
    kind, error = messages[-1]
    assert kind == "execution_error"
    assert "missing 1 required positional argument: 'resize_type'" in error["exception_message"]


def test_what_hangs_on_another_option_is_ignored(client: Any) -> None:
    stale = {**SIDES, "resize_type.width": -5}
    row = client.run(graph("scale by multiplier", **{**stale, "resize_type.multiplier": 0.5}))
    assert row["status"]["status_str"] == "success"


def test_a_linked_input_of_an_option_is_followed(client: Any) -> None:
    prompt = graph("match size", **{"resize_type.match": ["4", 0], "resize_type.crop": "disabled"})
    prompt["4"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 11, "height": 7}}
    assert client.run(prompt)["status"]["status_str"] == "success"
    prompt["4"]["inputs"]["width"] = 0
    reply = client.post("/prompt", json={"prompt": prompt})
    assert reply.json()["node_errors"]["4"]["errors"][0]["type"] == "value_smaller_than_min"


def image(*, mask: bool = False) -> Any:
    made = np.random.default_rng(1).random((1, 40, 60, 3), dtype=np.float32)
    return made[..., 0] if mask else made


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"resize_type": "scale dimensions", "width": 30, "height": 10, "crop": "center"}, (30, 10)),
        ({"resize_type": "scale dimensions", "width": 0, "height": 10, "crop": "disabled"}, (15, 10)),
        ({"resize_type": "scale dimensions", "width": 0, "height": 0, "crop": "disabled"}, SIZE),
        ({"resize_type": "scale by multiplier", "multiplier": 0.5}, (30, 20)),
        ({"resize_type": "scale longer dimension", "longer_size": 30}, (30, 20)),
        ({"resize_type": "scale shorter dimension", "shorter_size": 20}, (30, 20)),
        ({"resize_type": "scale width", "width": 30}, (30, 20)),
        ({"resize_type": "scale height", "height": 20}, (30, 20)),
        ({"resize_type": "scale total pixels", "megapixels": 0.01, "multiple": 8}, (128, 80)),
        ({"resize_type": "scale to multiple", "multiple": 16}, (48, 32)),
        ({"resize_type": "scale to multiple", "multiple": 20}, SIZE),
        ({"resize_type": "scale to multiple", "multiple": 100}, SIZE),
    ],
)
def test_every_way_gives_the_size_that_it_says(
    asked: dict[str, Any], size: tuple[int, int], mask: bool
) -> None:
    made = resize_image_mask(image(mask=mask), "bilinear", asked)
    assert (made.shape[2], made.shape[1]) == size
    assert made.ndim == (3 if mask else 4)


def test_a_mask_is_resized_as_the_image_of_its_values() -> None:
    asked = {"resize_type": "scale by multiplier", "multiplier": 0.7}
    gray = np.repeat(image(mask=True)[..., None], 3, axis=-1)
    for method in ("nearest-exact", "bilinear", "area", "bicubic", "lanczos"):
        made = resize_image_mask(image(mask=True), method, asked)
        assert (made == resize_image_mask(gray, method, asked)[..., 0]).all()


def test_names_with_dots_become_mappings_however_deep() -> None:
    flat = {"a": "x", "combo": "4", "combo.sub": "1", "combo.sub.float_x": 0.5, "combo.y": 2}
    assert dynamic.nested(flat) == {
        "a": "x",
        "combo": {"combo": "4", "sub": {"sub": "1", "float_x": 0.5}, "y": 2},
    }
