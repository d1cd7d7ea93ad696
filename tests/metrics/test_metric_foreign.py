"""Metrics against other people's implementations, and against their definitions written out another way.

The goldens were computed once, on the pictures of `pixaris.testing.samples`, with scikit-learn 1.9.1 (masks),
colour-science 0.4.7 (CIEDE2000, luminance), ImageHash 4.3.2, OpenCV 5.0.0 (Laplacian, HSV) and Pillow's
ImageStat (contrast).
"""

from __future__ import annotations

import colorsys
import doctest
import importlib
import math
import statistics
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.spatial.distance import cdist

from pixaris.components import METRICS, resolve
from pixaris.exceptions import ConfigurationError, MetricError
from pixaris.metrics.base import BaseMetric, Execution
from pixaris.metrics.boundary import BoundaryFMetric
from pixaris.metrics.iou import IoUMetric
from pixaris.metrics.luminescence import LuminescenceComparisonByMaskMetric, LuminescenceWithoutMaskMetric
from pixaris.metrics.perceptual_hash import PerceptualHashMetric
from pixaris.metrics.saturation import SaturationComparisonByMaskMetric, SaturationWithoutMaskMetric
from pixaris.testing import samples
from pixaris.testing.contracts import check_metric
from pixaris.types import EvalItem, GeneratedImage

SIZE = (64, 48)
COMPARE_MASKS = ("iou", "dice", "precision_recall", "boundary_f")
COMPARE_PICTURES = ("ssim", "psnr", "mae", "ciede2000", "phash")
LOOK_ALONE = ("luminescence", "saturation", "sharpness", "colorfulness", "contrast")
BY_MASK = ("luminescence_difference", "saturation_difference")


def picture(name: str) -> Image.Image:
    if name == "blurred":
        return samples.picture(0, SIZE).filter(ImageFilter.GaussianBlur(2))
    return samples.picture(int(name), SIZE)


def metric_class(name: str) -> type[BaseMetric]:
    found = resolve(name, METRICS, BaseMetric)
    assert issubclass(found, BaseMetric)
    return found


def value(name: str, image: Image.Image, *others: Image.Image) -> dict[str, float]:
    return metric_class(name)(*[[other] for other in others]).calculate([image])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "b", "difference", "bits"),
    [("0", "1", 38.904289, 32), ("1", "2", 39.985062, 40), ("blurred", "0", 6.286372, 4)],
)
def test_colour_difference_and_perceptual_hash_are_what_others_find(
    a: str, b: str, difference: float, bits: int
) -> None:
    made, reference = picture(a), picture(b)
    assert value("ciede2000", made, reference)["ciede2000"] == pytest.approx(
        difference, rel=3e-5
    )  # sRGB matrices of 4 digits
    assert value("phash", made, reference) == {"phash": bits}


@pytest.mark.parametrize(
    ("a", "b", "dice", "precision", "recall"),
    [
        (0, 1, 0.432463768115942, 0.43271461716937354, 0.4322132097334878),
        (1, 2, 0.42609699769053117, 0.4275782155272306, 0.42462600690448793),
        (3, 0, 0.5417867435158501, 0.5383734249713631, 0.5452436194895591),
    ],
)
def test_overlaps_of_masks_are_what_scikit_learn_finds(
    a: int, b: int, dice: float, precision: float, recall: float
) -> None:
    made, true = samples.mask(a, SIZE), samples.mask(b, SIZE)
    assert value("dice", made, true)["dice"] == pytest.approx(dice, abs=1e-12)
    assert value("precision_recall", made, true) == pytest.approx(
        {"precision": precision, "recall": recall}, abs=1e-12
    )


