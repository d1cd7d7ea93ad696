"""ResizeImageMaskNode: one node for every way to say how large an image or a mask is to become."""

from __future__ import annotations

import math

import numpy as np

from pixaris.comfyui.server.nodes import scaling
from pixaris.comfyui.server.nodes.images import image_scale, image_scale_by
from pixaris.comfyui.server.nodes.tensors import Image, Tensor
from pixaris.files import JsonMapping

Size = tuple[int, int]


def resize_image_mask(input: Tensor, scale_method: str, resize_type: JsonMapping) -> Tensor:
    """Resize an IMAGE or a MASK.

    Args:
        input: The IMAGE [batch, height, width, channels] or MASK [batch, height, width].
        scale_method: One of `scaling.METHODS`.
        resize_type: The choice under ``resize_type``, and what hangs on it.
    """
    if input.ndim == 3:
        channels = np.repeat(input[..., None], 3, axis=-1)
        return resize_image_mask(channels, scale_method, resize_type)[..., 0]
    choice = resize_type["resize_type"]
    if choice in ("scale dimensions", "scale width", "scale height"):
        width, height = resize_type.get("width", 0), resize_type.get("height", 0)
        return image_scale(input, scale_method, width, height, resize_type.get("crop", "disabled"))
    if choice == "scale by multiplier":
        return image_scale_by(input, scale_method, resize_type["multiplier"])
    if choice == "scale to multiple":
        return _covered(input, resize_type["multiple"], scale_method)
    size = input.shape[2], input.shape[1]
    target = _target(size, choice, resize_type)
    return scaling.resize(input, *target, scale_method, resize_type.get("crop", "disabled"))


def _target(size: Size, choice: str, asked: JsonMapping) -> Size:
    """Width and height to resize to."""
    width, height = size
    if choice == "match size":
        return asked["match"].shape[2], asked["match"].shape[1]
    if choice == "scale total pixels":
        return _of_area(size, int(asked["megapixels"] * 1024 * 1024), asked["multiple"])
    longer = choice == "scale longer dimension"
    side = asked["longer_size" if longer else "shorter_size"]
    if (width >= height) == longer:
        return side, round(height / width * side)
    return round(width / height * side), side


def _of_area(size: Size, pixels: int, multiple: int) -> Size:
    factor = math.sqrt(pixels / (size[0] * size[1]))
    width, height = (max(1, round(side * factor / multiple)) * multiple for side in size)
    return width, height


def _covered(image: Image, multiple: int, method: str) -> Image:
    """Scale until both sides reach the multiple below them, and cut off what is more, evenly."""
    height, width = image.shape[1:3]
    goal = width // multiple * multiple, height // multiple * multiple
    if 0 in goal or goal == (width, height):
        return image
    factor = max(goal[0] / width, goal[1] / height)
    size = max(goal[0], math.ceil(width * factor)), max(goal[1], math.ceil(height * factor))
    scaled = scaling.resize(image, *size, method)
    left, top = (size[0] - goal[0]) // 2, (size[1] - goal[1]) // 2
    return scaled[:, top : top + goal[1], left : left + goal[0]]
