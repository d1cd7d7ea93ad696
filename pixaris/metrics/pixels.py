"""Pixels as metrics compare them: one rule for transparency, one for sizes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.images import as_rgb

Mask: TypeAlias = NDArray[np.bool_]
Pixels: TypeAlias = NDArray[np.float64]


def flat(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB. Transparency is composited over black, so that what cannot be seen does not count."""
    image = as_rgb(image)
    if image.mode == "RGBA":
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image).convert("RGB")
    return image


def gray(image: Image.Image) -> Pixels:
    """Return levels [height, width] from 0 to 255: Rec. 601's luminance, rounded as Pillow's mode ``L``."""
    return np.asarray(flat(image).convert("L"), np.float64)


def mask_of(image: Image.Image) -> Mask:
    """Return which pixels belong to a mask [height, width]: those of level 128 or more. Nothing is
    dithered.
    """
    return np.asarray(flat(image).convert("L")) > 127


def masks(image: Image.Image, reference: Image.Image) -> tuple[Mask, Mask]:
    """Return a generated mask and the true one, at the true one's size."""
    return mask_of(fitted(image, reference, Image.Resampling.NEAREST)), mask_of(reference)


def rgb_pair(image: Image.Image, reference: Image.Image) -> tuple[Pixels, Pixels]:
    """Return image and reference as arrays [height, width, 3] in [0, 1], at the reference's size."""
    image = fitted(flat(image), reference, Image.Resampling.LANCZOS)
    return np.asarray(image, np.float64) / 255, np.asarray(flat(reference), np.float64) / 255


def fitted(
    image: Image.Image,
    reference: Image.Image,
    resample: Image.Resampling,
    names: tuple[str, str] = ("generated image", "reference"),
) -> Image.Image:
    """Return the image at its reference's size.

    It is resized where both have the same aspect ratio: where the larger of the two, scaled down to the width
    or to the height of the smaller, has the smaller's other side within one pixel.

    Args:
        image: The generated image.
        reference: The image it is compared with; it is never resized.
        resample: Pillow's filter for resizing.
        names: What the two are called in errors.

    Raises:
        MetricError: The aspect ratios differ.
    """
    if image.size == reference.size:
        return image
    (width, height), (ref_width, ref_height) = image.size, reference.size
    larger = max(width, height) if width * height > ref_width * ref_height else max(ref_width, ref_height)
    if abs(width * ref_height - height * ref_width) > larger:
        raise MetricError(
            f"the {names[0]} is {width}×{height} and its {names[1]} {ref_width}×{ref_height}: sizes may"
            " differ, aspect ratios may not; crop or pad one of them"
        )
    return image.resize(reference.size, resample)


def inside_and_outside(values: Pixels, image: Image.Image, mask: Image.Image) -> tuple[Pixels, Pixels]:
    """Split an image's values [height, width] by its mask, which is brought to the image's size.

    Raises:
        MetricError: The aspect ratios differ, or one of the parts is empty.
    """
    inside = mask_of(fitted(mask, image, Image.Resampling.NEAREST, ("mask", "image")))
    if inside.all() or not inside.any():
        what = (
            "covers the whole image: there is nothing outside"
            if inside.all()
            else "is empty: there is nothing inside"
        )
        raise MetricError(f"the mask {what} to compare with")
    return values[inside], values[~inside]
