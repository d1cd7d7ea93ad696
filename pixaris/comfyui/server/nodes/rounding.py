"""Give a fast convolution ComfyUI's own rounding, in the places where rounding shows.

ComfyUI convolves with the full kernel in float32, one fused multiply-add per tap; a float64 convolution
differs from that by some 1e-7. Saving truncates, so the difference is visible where 255·x falls beside a
whole number: on flat areas (a background of level 140 comes out as 139 after a blur of radius 2) and on few
other values. Those are computed again here, tap by tap in ComfyUI's order.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pixaris.comfyui.server.nodes.tensors import Image

Kernel = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Scattered taps computed again, at most: some 50 ms. With more of them the float64 value stays, which is
# within one level.
MAX_TAPS = 3_000_000


def as_float32_chain(image: Image, kernel: Kernel, close: NDArray[np.float64]) -> Image:
    """Round ``close`` to float32 as a chain of float32 multiply-adds over ``kernel`` would have rounded.

    Args:
        image: ``[batch, height, width, channels]``, what was convolved.
        kernel: ``[side, side]``, side odd; the image is mirrored at its border by half of it.
        close: The convolution in float64.

    Returns:
        ``[batch, height, width, channels]``.
    """
    result = close.astype(np.float32)
    near = _beside_a_level(result, kernel)
    if not near.any():
        return result
    radius = kernel.shape[0] // 2
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius), (0, 0)), "reflect")
    if np.count_nonzero(near) * kernel.size > MAX_TAPS:
        flat = near & _flat_windows(padded, 2 * radius)
        near &= ~flat
        for channel in range(image.shape[3]):
            _fill_flat(result[..., channel], image[..., channel], flat[..., channel], kernel)
    if 0 < np.count_nonzero(near) * kernel.size <= MAX_TAPS:
        places = np.flatnonzero(near)
        result.reshape(-1)[places] = _chain(kernel, _windows(padded, near.shape, places, kernel.shape[0]))
    return result


def _beside_a_level(result: Image, kernel: Kernel) -> Flags:
    # n roundings drift by about the root of n of them, so four times that is hardly ever left.
    drift = 4 * np.sqrt(kernel.size) * 2.0**-24 * max(1.0, float(np.abs(kernel).max()))
    levels = result * np.float32(255)
    levels -= np.rint(levels)
    near: Flags = np.abs(levels, out=levels) < np.float32(255 * drift)
    return near


def _flat_windows(padded: Image, reach: int) -> Flags:
    """Flag the windows of side ``reach + 1`` in which all values of a channel are equal."""
    across = _runs(padded[:, :, 1:] == padded[:, :, :-1], reach, axis=2)
    down = _runs(padded[:, 1:] == padded[:, :-1], reach, axis=1)
    return _runs(across, reach + 1, axis=1) & down[:, :, : across.shape[2]]


def _runs(flags: Flags, length: int, axis: int) -> Flags:
    """Flag the places from which ``length`` flags in a row are set, doubling the length reached at each
    step.
    """
    reached = 1
    while reached < length:
        step = min(reached, length - reached)
        size = flags.shape[axis] - step
        flags = _cut(flags, 0, size, axis) & _cut(flags, step, size, axis)
        reached += step
    return flags


def _cut(flags: Flags, start: int, size: int, axis: int) -> Flags:
    if axis == 1:
        return flags[:, start : start + size]
    return flags[:, :, start : start + size]


def _fill_flat(result: Image, image: Image, flat: Flags, kernel: Kernel) -> None:
    """In a flat window the outcome depends on the level alone: one chain for each level there is."""
    values = image[flat]
    if not values.size:
        return
    heads = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    levels, which = np.unique(values[heads], return_inverse=True)
    outcomes = _chain(kernel, (levels for _ in range(kernel.size)))
    result[flat] = np.repeat(outcomes[which], np.diff(heads, append=values.size))


def _windows(padded: Image, shape: tuple[int, ...], places: NDArray[np.intp], side: int) -> Iterable[Image]:
    """Yield, tap by tap, the values under one place of the kernel, for all places of an image of
    ``shape``.
    """
    batch, row, column, channel = np.unravel_index(places, shape)
    flat = padded.ravel()
    width, channels = padded.shape[2], padded.shape[3]
    start = ((batch * padded.shape[1] + row) * width + column) * channels + channel
    for y in range(side):
        for x in range(side):
            yield flat[start + (y * width + x) * channels]


def _chain(kernel: Kernel, taps: Iterable[Image]) -> Image:
    total: Image | np.float32 = np.float32(0)
    for weight, values in zip(kernel.ravel(), taps, strict=True):
        # A product of two float32 is exact in float64, so that the sum is rounded once, as in a fused
        # multiply-add.
        total = (np.float64(weight) * values.astype(np.float64) + total).astype(np.float32)
    return np.asarray(total)