@pytest.mark.parametrize(
    ("name", "sharpness", "contrast", "saturation", "luminance", "variance"),
    [
        (
            "0",
            364.86869133843317,
            0.14170330441255174,
            0.552182674407959,
            0.2565547181410331,
            0.023946363787373692,
        ),
        (
            "1",
            327.53439670138886,
            0.16675269065607032,
            0.46331289410591125,
            0.2837027934428083,
            0.03206285253018162,
        ),
        (
            "2",
            340.37081898583307,
            0.17230410610569252,
            0.502545952796936,
            0.27261260668134635,
            0.03386157418446964,
        ),
    ],
)
def test_what_an_image_looks_like_is_what_others_find(
    name: str, sharpness: float, contrast: float, saturation: float, luminance: float, variance: float
) -> None:
    image = picture(name)
    assert value("sharpness", image)["sharpness"] == pytest.approx(sharpness, rel=1e-12)
    assert value("contrast", image)["contrast"] == pytest.approx(contrast, rel=1e-12)
    assert value("saturation", image)["saturation_mean"] == pytest.approx(
        saturation, abs=1 / 255
    )  # OpenCV's has no levels
    found = value("luminescence", image)
    assert found == pytest.approx({"luminescence_mean": luminance, "luminescence_var": variance}, rel=1e-9)


def pixels(image: Image.Image) -> list[tuple[int, int, int]]:
    return [tuple(map(int, pixel)) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3)]  # type: ignore[misc]


def test_colourfulness_is_the_papers_formula() -> None:
    image = picture("1")
    first = [r - g for r, g, _ in pixels(image)]
    second = [(r + g) / 2 - b for r, g, b in pixels(image)]
    spread = math.hypot(statistics.pstdev(first), statistics.pstdev(second))
    expected = spread + 0.3 * math.hypot(statistics.fmean(first), statistics.fmean(second))
    assert value("colorfulness", image)["colorfulness"] == pytest.approx(expected, rel=1e-9)


def test_saturation_is_that_of_the_standard_library_in_256_levels() -> None:
    image = picture("3")
    levels = [int(colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)[1] * 255) / 255 for r, g, b in pixels(image)]
    expected = {"saturation_mean": statistics.fmean(levels), "saturation_var": statistics.pvariance(levels)}
    assert value("saturation", image) == pytest.approx(expected, abs=1e-4)


def linear(level: int) -> float:
    share = level / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def by_hand(values: list[float], mask: Image.Image) -> float:
    inside = [level > 127 for level in np.asarray(mask.convert("L")).reshape(-1)]
    return 1 - abs(
        statistics.fmean(v for v, there in zip(values, inside, strict=True) if there)
        - statistics.fmean(v for v, there in zip(values, inside, strict=True) if not there)
    )


@pytest.mark.parametrize("seed", range(3))
def test_inside_against_outside_is_the_difference_of_the_means(seed: int) -> None:
    image, mask = picture(str(seed)), samples.mask(seed, SIZE)
    brightness = [0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) for r, g, b in pixels(image)]
    assert value("luminescence_difference", image, mask)["luminescence_difference"] == pytest.approx(
        by_hand(brightness, mask)
    )
    levels = list(np.asarray(image.convert("HSV"))[:, :, 1].reshape(-1) / 255)
    assert value("saturation_difference", image, mask)["saturation_difference"] == pytest.approx(
        by_hand(levels, mask)
    )


def outline(mask: Image.Image) -> np.ndarray:
    """Coordinates of the pixels that have a neighbour outside of the mask, looked for one by one."""
    inside = np.asarray(mask) > 127
    height, width = inside.shape
    found = []
    for y in range(height):
        for x in range(width):
            around = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            if inside[y, x] and any(
                0 <= i < height and 0 <= j < width and not inside[i, j] for i, j in around
            ):
                found.append((y, x))
    return np.array(found)


