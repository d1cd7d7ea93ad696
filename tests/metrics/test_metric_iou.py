"""IoU against sets of pixels, and its rules for modes, sizes and empty masks."""

from __future__ import annotations

import doctest
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.metrics import iou
from pixaris.metrics.iou import IoUMetric
from pixaris.testing import samples
from pixaris.testing.contracts import check_metric
from pixaris.types import EvalItem


def by_sets(a: Image.Image, b: Image.Image) -> float:
    """IoU written with Python sets of coordinates."""
    inside_a = {(x, y) for x in range(a.width) for y in range(a.height) if a.getpixel((x, y)) >= 127.5}  # type: ignore[operator]
    inside_b = {(x, y) for x in range(b.width) for y in range(b.height) if b.getpixel((x, y)) >= 127.5}  # type: ignore[operator]
    return len(inside_a & inside_b) / len(inside_a | inside_b) if inside_a | inside_b else 1.0


def score(generated: Image.Image, true: Image.Image) -> float:
    return IoUMetric([true]).calculate([generated])["iou"]


@pytest.mark.parametrize("seed", range(6))
def test_iou_is_what_sets_of_pixels_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noisy = [Image.fromarray(rng.integers(0, 256, (13, 17), dtype=np.uint8)) for _ in range(2)]
    assert score(*noisy) == pytest.approx(by_sets(*noisy), abs=1e-15)
    round_ones = samples.mask(seed), samples.mask(seed + 1)
    assert 0 < score(*round_ones) == pytest.approx(by_sets(*round_ones), abs=1e-15)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_iou_is_symmetric_between_0_and_1_and_1_only_for_equal_masks(pixels: list[tuple[bool, bool]]) -> None:
    a, b = (Image.fromarray(np.array([row], np.uint8) * 255) for row in zip(*pixels, strict=True))
    value = score(a, b)
    assert 0 <= value <= 1
    assert value == score(b, a)
    assert (value == 1) == (a.tobytes() == b.tobytes())


def test_the_mean_over_items_is_what_calculate_gives() -> None:
    true = [samples.mask(1), samples.mask(2)]
    both = IoUMetric(true).calculate([samples.mask(1), samples.mask(3)])
    assert both == {"iou": pytest.approx((1 + by_sets(samples.mask(3), samples.mask(2))) / 2)}


def test_the_threshold_is_half_and_nothing_is_dithered() -> None:
    white = Image.new("L", (20, 20), 255)
    assert score(Image.new("L", (20, 20), 128), white) == 1.0
    assert score(Image.new("L", (20, 20), 127), white) == 0.0  # dithering would make half of it white


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    empty, full = Image.new("L", (9, 9)), Image.new("L", (9, 9), 255)
    assert score(empty, empty) == 1.0
    assert score(empty, full) == score(full, empty) == 0.0


def as_mode(mask: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(mask).astype(np.uint16) * 257)
    return mask.convert(mode, dither=Image.Dither.NONE) if mode == "1" else mask.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_masks_may_have_any_mode(mode: str) -> None:
    true, other = samples.mask(1), samples.mask(2)
    assert score(as_mode(other, mode), true) == score(other, as_mode(true, mode)) == by_sets(other, true)


def test_what_is_transparent_is_not_in_the_mask() -> None:
    alpha = samples.mask(1)
    drawn = Image.new("RGBA", alpha.size, "white")
    drawn.putalpha(alpha)
    assert score(drawn, alpha) == 1.0


def test_colours_count_by_their_luminance() -> None:
    white = Image.new("L", (4, 4), 255)
    assert score(Image.new("RGB", (4, 4), (0, 255, 0)), white) == 1.0  # 0.587
    assert score(Image.new("RGB", (4, 4), (255, 0, 255)), white) == 0.0  # 0.413


