"""The nodes against what was read back from a real ComfyUI 0.27.0, and against plain restatements of their
formulas.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pixaris.comfyui.server.nodes import images, masks, registry
from pixaris.comfyui.server.nodes.convolution import gaussian_kernel
from pixaris.comfyui.server.nodes.tensors import from_levels, to_levels


def picture(*rows: list[int]) -> np.ndarray:
    """An IMAGE of gray rows."""
    return np.repeat(from_levels(np.array(rows, np.uint8))[None, ..., None], 3, axis=3)


def row_of(image: np.ndarray, row: int = 0) -> list[int]:
    levels = to_levels(image)
    return levels[0, row, :, 0].tolist() if levels.ndim == 4 else levels[0, row].tolist()


def grid_of(tensor: np.ndarray) -> list[list[int]]:
    levels = to_levels(tensor)
    return (levels[0, ..., 0] if levels.ndim == 4 else levels[0]).tolist()


@pytest.fixture(scope="module")
def examples(recorded: Any) -> dict[str, Any]:
    return recorded.transcript("node-examples")


STEP = picture(*[[100] * 5 + [140] * 5] * 10)
A, B = [0, 30, 64, 100, 127, 128, 200, 255], [255, 200, 128, 127, 100, 64, 30, 0]


def compute(name: str) -> Any:
    """Compute what a recorded example is named after."""
    numbers = re.findall(r"-?\d*\.?\d+", name)
    if name.startswith("GrowMask"):
        pixel = np.zeros((1, 7, 9), np.float32)
        pixel[0, 3, 4] = 1
        return grid_of(masks.grow_mask(pixel, int(numbers[0]), "tapered=True" in name))
    if name.startswith("FeatherMask"):
        return grid_of(masks.feather_mask(masks.solid_mask(1.0, 8, 6), left=2, top=1, right=3, bottom=2))
    if "impulse" in name:
        image = picture(*[[0] * 9] * 3, [0, 0, 0, 0, 255, 0, 0, 0, 0], *[[0] * 9] * 3)
        return grid_of(images.image_blur(image, *((1, 1.0) if "r1" in name else (2, 0.5))))
    if name.startswith("ImageSharpen"):
        return row_of(images.image_sharpen(STEP, 1, 1.0, 0.1 if "alpha .1" in name else 1.0), 5)
    if name.startswith("ImageBlur step"):
        return row_of(images.image_blur(STEP, 2, 1.0), 5)
    if name.startswith("ImageBlend"):
        return row_of(images.image_blend(picture(A), picture(B), float(numbers[0]), name.split()[1]))
    if name.startswith("ImageScale"):
        return row_of(
            images.image_scale(picture([0, 50, 200, 255]), name.split()[1], int(numbers[-1]), 1, "disabled")
        )
    if "levels changed" in name:
        levels = np.arange(256)
        twice = row_of(images.image_invert(images.image_invert(picture(levels.tolist()))))
        return levels[levels != twice].tolist()
    if name.startswith("ImageInvert"):
        levels = list(range(256)) if "full" in name else [0, 1, 2, 3, 10, 64, 100, 127, 128, 200, 254, 255]
        return row_of(images.image_invert(picture(levels)))
    if name.startswith("MaskComposite"):
        first, second = (0.5, 0.5) if "half to even" in name else (0.7, 0.6)
        target, source = masks.solid_mask(first, 4, 3), masks.solid_mask(second, 2, 2)
        return grid_of(masks.mask_composite(target, source, 1, 1, name.split()[1]))
    if name.startswith("EmptyImage"):
        return to_levels(images.empty_image(1, 1, 1, 0x804020))[0, 0, 0].tolist()
    assert name.startswith("ImageColorToMask")
    pixels = from_levels(np.array([[[[128, 64, 32], [128, 64, 33]]]], np.uint8))
    return grid_of(masks.image_color_to_mask(pixels, 0x804020))


def test_every_recorded_example_is_reproduced_byte_for_byte(examples: dict[str, Any]) -> None:
    assert len(examples) > 40
    assert {name: compute(name) for name in examples} == examples


def test_solid_mask_saves_truncated() -> None:
    assert [row_of(masks.solid_mask(value, 1, 1)) for value in (0.5, 0.73, 0.25)] == [[127], [186], [63]]


def test_all_levels_survive_load_and_save() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_levels(from_levels(levels)), levels)


@pytest.mark.parametrize(
    ("value", "first"), [(0.2, 52), (0.4, 103), (0.6, 154), (0.8, 205), (0.5, 128), (0, 1), (1, 256)]
)
def test_threshold_compares_strictly_in_float32(value: float, first: int) -> None:
    mask = from_levels(np.arange(256, dtype=np.uint8))[None, None]
    assert int((masks.threshold_mask(mask, value) == 0).sum()) == first


frames = st.integers(1, 13).flatmap(
    lambda height: st.integers(1, 13).flatmap(
        lambda width: st.integers(0, 2**32 - 1).map(
            lambda seed: np.random.default_rng(seed).random((2, height, width), np.float32),
        )
    )
)


@settings(max_examples=80, deadline=None)
@given(mask=frames, expand=st.integers(-9, 9), tapered=st.booleans())
def test_grow_mask_is_repeated_grey_dilation_or_erosion(mask: np.ndarray, expand: int, tapered: bool) -> None:
    footprint = ndimage.generate_binary_structure(2, 1 if tapered else 2)
    repeat = ndimage.grey_dilation if expand > 0 else ndimage.grey_erosion
    expected = mask
    for _ in range(abs(expand)):
        expected = np.stack([repeat(frame, footprint=footprint, mode="nearest") for frame in expected])
    np.testing.assert_array_equal(masks.grow_mask(mask, expand, tapered), expected)


def test_growing_beyond_the_mask_fills_it_with_the_maximum() -> None:
    mask = np.random.default_rng(1).random((1, 30, 20), np.float32)
    for tapered in (True, False):
        np.testing.assert_array_equal(masks.grow_mask(mask, 16384, tapered), np.full_like(mask, mask.max()))
        np.testing.assert_array_equal(masks.grow_mask(mask, -16384, tapered), np.full_like(mask, mask.min()))


def chained(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The full kernel, one float32 multiply-add per tap: what ComfyUI does."""
    radius = kernel.shape[0] // 2
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius), (0, 0)), "reflect").astype(np.float64)
    total = np.zeros_like(image)
    for y, x in np.ndindex(kernel.shape):
        window = padded[:, y : y + image.shape[1], x : x + image.shape[2]]
        total = (total + np.float64(kernel[y, x]) * window).astype(np.float32)
    return total