@pytest.mark.parametrize("tolerance", [0.0, 0.0075, 0.05, 0.2])
def test_boundary_f_is_what_all_distances_between_outlines_give(tolerance: float) -> None:
    made, true = samples.mask(3, SIZE), samples.mask(0, SIZE)
    distances = cdist(outline(made), outline(true))
    near = max(1.0, tolerance * math.hypot(*SIZE))
    precision, recall = (distances.min(axis=axis) <= near for axis in (1, 0))
    expected = 2 * precision.mean() * recall.mean() / (precision.mean() + recall.mean())
    assert BoundaryFMetric([true], tolerance=tolerance).calculate([made])["boundary_f"] == pytest.approx(
        expected
    )
    assert BoundaryFMetric([true], tolerance=tolerance).calculate([true]) == {"boundary_f": 1.0}


EMPTY, FULL = Image.new("L", (12, 12)), Image.new("L", (12, 12), 255)
HALF = Image.new("L", (12, 12))
HALF.paste(255, (0, 0, 6, 12))


@pytest.mark.parametrize(
    ("made", "true", "expected"),
    [
        (EMPTY, EMPTY, {"iou": 1, "dice": 1, "precision": 1, "recall": 1, "boundary_f": 1}),
        (FULL, FULL, {"iou": 1, "dice": 1, "precision": 1, "recall": 1, "boundary_f": 1}),
        (EMPTY, FULL, {"iou": 0, "dice": 0, "precision": 0, "recall": 0, "boundary_f": 0}),
        (FULL, EMPTY, {"iou": 0, "dice": 0, "precision": 0, "recall": 0, "boundary_f": 0}),
        (HALF, EMPTY, {"iou": 0, "dice": 0, "precision": 0, "recall": 0, "boundary_f": 0}),
        (HALF, FULL, {"iou": 0.5, "dice": 2 / 3, "precision": 1, "recall": 0.5, "boundary_f": 0}),
    ],
)
def test_empty_and_full_masks_have_scores(
    made: Image.Image, true: Image.Image, expected: Mapping[str, float]
) -> None:
    found: dict[str, float] = {}
    for name in COMPARE_MASKS:
        found |= value(name, made, true)
    assert found == pytest.approx(dict(expected))


@pytest.mark.parametrize("tolerance", [-0.1, 1.5, True, "near", float("nan")])
def test_a_tolerance_that_is_no_share_is_told(tolerance: object) -> None:
    with pytest.raises(ConfigurationError, match="tolerance must be a share of the diagonal, from 0 to 1"):
        BoundaryFMetric(reference="Mask", tolerance=tolerance)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BY_MASK)
@pytest.mark.parametrize(
    ("mask", "words"), [(FULL, "covers the whole image: there is nothing outside"), (EMPTY, "is empty")]
)
def test_a_mask_with_one_part_only_has_no_score_and_says_why(
    name: str, mask: Image.Image, words: str
) -> None:
    with pytest.raises(MetricError, match=words):
        value(name, Image.new("RGB", (12, 12), "red"), mask)


@pytest.mark.parametrize("name", BY_MASK)
def test_a_mask_is_brought_to_the_images_size_or_refused(name: str) -> None:
    image, mask = picture("1"), samples.mask(1, SIZE)
    doubled = mask.resize((128, 96), Image.Resampling.NEAREST)
    assert value(name, image, doubled) == value(name, image, mask)
    with pytest.raises(MetricError, match="the mask is 64×64 and its image 64×48"):
        value(name, image, samples.mask(1, (64, 64)))


@pytest.mark.parametrize("name", [*LOOK_ALONE, *BY_MASK])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_gray_and_palette_images_are_looked_at_like_any_other(name: str, mode: str) -> None:
    plain = samples.mask(2, SIZE)
    image = (
        Image.fromarray(np.asarray(plain).astype(np.uint16) * 257) if mode == "I;16" else plain.convert(mode)
    )
    masks = [samples.mask(0, SIZE)] if name in BY_MASK else []
    assert value(name, image, *masks) == value(name, plain.convert("RGB"), *masks)