def test_a_mask_of_another_size_is_resized_by_nearest_neighbour_if_the_aspect_ratio_is_the_same() -> None:
    true = samples.mask(4, (48, 32))
    doubled = true.resize((96, 64), Image.Resampling.NEAREST)
    assert score(doubled, true) == score(true, doubled) == 1.0


@pytest.mark.parametrize(
    ("generated", "true"), [((64, 43), (640, 427)), ((640, 427), (64, 43)), ((100, 100), (100, 101))]
)
def test_rounding_of_one_pixel_is_the_same_aspect_ratio(
    generated: tuple[int, int], true: tuple[int, int]
) -> None:
    assert score(Image.new("L", generated, 255), Image.new("L", true, 255)) == 1.0


@pytest.mark.parametrize(
    ("generated", "true"), [((64, 64), (64, 48)), ((48, 64), (64, 48)), ((512, 512), (520, 512))]
)
def test_another_aspect_ratio_has_no_score_and_the_error_names_both_sizes(
    generated: tuple[int, int], true: tuple[int, int]
) -> None:
    with pytest.raises(MetricError) as caught:
        score(Image.new("L", generated, 255), Image.new("L", true, 255))
    for width, height in (generated, true):
        assert f"{width}×{height}" in str(caught.value)


def test_masks_come_from_a_folder_of_the_eval_set_too() -> None:
    items = samples.eval_set(3).items
    metric = IoUMetric(reference="Mask")
    assert metric.reference_folders() == ("Mask",)
    assert [metric.score(samples.mask(index), item) for index, item in enumerate(items)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("by_folder", [False, True])
def test_iou_fulfils_the_contract_of_metrics(by_folder: bool) -> None:
    items = samples.eval_set(3).items
    metric = (
        IoUMetric(reference="Mask")
        if by_folder
        else IoUMetric(true_masks=[samples.mask(i) for i in range(3)])
    )
    check_metric(metric, [samples.mask(i + 1) for i in range(3)], items)
    assert metric.directions() == {"iou": "max"}


def test_scores_stay_with_their_items_whatever_fails_between_them() -> None:
    masks = [samples.mask(0), Image.new("L", (48, 48), 255), samples.mask(2)]
    metric = IoUMetric(masks)
    scores: list[float | None] = []
    for index in range(4):
        try:
            scores.append(metric.score(samples.mask(index), EvalItem(index, str(index))))
        except MetricError:
            scores.append(None)
    assert scores == [1.0, None, 1.0, None]


def test_masks_that_know_their_files_belong_to_the_items_of_their_names(tmp_path: Path) -> None:
    items = samples.eval_set(3).items
    for index, item in enumerate(items):
        samples.mask(index).save(tmp_path / f"{item.name}.png")
    unsorted = [Image.open(tmp_path / f"{items[index].name}.png") for index in (2, 0, 1)]
    metric = IoUMetric(unsorted)
    assert [metric.score(samples.mask(item.index), item) for item in items] == [1.0, 1.0, 1.0]
    in_order = IoUMetric([mask.copy() for mask in unsorted])
    assert [in_order.score(samples.mask(item.index), item) for item in items] != [1.0, 1.0, 1.0]
    copied = pickle.loads(pickle.dumps(metric))
    assert copied.score(samples.mask(1), items[1]) == 1.0


def test_a_name_that_no_mask_has_is_a_problem_and_masks_too_many_are_none(tmp_path: Path) -> None:
    eval_set = samples.eval_set(3)
    for name in ("photo 1", "photo 2", "photo 4"):
        samples.mask(0).save(tmp_path / f"{name}.png")
    opened = [Image.open(file) for file in sorted(tmp_path.iterdir())]
    (images,) = IoUMetric(opened).item_images()
    assert "none is called photo 3 (1 of 3 items); name the files as the items" in images.problem_with(
        eval_set
    )
    assert images.problem_with(samples.eval_set(2)) == ""


def test_the_example_in_the_docstring_is_right() -> None:
    assert doctest.testmod(iou).attempted > 3
    assert doctest.testmod(iou).failed == 0
