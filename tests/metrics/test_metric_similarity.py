"""SSIM, PSNR and MAE against formulas written out with numpy and scipy."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.ndimage import convolve

from pixaris.exceptions import MetricError
from pixaris.metrics import similarity
from pixaris.metrics.base import ReferenceMetric
from pixaris.metrics.similarity import MAEMetric, PSNRMetric, SSIMMetric
from pixaris.testing import samples
from pixaris.testing.contracts import check_metric

ALL = (SSIMMetric, PSNRMetric, MAEMetric)


def levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"), float) / 255


def ssim_by_hand(a: Image.Image, b: Image.Image) -> float:
    """Wang et al. 2004, with an explicit 11×11 window and whole windows only."""
    offsets = np.arange(-5, 6)
    bell = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(bell, bell) / bell.sum() ** 2
    channels = []
    for x, y in zip(np.moveaxis(levels(a), 2, 0), np.moveaxis(levels(b), 2, 0), strict=True):
        mean_x, mean_y = convolve(x, window), convolve(y, window)
        var_x = convolve(x * x, window) - mean_x**2
        var_y = convolve(y * y, window) - mean_y**2
        cov = convolve(x * y, window) - mean_x * mean_y
        top = (2 * mean_x * mean_y + 0.01**2) * (2 * cov + 0.03**2)
        bottom = (mean_x**2 + mean_y**2 + 0.01**2) * (var_x + var_y + 0.03**2)
        channels.append((top / bottom)[5:-5, 5:-5].mean())
    return float(np.mean(channels))


def pairs() -> list[tuple[Image.Image, Image.Image]]:
    photo = samples.picture(1, (64, 48))
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return [
        (photo, photo.filter(ImageFilter.GaussianBlur(1.2))),
        (photo, samples.picture(2, (64, 48))),
        (photo, Image.fromarray(noise)),
        (photo, photo.point(lambda level: 255 - level)),
        (Image.new("RGB", (30, 30), (250, 250, 250)), Image.new("RGB", (30, 30), (249, 250, 251))),
        (samples.mask(1), samples.mask(2)),
    ]


def value(metric: type[ReferenceMetric], image: Image.Image, reference: Image.Image) -> float:
    return metric([reference]).calculate([image])[metric.name]


@pytest.mark.parametrize(("a", "b"), pairs())
def test_ssim_is_wangs_formula(a: Image.Image, b: Image.Image) -> None:
    assert value(SSIMMetric, a, b) == pytest.approx(ssim_by_hand(a, b), abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from([11, 12, 43, 75, 90]), st.sampled_from([11, 40, 64]))
@settings(max_examples=40)
def test_ssim_is_wangs_formula_where_areas_are_flat(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    drawn = [np.full((height, width, 3), random.integers(0, 256, 3), np.uint8) for _ in range(2)]
    for image in drawn:
        if random.random() < 0.6:  # half of it is another colour, perhaps with noise of one level
            image[:, width // 2 :] = random.integers(0, 256, 3)
        if random.random() < 0.4:
            noise = random.integers(-1, 2, image.shape)
            image[:] = np.clip(image.astype(int) + noise, 0, 255)
    a, b = (Image.fromarray(image) for image in drawn)
    assert value(SSIMMetric, a, b) == pytest.approx(ssim_by_hand(a, b), abs=2e-6)


@pytest.mark.parametrize(("a", "b"), pairs())
def test_psnr_and_mae_are_their_formulas(a: Image.Image, b: Image.Image) -> None:
    difference = levels(a) - levels(b)
    assert value(PSNRMetric, a, b) == pytest.approx(-10 * math.log10(np.mean(difference**2)), abs=1e-9)
    assert value(MAEMetric, a, b) == pytest.approx(np.mean(np.abs(difference)), abs=1e-12)


@pytest.mark.parametrize(("metric", "best"), [(SSIMMetric, 1.0), (PSNRMetric, 100.0), (MAEMetric, 0.0)])
def test_identical_images_have_the_best_score_which_is_finite(
    metric: type[ReferenceMetric], best: float
) -> None:
    for image in (samples.picture(1), Image.new("RGB", (32, 32)), Image.new("RGBA", (32, 32), (9, 9, 9, 0))):
        assert value(metric, image, image.copy()) == best


def test_psnr_of_black_and_white_is_0_db() -> None:
    assert value(PSNRMetric, Image.new("RGB", (20, 20), "white"), Image.new("RGB", (20, 20))) == 0.0


def test_psnr_never_exceeds_its_cap_however_small_the_difference() -> None:
    black = Image.new("RGB", (400, 300))
    dot = black.copy()
    dot.putpixel((0, 0), (1, 0, 0))
    assert value(PSNRMetric, dot, black) == 100.0


@pytest.mark.parametrize("metric", ALL)
def test_a_worse_image_scores_worse_in_the_declared_direction(metric: type[ReferenceMetric]) -> None:
    photo = samples.picture(3, (64, 64))
    near, far = (value(metric, photo.filter(ImageFilter.GaussianBlur(r)), photo) for r in (0.6, 3))
    assert near > far if metric.direction == "max" else near < far


@pytest.mark.parametrize("metric", ALL)
def test_what_cannot_be_seen_does_not_count(metric: type[ReferenceMetric]) -> None:
    hidden = Image.new("RGBA", (32, 32), (200, 30, 90, 0))
    assert value(metric, hidden, Image.new("RGB", (32, 32))) == value(metric, hidden, hidden.copy())
    opaque = samples.picture(1)
    assert value(metric, opaque.convert("RGBA"), opaque) == value(metric, opaque, opaque.copy())


@pytest.mark.parametrize("metric", ALL)
def test_another_size_is_resized_to_the_references(metric: type[ReferenceMetric]) -> None:
    photo = samples.picture(1, (48, 32))
    large = photo.resize((96, 64), Image.Resampling.LANCZOS)
    expected = value(metric, large.resize((48, 32), Image.Resampling.LANCZOS), photo)
    assert value(metric, large, photo) == expected


@pytest.mark.parametrize("metric", ALL)
def test_another_aspect_ratio_has_no_score(metric: type[ReferenceMetric]) -> None:
    with pytest.raises(MetricError, match="32×32 and its reference 48×32"):
        value(metric, samples.picture(1, (32, 32)), samples.picture(1, (48, 32)))


def test_ssim_of_an_image_smaller_than_the_window_is_no_score() -> None:
    with pytest.raises(MetricError, match=r"at least 11×11 pixels \(the reference is 40×10\)"):
        value(SSIMMetric, samples.picture(1, (40, 10)), samples.picture(2, (40, 10)))
    assert math.isfinite(value(SSIMMetric, samples.picture(1, (11, 11)), samples.picture(2, (11, 11))))


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("by_folder", [False, True])
def test_similarity_metrics_fulfil_the_contract(metric: type[ReferenceMetric], by_folder: bool) -> None:
    items = samples.eval_set(3).items
    originals = [item.references["Original"].image for item in items]
    made = metric(reference="Original") if by_folder else metric(originals)
    check_metric(made, [item.inputs["Input"].image for item in items], items)


def test_importing_the_module_does_not_import_opencv() -> None:
    program = (
        "import sys, pixaris.metrics.similarity; sys.exit('cv2' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_examples_in_the_docstrings_are_right() -> None:
    tried = doctest.testmod(similarity)
    assert (tried.failed, tried.attempted >= 6) == (0, True)
