"""Resampling, as torch's `interpolate` does it: without antialiasing, except ``area`` and ``lanczos``."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from pixaris.comfyui.server.nodes.tensors import Image, from_levels, to_levels

METHODS = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")


def resize(image: Image, width: int, height: int, method: str, crop: str = "disabled") -> Image:
    """Resample to ``width`` × ``height``.

    Args:
        image: ``[batch, height, width, 3]``.
        width: Target, at least 1.
        height: Target, at least 1.
        method: One of `METHODS`. ``bicubic`` may leave [0, 1]; nothing is clamped.
        crop: ``center`` cuts the source to the target's aspect first, else it is stretched.
    """
    if crop == "center":
        image = _crop_to_aspect(image, width, height)
    if method == "lanczos":
        return _lanczos(image, width, height)
    weigh = {"nearest-exact": _nearest, "bilinear": _bilinear, "bicubic": _bicubic}.get(method)
    for axis, size in ((2, width), (1, height)):
        if weigh:
            image = _weighted(image, axis, *weigh(image.shape[axis], size))
        else:
            image = _area(image, axis, size)
    return np.ascontiguousarray(image)


def _crop_to_aspect(image: Image, width: int, height: int) -> Image:
    old_height, old_width = image.shape[1:3]
    old, new = old_width / old_height, width / height
    if old > new:
        x = round((old_width - old_width * (new / old)) / 2)
    else:
        x = 0
    if old < new:
        y = round((old_height - old_height * (old / new)) / 2)
    else:
        y = 0
    return image[:, y : old_height - y, x : old_width - x]


Taps = tuple[list[NDArray[np.intp]], list[NDArray[np.float32]]]


def _positions(source: int, target: int) -> NDArray[np.float32]:
    scale = np.float32(source) / np.float32(target)
    return (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale


def _nearest(source: int, target: int) -> Taps:
    index = np.minimum(np.floor(_positions(source, target)).astype(np.intp), source - 1)
    return [index], []


def _bilinear(source: int, target: int) -> Taps:
    position = np.maximum(_positions(source, target) - np.float32(0.5), np.float32(0))
    first = np.minimum(position.astype(np.intp), source - 1)
    part = position - first.astype(np.float32)
    return [first, np.minimum(first + 1, source - 1)], [1 - part, part]


def _bicubic(source: int, target: int) -> Taps:
    position = _positions(source, target) - np.float32(0.5)
    first = np.floor(position)
    part = position - first
    offsets = [part + 1, part, 1 - part, 2 - part]
    weights = [
        _cubic_outer(offsets[0]),
        _cubic_inner(offsets[1]),
        _cubic_inner(offsets[2]),
        _cubic_outer(offsets[3]),
    ]
    return [np.clip(first.astype(np.intp) + shift, 0, source - 1) for shift in (-1, 0, 1, 2)], weights


_A = np.float32(-0.75)


def _cubic_inner(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return ((_A + 2) * x - (_A + 3)) * x * x + 1


def _cubic_outer(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A


def _weighted(
    image: Image, axis: int, indices: list[NDArray[np.intp]], weights: list[NDArray[np.float32]]
) -> Image:
    if not weights:
        return np.take(image, indices[0], axis=axis)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    total: Image | None = None
    for index, weight in zip(indices, weights, strict=True):
        part = np.take(image, index, axis=axis)
        part *= weight.reshape(shape)
        if total is None:
            total = part
        else:
            total = np.add(total, part, out=total)
    assert total is not None
    return total


def _area(image: Image, axis: int, target: int) -> Image:
    source = image.shape[axis]
    out = np.arange(target)
    start, end = (out * source) // target, -((-(out + 1) * source) // target)
    places = np.arange(source)
    inside = (places[None, :] >= start[:, None]) & (places[None, :] < end[:, None])
    means = inside / (end - start)[:, None]
    return np.moveaxis(np.tensordot(means, image, axes=(1, axis)), 0, axis).astype(np.float32)


def _lanczos(image: Image, width: int, height: int) -> Image:
    frames = [
        PIL.Image.fromarray(frame).resize((width, height), PIL.Image.Resampling.LANCZOS)
        for frame in to_levels(image)
    ]
    return from_levels(np.stack([np.asarray(frame) for frame in frames]))
