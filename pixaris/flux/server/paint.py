"""Images without a model: simple rules that let every parameter show. The same request gives the same
pixels.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pixaris.files import JsonMapping
from pixaris.images import decode

_MOST_PIXELS = 2_000_000


def paint(
    model: str, fields: Mapping[str, object], images: Sequence[bytes], mask: bytes | None
) -> Image.Image:
    """Paint an image.

    Where there is a mask, its white part is filled from its surroundings: more ``steps`` reach for finer
    detail, ``guidance`` sets the contrast (60 keeps it), the seed makes the grain. Without one, an input
    image takes on a little of the prompt's colours; without any, the prompt's colours are all there is.

    Args:
        model: The model's name.
        fields: The request's fields.
        images: The input images' files.
        mask: The mask's file.
    """
    prompt = str(fields.get("prompt") or "")
    seed = fields.get("seed")
    rng = np.random.default_rng(_number(f"{model}|{prompt}|{0 if seed is None else seed}"))
    given = [decode(data, "image") for data in images]
    if mask is not None and given:
        return _filled(given[0].convert("RGB"), decode(mask, "mask").convert("L"), fields, rng)
    if given and model.endswith("expand"):
        return _expanded(given[0].convert("RGB"), fields)
    size = _size(fields, given)
    colours = np.random.default_rng(_number(prompt)).uniform(40, 215, (2, 2, 3)).astype(np.uint8)
    scene = np.asarray(Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC), np.float64)
    scene = scene + rng.normal(0, 6, scene.shape)
    if given:
        scene = 0.15 * scene + 0.85 * np.asarray(given[0].convert("RGB").resize(size), np.float64)
    return _image(scene)


def encode(image: Image.Image, output_format: str) -> bytes:
    """The image as a file."""
    buffer = io.BytesIO()
    if output_format == "png":
        options = {}
    else:
        options = {"quality": 90}
    image.save(buffer, output_format.upper(), **options)
    return buffer.getvalue()


def _filled(
    image: Image.Image, mask: Image.Image, fields: JsonMapping, rng: np.random.Generator
) -> Image.Image:
    levels = np.asarray(image, np.float64)
    hole = np.asarray(mask, np.float64)[..., None] / 255
    steps, guidance = float(fields.get("steps") or 50), float(fields.get("guidance") or 60)
    guess = np.zeros_like(levels)
    total = np.zeros_like(hole)
    for sigma in (2.0, 4.0, 8.0, 16.0, 32.0, 64.0):
        weight = ndimage.gaussian_filter(1 - hole, (sigma, sigma, 0)) + 1e-6
        blurred = ndimage.gaussian_filter(levels * (1 - hole), (sigma, sigma, 0)) / weight
        share = weight ** (1 + steps / 25) / sigma
        guess += share * blurred
        total += share
    guess /= total
    outside = (1 - hole) / max(float((1 - hole).sum()), 1.0)
    mean = (levels * outside).sum((0, 1))
    guess = mean + (guess - mean) * (guidance / 60) ** 0.5 + rng.normal(0, 2 + 200 / steps, levels.shape)
    return _image(levels * (1 - hole) + guess * hole)


def _expanded(image: Image.Image, fields: JsonMapping) -> Image.Image:
    margins = [int(fields.get(side) or 0) for side in ("top", "bottom", "left", "right")]
    levels = np.asarray(image, np.float64)
    return _image(
        np.pad(
            levels,
            (tuple(margins[:2]), tuple(margins[2:]), (0, 0)),
            mode="reflect" if min(levels.shape[:2]) > 1 else "edge",
        )
    )


def _size(fields: JsonMapping, given: Sequence[Image.Image]) -> tuple[int, int]:
    if fields.get("width") and fields.get("height"):
        width, height = int(fields["width"]), int(fields["height"])
    elif given:
        width, height = given[0].size
    else:
        across, _, down = str(fields.get("aspect_ratio") or "4:3").partition(":")
        scale = (256 * 256 / (int(across) * int(down))) ** 0.5
        width, height = round(int(across) * scale), round(int(down) * scale)
    shrink = min(1.0, (_MOST_PIXELS / (width * height)) ** 0.5)
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def _image(levels: NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
