"""Nodes that take and give an IMAGE. Keyword arguments are the node's inputs, by their names in a workflow
file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import PIL.Image

from pixaris.comfyui.server.nodes import convolution, scaling
from pixaris.comfyui.server.nodes.tensors import Bytes, Image, Tensor, from_levels, to_levels


def empty_image(width: int, height: int, batch_size: int, color: int) -> Image:
    """Fill with one colour, 0xRRGGBB."""
    channels = [np.float32((color >> shift & 0xFF) / 0xFF) for shift in (16, 8, 0)]
    image = np.empty((batch_size, height, width, 3), np.float32)
    image[...] = channels
    return image


def image_invert(image: Image) -> Image:
    """``1 - x``. Saving truncates, so that inverting level 1 gives 254 and level 10 gives 245, but 100 gives
    155.
    """
    return np.subtract(np.float32(1), image)


def image_crop(image: Image, width: int, height: int, x: int, y: int) -> Image:
    """Cut a window whose corner is moved inside the image; the result may be smaller than asked for."""
    left, top = min(x, image.shape[2] - 1), min(y, image.shape[1] - 1)
    return image[:, top : top + height, left : left + width]


def image_blur(image: Image, blur_radius: int, sigma: float) -> Image:
    """See `convolution.blur`."""
    return convolution.blur(image, blur_radius, sigma)


def image_sharpen(image: Image, sharpen_radius: int, sigma: float, alpha: float) -> Image:
    """See `convolution.sharpen`; ``alpha`` acts tenfold."""
    return convolution.sharpen(image, sharpen_radius, sigma, alpha)


def image_scale(image: Image, upscale_method: str, width: int, height: int, crop: str) -> Image:
    """Scale to a size; a side of 0 keeps the aspect, two of them keep the image."""
    if width == 0 and height == 0:
        return image
    old_height, old_width = image.shape[1:3]
    if width == 0:
        width = max(1, round(old_width * height / old_height))
    elif height == 0:
        height = max(1, round(old_height * width / old_width))
    return scaling.resize(image, width, height, upscale_method, crop)


def image_scale_by(image: Image, upscale_method: str, scale_by: float) -> Image:
    """Scale both sides by a factor, rounded to whole pixels."""
    old_height, old_width = image.shape[1:3]
    return scaling.resize(image, round(old_width * scale_by), round(old_height * scale_by), upscale_method)


def image_blend(image1: Image, image2: Image, blend_factor: float, blend_mode: str) -> Image:
    """Mix ``image1`` with what the mode makes of both; a second image of another size is first scaled,
    bicubic and centred.
    """
    if image1.shape[1:] != image2.shape[1:]:
        image2 = scaling.resize(image2, image1.shape[2], image1.shape[1], "bicubic", "center")
    mixed = _BLENDS[blend_mode](image1, image2)
    result = image1 * np.float32(1 - blend_factor) + mixed * np.float32(blend_factor)
    return np.clip(result, 0, 1)


def _overlay(a: Image, b: Image) -> Image:
    return np.where(a <= 0.5, 2 * a * b, 1 - 2 * (1 - a) * (1 - b))


def _soft_light(a: Image, b: Image) -> Image:
    with np.errstate(invalid="ignore"):  # the root is taken of all values and used for those above a quarter
        curve = np.where(a <= 0.25, ((16 * a - 12) * a + 4) * a, np.sqrt(a))
    return np.where(b <= 0.5, a - (1 - 2 * b) * a * (1 - a), a + (2 * b - 1) * (curve - a))


_BLENDS: dict[str, Callable[[Image, Image], Image]] = {
    "normal": lambda a, b: b,
    "multiply": lambda a, b: a * b,
    "screen": lambda a, b: 1 - (1 - a) * (1 - b),
    "overlay": _overlay,
    "soft_light": _soft_light,
    "difference": lambda a, b: a - b,
}


def image_quantize(image: Image, colors: int, dither: str) -> Image:
    """Reduce every frame to a median-cut palette of its own, with Pillow's or an ordered dither."""
    frames = []
    for levels in to_levels(image):
        frame = PIL.Image.fromarray(levels)
        palette = frame.quantize(colors=colors)
        if dither.startswith("bayer-"):
            frame = PIL.Image.fromarray(_bayer(levels, palette, int(dither.removeprefix("bayer-"))))
        if dither == "floyd-steinberg":
            mode = PIL.Image.Dither.FLOYDSTEINBERG
        else:
            mode = PIL.Image.Dither.NONE
        frames.append(np.asarray(frame.quantize(colors=colors, palette=palette, dither=mode).convert("RGB")))
    return from_levels(np.stack(frames))


def _bayer(levels: Bytes, palette: PIL.Image.Image, order: int) -> Bytes:
    entries = len(palette.getpalette() or []) // 3
    matrix = (512 / entries) * _bayer_matrix(int(math.log2(order))) + 0.5
    height, width = levels.shape[:2]
    tiled = np.tile(matrix, (-(-height // order), -(-width // order)))[:height, :width, None]
    return np.clip(levels.astype(np.float32) + tiled.astype(np.float32), 0, 255).astype(np.uint8)


def _bayer_matrix(n: int) -> Tensor:
    if n == 0:
        return np.zeros((1, 1), np.float32)
    q = 4**n
    m = q * _bayer_matrix(n - 1)
    return np.block([[m - 1.5, m + 0.5], [m + 1.5, m - 0.5]]).astype(np.float32) / np.float32(q)


NODES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "EmptyImage": empty_image,
        "ImageInvert": image_invert,
        "ImageCrop": image_crop,
        "ImageBlur": image_blur,
        "ImageSharpen": image_sharpen,
        "ImageScale": image_scale,
        "ImageScaleBy": image_scale_by,
        "ImageBlend": image_blend,
        "ImageQuantize": image_quantize,
    }
)