def flat_areas() -> np.ndarray:
    """Noise beside areas of one level each: 0, 17, 34 … 255."""
    levels = np.random.default_rng(5).integers(0, 256, (1, 80, 96, 3))
    levels[:, :, 40:] = (np.arange(56) // 14 * 17)[None, None, :, None] + (np.arange(80) // 20 * 68)[
        None, :, None, None
    ]
    return from_levels(np.clip(levels, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(("radius", "sigma"), [(1, 1.0), (2, 1.0), (3, 0.5), (5, 2.3)])
def test_blur_saves_what_the_full_float32_kernel_saves(radius: int, sigma: float) -> None:
    image = flat_areas()
    expected = to_levels(chained(image, gaussian_kernel(radius, sigma)))
    np.testing.assert_array_equal(to_levels(images.image_blur(image, radius, sigma)), expected)


def test_large_blur_is_within_one_level_and_exact_on_flat_areas() -> None:
    image = np.random.default_rng(2).random((1, 70, 64, 3), np.float32)
    expected = to_levels(chained(image, gaussian_kernel(31, 10.0))).astype(int)
    assert np.abs(to_levels(images.image_blur(image, 31, 10.0)) - expected).max() <= 1
    flat = images.empty_image(70, 70, 1, 0x8C6414)
    np.testing.assert_array_equal(images.image_blur(flat, 31, 1.0), chained(flat, gaussian_kernel(31, 1.0)))


def test_blur_of_a_too_small_image_raises_as_torch_does() -> None:
    with pytest.raises(
        RuntimeError, match="Padding size should be less than the corresponding input dimension"
    ):
        images.image_blur(images.empty_image(64, 20, 1, 0), 20, 1.0)
    with pytest.raises(RuntimeError, match="Padding size should be less"):
        images.image_sharpen(images.empty_image(31, 64, 1, 0), 31, 1.0, 1.0)


def test_crop_moves_its_corner_inside_and_may_be_smaller() -> None:
    image = images.empty_image(96, 64, 1, 0)
    assert images.image_crop(image, 500, 500, 90, 60).shape == (1, 4, 6, 3)
    assert images.image_crop(image, 10, 10, 500, 500).shape == (1, 1, 1, 3)
    assert images.image_crop(image, 20, 10, 5, 7).shape == (1, 10, 20, 3)


@pytest.mark.parametrize("method", ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"])
def test_scale_sizes(method: str) -> None:
    image = np.random.default_rng(3).random((2, 64, 96, 3), np.float32)
    assert images.image_scale(image, method, 0, 0, "disabled") is image
    assert images.image_scale(image, method, 0, 40, "center").shape == (2, 40, 60, 3)
    assert images.image_scale(image, method, 128, 0, "disabled").shape == (2, 85, 128, 3)
    assert images.image_scale(image, method, 50, 50, "center").shape == (2, 50, 50, 3)
    assert images.image_scale_by(image, method, 0.33).shape == (2, 21, 32, 3)
    same = images.image_scale(image, method, 96, 64, "disabled")
    assert np.abs(to_levels(same).astype(int) - to_levels(image)).max() <= 1


def test_centre_crop_keeps_the_middle() -> None:
    image = picture([0, 10, 20, 30, 40, 50])
    assert row_of(images.image_scale(image, "nearest-exact", 2, 1, "center")) == [20, 30]


def test_nearest_exact_breaks_ties_in_float32() -> None:
    scale = np.float32(96) / np.float32(37)
    expected = [int(np.floor((np.float32(i) + np.float32(0.5)) * scale)) for i in range(37)]
    assert (
        row_of(images.image_scale(picture(list(range(96))), "nearest-exact", 37, 1, "disabled")) == expected
    )


def test_blend_scales_a_second_image_of_another_size() -> None:
    blended = images.image_blend(
        images.empty_image(8, 4, 1, 0x404040), images.empty_image(31, 31, 1, 0x808080), 1.0, "normal"
    )
    assert blended.shape == (1, 4, 8, 3)
    assert row_of(blended)[0] in (127, 128)


@pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"])
@pytest.mark.parametrize("colors", [2, 5, 256])
def test_quantize_uses_at_most_so_many_colours(dither: str, colors: int) -> None:
    image = np.random.default_rng(4).random((2, 33, 20, 3), np.float32)
    quantized = images.image_quantize(image, colors, dither)
    assert quantized.shape == image.shape
    for frame in to_levels(quantized):
        assert len(np.unique(frame.reshape(-1, 3), axis=0)) <= colors


def test_mask_composite_clips_and_clamps() -> None:
    target, source = masks.solid_mask(0.5, 4, 3), masks.solid_mask(1.0, 3, 3)
    assert grid_of(masks.mask_composite(target, source, 3, 2, "add")) == [
        [127] * 4,
        [127] * 4,
        [127] * 3 + [255],
    ]
    np.testing.assert_array_equal(masks.mask_composite(target, source, 9, 9, "add"), target)
    np.testing.assert_array_equal(masks.mask_composite(target * 3, source, 9, 9, "add"), np.ones_like(target))


def test_crop_mask_outside_leaves_nothing_and_the_next_node_fails(client: Any) -> None:
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 8, "height": 8}},
        "2": {
            "class_type": "CropMask",
            "inputs": {"mask": ["1", 0], "x": 20, "y": 0, "width": 4, "height": 4},
        },
        "3": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
    }
    assert client.run(graph)["status"]["messages"][-1][0] == "execution_error"


def test_object_info_declares_exactly_the_nodes_there_are_as_comfyui_does(client: Any, recorded: Any) -> None:
    declared = client.get("/object_info").json()
    real = recorded.object_info()
    assert declared.keys() - real.keys() == {"ResizeImageMaskNode"}  # which the recording lacks
    assert len(declared) == 24
    for name, entry in declared.items():
        if name not in real:
            continue
        if name.startswith("LoadImage"):
            files = entry["input"]["required"]["image"][0]
            assert files == ["a.png", "alpha_00.png", *(f"cells_0{i}.png" for i in range(6))]
            entry["input"]["required"]["image"][0] = []
        assert entry == real[name]
        assert client.get(f"/object_info/{name}").json()[name]["output"] == real[name]["output"]
    assert client.get("/object_info/NoSuchNode").json() == {}


def test_undeclared_inputs_are_ignored() -> None:
    outputs = registry.run("SolidMask", None, {"value": 1.0, "width": 2, "height": 2, "unheard_of": 1})  # type: ignore[arg-type]
    assert outputs.values[0].shape == (1, 2, 2)