def test_dithering_and_letterboxes_do_not_count_as_mask() -> None:
    gray, white = Image.new("L", (20, 20), 120), Image.new("L", (20, 20), 255)
    assert value("dice", gray, white) == {"dice": 0.0}  # dithered, it would be half white
    wide = Image.new("L", (40, 20), 255)
    for name in COMPARE_MASKS:
        with pytest.raises(MetricError, match="aspect ratios may not"):
            value(name, white, wide)


def test_the_hash_sees_through_scaling_and_compression() -> None:
    image = samples.picture(5, (200, 160)).filter(ImageFilter.GaussianBlur(3))
    assert PerceptualHashMetric([image]).calculate([image.resize((100, 80))])["phash"] <= 10
    assert value("phash", Image.new("L", (9, 9), 80), Image.new("L", (40, 9), 80)) == {"phash": 0.0}


def made(**facts: float) -> Execution:
    item = samples.eval_set(1).items[0]
    image = item.inputs["Input"]
    return Execution(
        image,
        item,
        GeneratedImage("r", item.name, image, "http://10.0.0.5:8188", **{"seconds": 1.5, **facts}),
    )


def test_seconds_and_cost_are_those_of_the_endpoint() -> None:
    seconds, cost = metric_class("seconds")(), metric_class("cost")()
    assert (seconds.score_execution(made(seconds=2.5)), cost.score_execution(made(cost=4.0))) == (2.5, 4.0)
    assert seconds.directions() == {"seconds": "min"}
    assert cost.directions() == {"cost": "min"}
    with pytest.raises(MetricError, match="does not tell what the image cost"):
        cost.score_execution(made())
    for metric in (seconds, cost):
        with pytest.raises(MetricError, match="only a run knows"):
            metric.score(samples.picture(1), EvalItem(0, "a"))


@pytest.mark.parametrize("name", [*COMPARE_MASKS, *COMPARE_PICTURES, *LOOK_ALONE, *BY_MASK])
@pytest.mark.parametrize("by_folder", [True, False])
def test_every_metric_fulfils_the_contract(name: str, by_folder: bool) -> None:
    items = samples.eval_set(3).items
    found = metric_class(name)
    if name in LOOK_ALONE:
        metric = found()
    elif by_folder:
        option, folder = (
            ("mask", "Mask")
            if name in BY_MASK
            else ("reference", "Mask" if name in COMPARE_MASKS else "Original")
        )
        metric = found(**{option: folder})
    else:
        folder = "Original" if name in COMPARE_PICTURES else "Mask"
        metric = found([item.references[folder].image for item in items])  # type: ignore[call-arg]
    images = [
        samples.mask(i + 1) if name in COMPARE_MASKS else item.inputs["Input"].image
        for i, item in enumerate(items)
    ]
    check_metric(metric, images, items)


def test_the_names_of_the_first_pixaris_work() -> None:
    masks = [samples.mask(0, SIZE)]
    assert IoUMetric(true_masks=masks).calculate(masks) == {"iou": 1.0}
    assert list(LuminescenceComparisonByMaskMetric(mask_images=masks).calculate([picture("0")])) == [
        "luminescence_difference"
    ]
    assert list(SaturationComparisonByMaskMetric(mask_images=masks).calculate([picture("0")])) == [
        "saturation_difference"
    ]
    assert list(LuminescenceWithoutMaskMetric().calculate([picture("0")])) == [
        "luminescence_mean",
        "luminescence_var",
    ]
    assert list(SaturationWithoutMaskMetric().calculate([picture("0")])) == [
        "saturation_mean",
        "saturation_var",
    ]


@pytest.mark.parametrize(
    "module",
    [
        "overlap",
        "boundary",
        "luminescence",
        "saturation",
        "appearance",
        "color_difference",
        "perceptual_hash",
        "resources",
    ],
)
def test_the_examples_of_the_docstrings_are_right(module: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"pixaris.metrics.{module}"))
    assert (tried.failed, tried.attempted >= 2) == (0, True)
