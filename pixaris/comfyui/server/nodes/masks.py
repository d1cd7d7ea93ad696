"""Nodes that take or give a MASK. Keyword arguments are the node's inputs, by their names in a workflow
file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pixaris.comfyui.server.nodes.tensors import Image, Mask, Tensor

_CHANNELS = ("red", "green", "blue", "alpha")


def image_to_mask(image: Image, channel: str) -> Mask:
    """Take one channel.

    Raises:
        IndexError: ``alpha`` of an image, which here always has three channels.
    """
    index = _CHANNELS.index(channel)
    if index >= image.shape[3]:
        raise IndexError(f"index {index} is out of bounds for dimension 3 with size {image.shape[3]}")
    return np.ascontiguousarray(image[..., index])


def mask_to_image(mask: Mask) -> Image:
    """Put the mask into three channels."""
    return np.repeat(mask[..., None], 3, axis=3)


def image_color_to_mask(image: Image, color: int) -> Mask:
    """1 where the pixel, rounded to 8 bits, is exactly the colour 0xRRGGBB, else 0."""
    levels: NDArray[np.int32] = np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.int32)
    packed: NDArray[np.int32] = (levels[..., 0] << 16) + (levels[..., 1] << 8) + levels[..., 2]
    mask: Mask = (packed == color).astype(np.float32)
    return mask


def solid_mask(value: float, width: int, height: int) -> Mask:
    """Fill with one value."""
    return np.full((1, height, width), np.float32(value), np.float32)


def invert_mask(mask: Mask) -> Mask:
    """``1 - x``."""
    return np.subtract(np.float32(1), mask)


def threshold_mask(mask: Mask, value: float) -> Mask:
    """1 where strictly above ``value``, else 0; compared in float32, so that a value of k/255 leaves level k
    at 0.
    """
    return (mask > np.float32(value)).astype(np.float32)


def crop_mask(mask: Mask, x: int, y: int, width: int, height: int) -> Mask:
    """Cut a window; outside the mask nothing is left, and the next node fails on it."""
    return mask[:, y : y + height, x : x + width]


def feather_mask(mask: Mask, left: int, top: int, right: int, bottom: int) -> Mask:
    """Fade towards the sides: the outermost column of ``left`` keeps 1/left, the next 2/left; corners get
    both factors.
    """
    mask = mask.copy()
    height, width = mask.shape[1:]
    for i in range(left := min(left, width)):
        mask[:, :, i] *= np.float32((i + 1) / left)
    for i in range(right := min(right, width)):
        mask[:, :, width - 1 - i] *= np.float32((i + 1) / right)
    for i in range(top := min(top, height)):
        mask[:, i, :] *= np.float32((i + 1) / top)
    for i in range(bottom := min(bottom, height)):
        mask[:, height - 1 - i, :] *= np.float32((i + 1) / bottom)
    return mask


def grow_mask(mask: Mask, expand: int, tapered_corners: bool) -> Mask:
    """Dilate (``expand`` > 0) or erode (< 0) grey values |expand| times by a 3×3 footprint; outside the mask
    is ignored.

    n times the full square is one square of side 2n+1; n times the plus of five pixels is one diamond of
    radius n. Both are computed at once, so that the cost hardly depends on ``expand``.
    """
    if expand == 0 or mask.size == 0:
        return mask
    if tapered_corners:
        dilate = _dilate_diamond
    else:
        dilate = _dilate_square
    grown = np.stack([dilate(frame if expand > 0 else -frame, abs(expand)) for frame in mask])
    if expand > 0:
        return grown
    return -grown


def _dilate_square(frame: Mask, n: int) -> Mask:
    n = min(n, max(frame.shape))
    rows = ndimage.maximum_filter1d(frame, 2 * n + 1, axis=0, mode="nearest")
    square: Mask = ndimage.maximum_filter1d(rows, 2 * n + 1, axis=1, mode="nearest")
    return square


def _dilate_diamond(frame: Mask, n: int) -> Mask:
    """A diamond of radius n is a diagonal of n points, swept along the other diagonal's n points, and one
    plus.
    """
    height, width = frame.shape
    if n >= height + width - 2:  # every pixel reaches every other
        return np.full_like(frame, frame.max())
    pad = n + 1
    work = np.full((height + 2 * pad, width + 2 * pad), -np.inf, np.float32)
    work[pad : pad + height, pad : pad + width] = frame
    _sweep(work, n, rightwards=True)
    _sweep(work, n, rightwards=False)
    top = pad - (n - 1)  # the two sweeps together moved everything up by n - 1
    window = work[top - 1 : top + height + 1, pad - 1 : pad + width + 1]
    grown = np.maximum(window[1:-1, 1:-1], window[:-2, 1:-1])
    for neighbour in (window[2:, 1:-1], window[1:-1, :-2], window[1:-1, 2:]):
        np.maximum(grown, neighbour, out=grown)
    return grown


def _sweep(work: Mask, n: int, *, rightwards: bool) -> None:
    """Give every pixel the maximum of the n pixels from it diagonally down, doubling the length reached at
    each step.
    """
    reached = 1
    while reached < n:
        step = min(reached, n - reached)
        if rightwards:
            target, moved = (work[:-step, :-step], work[step:, step:])
        else:
            target, moved = (work[:-step, step:], work[step:, :-step])
        np.maximum(target, moved, out=target)
        reached += step


def mask_composite(destination: Mask, source: Mask, x: int, y: int, operation: str) -> Mask:
    """Put ``source`` onto a copy of ``destination`` at (x, y), clipped to it, then clamp the whole result to
    [0, 1].
    """
    result = destination.copy()
    height, width = (
        max(0, min(source.shape[1], result.shape[1] - y)),
        max(0, min(source.shape[2], result.shape[2] - x)),
    )
    if height and width:
        window = result[:, y : y + height, x : x + width]
        window[...] = _OPERATIONS[operation](window, source[:, :height, :width])
    return np.clip(result, 0, 1)


def _on(mask: Mask) -> NDArray[np.bool_]:
    return np.rint(mask).astype(np.bool_)  # half to even: 0.5 is off


_OPERATIONS: dict[str, Callable[[Mask, Mask], Tensor]] = {
    "multiply": lambda d, s: d * s,
    "add": lambda d, s: d + s,
    "subtract": lambda d, s: d - s,
    "and": lambda d, s: (_on(d) & _on(s)).astype(np.float32),
    "or": lambda d, s: (_on(d) | _on(s)).astype(np.float32),
    "xor": lambda d, s: (_on(d) ^ _on(s)).astype(np.float32),
}

NODES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "ImageToMask": image_to_mask,
        "MaskToImage": mask_to_image,
        "ImageColorToMask": image_color_to_mask,
        "SolidMask": solid_mask,
        "InvertMask": invert_mask,
        "ThresholdMask": threshold_mask,
        "CropMask": crop_mask,
        "FeatherMask": feather_mask,
        "GrowMask": grow_mask,
        "MaskComposite": mask_composite,
    }
)
