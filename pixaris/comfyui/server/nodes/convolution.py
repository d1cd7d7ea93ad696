"""Gaussian blur and sharpening.

ComfyUI convolves with the full (2r+1)² kernel; a Gaussian is separable, which costs 4r+2 taps per value
instead. It is done in float64 and then given ComfyUI's rounding (see `rounding`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pixaris.comfyui.server.nodes.rounding import Kernel, as_float32_chain
from pixaris.comfyui.server.nodes.tensors import Image

# Up to this radius numpy's whole-array operations on strips are faster than scipy's filter.
SMALL_RADIUS = 8
STRIP_VALUES = 24_576


def gaussian_kernel(radius: int, sigma: float) -> Kernel:
    """Return the normalised (2r+1)² kernel. Its grid runs from -1 to 1, so ``sigma`` is relative to the
    radius.
    """
    axis = np.linspace(-1, 1, 2 * radius + 1, dtype=np.float32)
    distance = np.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    weights = np.exp(-(distance * distance) / np.float32(2.0 * sigma * sigma))
    kernel: Kernel = weights / np.float32(weights.sum(dtype=np.float64))
    return kernel


def blur(image: Image, radius: int, sigma: float) -> Image:
    """Blur, mirroring at the border without repeating the edge pixel.

    Args:
        image: ``[batch, height, width, 3]``.
        radius: Less than height and width.
        sigma: Standard deviation as a multiple of the radius.

    Raises:
        RuntimeError: The image is too small to be mirrored by ``radius``.
    """
    _check_padding(image, radius)
    kernel = gaussian_kernel(radius, sigma)
    return as_float32_chain(image, kernel, _separable(image, radius, sigma))


def sharpen(image: Image, radius: int, sigma: float, alpha: float) -> Image:
    """Sharpen: ``x + 10·alpha·(x - blur(x))``, clamped to [0, 1].

    Raises:
        RuntimeError: The image is too small to be mirrored by ``radius``.
    """
    _check_padding(image, radius)
    kernel = gaussian_kernel(radius, sigma) * np.float32(-(alpha * 10))
    kernel[radius, radius] = kernel[radius, radius] - np.float32(kernel.sum(dtype=np.float64)) + np.float32(1)
    source = image.astype(np.float64)
    close = source + (alpha * 10) * (source - _separable(image, radius, sigma))
    return np.clip(as_float32_chain(image, kernel, close), 0, 1)


def _check_padding(image: Image, radius: int) -> None:
    batch, height, width, channels = image.shape
    for dimension, side in ((3, width), (2, height)):
        if radius >= side:
            raise RuntimeError(
                "Padding size should be less than the corresponding input dimension, but got: padding"
                f" ({radius}, {radius}) at dimension {dimension} of input [{batch}, {channels}, {height},"
                f" {width}]"
            )


def _separable(image: Image, radius: int, sigma: float) -> NDArray[np.float64]:
    axis = np.linspace(-1, 1, 2 * radius + 1)
    weights = np.exp(-(axis * axis) / (2.0 * sigma * sigma))
    weights /= weights.sum()
    if radius <= SMALL_RADIUS:
        return _by_strips(image, weights)
    rows = ndimage.correlate1d(image, weights, axis=1, mode="mirror", output=np.float64)
    columns: NDArray[np.float64] = ndimage.correlate1d(
        rows, weights, axis=2, mode="mirror", output=np.float64
    )
    return columns


def _by_strips(image: Image, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve strip by strip, so that all that a strip needs stays in the processor's cache."""
    radius = weights.size // 2
    batch, height, width, channels = image.shape
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius), (0, 0)), "reflect")
    result = np.empty(image.shape, np.float64)
    strip = max(1, STRIP_VALUES // (width * channels))
    for frame in range(batch):
        for top in range(0, height, strip):
            count = min(strip, height - top)
            source = padded[frame, top : top + count + 2 * radius].astype(np.float64)
            rows = np.empty((count, width + 2 * radius, channels))
            _symmetric(source, weights, rows)
            _symmetric(rows.swapaxes(0, 1), weights, result[frame, top : top + count].swapaxes(0, 1))
    return result


def _symmetric(source: NDArray[np.float64], weights: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Convolve along the first axis with weights that are the same from both ends; ``out`` is shorter by two
    radii.
    """
    radius, size = weights.size // 2, out.shape[0]
    np.multiply(source[radius : radius + size], weights[radius], out=out)
    pair = np.empty_like(out)
    for tap in range(radius):
        np.add(source[tap : tap + size], source[2 * radius - tap : 2 * radius - tap + size], out=pair)
        pair *= weights[tap]
        out += pair
