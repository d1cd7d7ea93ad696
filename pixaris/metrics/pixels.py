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
Levels: TypeAlias = NDArray[np.uint8]
Size: TypeAlias = tuple[int, int]
"""Width and height in pixels, as Pillow's."""


def flat(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB. Transparency is composited over black, so that what cannot be seen does not count."""
    image = as_rgb(image)
    if image.mode == "RGBA":
        # Whatever colour lies under transparent pixels is an accident of the program that wrote them.
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
    # Pillow's own conversion to black and white would dither.
    return np.asarray(flat(image).convert("L")) > 127


def mask_at(image: Image.Image, size: Size) -> Mask:
    """Return a generated mask at the true one's size."""
    # No filter: it would make greys of a boundary, and a mask is one or the other.
    return mask_of(fitted(image, size, Image.Resampling.NEAREST))


def levels(image: Image.Image) -> Levels:
    """Return 8-bit RGB as an array [height, width, 3]."""
    return np.asarray(flat(image))


def levels_at(image: Image.Image, size: Size) -> Levels:
    """Return a generated image as an array [height, width, 3], at its reference's size."""
    return levels(fitted(flat(image), size, Image.Resampling.LANCZOS))


def size_of(values: NDArray[np.generic]) -> Size:
    """The size of what an array [height, width, …] shows."""
    height, width = values.shape[:2]
    return width, height


def rgb_pair(image: Image.Image, reference: Image.Image) -> tuple[Pixels, Pixels]:
    """Return image and reference as arrays [height, width, 3] in [0, 1], at the reference's size."""
    return levels_at(image, reference.size) / 255, levels(reference) / 255


def fitted(
    image: Image.Image,
    size: Size,
    resample: Image.Resampling,
    names: tuple[str, str] = ("generated image", "reference"),
) -> Image.Image:
    """Return the image at its reference's size.

    It is resized where both have the same aspect ratio: where the larger of the two, scaled down to the width
    or to the height of the smaller, has the smaller's other side within one pixel.

    Args:
        image: The generated image.
        size: Size of the image it is compared with, which is never resized.
        resample: Pillow's filter for resizing.
        names: What the two are called in errors.

    Raises:
        MetricError: The aspect ratios differ.
    """
    if image.size == size:
        return image
    width, height = image.size
    ref_width, ref_height = size
    if width * height > ref_width * ref_height:
        larger = max(width, height)
    else:
        larger = max(ref_width, ref_height)
    # In whole numbers: a quotient of sides would need a tolerance of its own.
    if abs(width * ref_height - height * ref_width) > larger:
        raise MetricError(
            f"the {names[0]} is {width}×{height} and its {names[1]} {ref_width}×{ref_height}: sizes may"
            " differ, aspect ratios may not; crop or pad one of them"
        )
    return image.resize(size, resample)


def inside_and_outside(values: Pixels, image: Image.Image, mask: Image.Image) -> tuple[Pixels, Pixels]:
    """Split an image's values [height, width] by its mask, which is brought to the image's size.

    Raises:
        MetricError: The aspect ratios differ, or one of the parts is empty.
    """
    inside = mask_of(fitted(mask, image.size, Image.Resampling.NEAREST, ("mask", "image")))
    if inside.all() or not inside.any():
        if inside.all():
            what = "covers the whole image: there is nothing outside"
        else:
            what = "is empty: there is nothing inside"
        raise MetricError(f"the mask {what} to compare with")
    return values[inside], values[~inside]
