"""The structural similarity of 8-bit images, strip by strip, with one half of the sums kept.

Three of the five filtered images that SSIM needs depend on the image, two on the reference alone; those are
made once. A strip of rows fits a processor's cache, whole images do not: the same sums take half the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Levels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.floating]

WINDOW = 11
"""Side of the Gaussian window in pixels: σ = 1.5, cut off at 3.5 σ."""

_SIGMA = 1.5
_REACH = WINDOW // 2
_C1 = 0.01**2
_C2 = 0.03**2
_ROWS = 32

_FLAT_VARIANCE = 1e-5
_FLAT_SHARE = 0.05
# A variance is the small difference of two means. In 32 bits it is off by some 1e-8, which C2 = 9e-4 makes
# 1e-5 of the result where a variance is 0; over textures such errors cancel out, over flat areas they are all
# alike. So strips with flat areas are computed in 64 bits, the others in 32.


def _window() -> NDArray[np.float64]:
    offsets = np.arange(-_REACH, _REACH + 1)
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


_WEIGHTS = _window()


def _blurred(values: Floats) -> Floats:
    """Means under the window [rows − 10, width, 3]; the border columns are meaningless, and cut off later."""
    blurred: Floats = cv2.sepFilter2D(values, -1, _WEIGHTS, _WEIGHTS, borderType=cv2.BORDER_REFLECT)
    return blurred[_REACH:-_REACH]


@dataclass(frozen=True)
class _Strip:
    """What is known of some rows of the reference.

    Attributes:
        top: The first row that the windows reach, …
        bottom: … and the one after the last.
        centre: Level from 0 to 1 that is taken off before squaring: variances lose fewer digits.
        mean: Means of the reference [rows, width, 3], less the centre.
        variance: Its variances plus C2.
    """

    top: int
    bottom: int
    centre: np.floating
    mean: Floats
    variance: Floats

    @classmethod
    def of(cls, reference: Levels, top: int, bottom: int) -> _Strip:
        """Measure some rows of a reference, in as few digits as they allow."""
        strip = cls._measured(reference, top, bottom, np.dtype(np.float32))
        flat = np.count_nonzero(strip.variance < _C2 + _FLAT_VARIANCE)
        if flat <= _FLAT_SHARE * strip.variance.size:
            return strip
        return cls._measured(reference, top, bottom, np.dtype(np.float64))

    @classmethod
    def _measured(cls, reference: Levels, top: int, bottom: int, kind: np.dtype[np.floating]) -> _Strip:
        centre = kind.type(reference[top:bottom].mean() / 255)
        values = _scaled(reference[top:bottom], centre)
        mean = _blurred(values)
        variance = _blurred(cv2.multiply(values, values)) - mean * mean
        variance += kind.type(_C2)
        return cls(top, bottom, centre, mean, variance)

    def total(self, image: Levels, reference: Levels) -> float:
        """The sum of the similarity over these rows, border columns left out."""
        c1, c2 = self.mean.dtype.type(_C1), self.mean.dtype.type(_C2)
        a = _scaled(image[self.top : self.bottom], self.centre)
        b = _scaled(reference[self.top : self.bottom], self.centre)
        mean = _blurred(a)
        covariance = _blurred(cv2.multiply(a, b)) - mean * self.mean
        variance = _blurred(cv2.multiply(a, a, dst=a)) - mean * mean
        mean += self.centre
        reference_mean = self.mean + self.centre
        covariance *= 2
        covariance += c2
        variance += self.variance
        brightness = mean * reference_mean
        brightness *= 2
        brightness += c1
        mean *= mean
        reference_mean *= reference_mean
        mean += reference_mean
        mean += c1
        brightness *= covariance
        mean *= variance
        similarity = cv2.divide(brightness, mean, dst=brightness)
        red, green, blue, _ = cv2.sumElems(similarity[:, _REACH:-_REACH])
        return float(red + green + blue)


def _scaled(levels: Levels, centre: np.floating) -> Floats:
    values: Floats = levels.astype(centre.dtype)
    values *= centre.dtype.type(1 / 255)
    values -= centre
    return values


class PreparedReference:
    """A reference that images are compared with.

    Attributes:
        levels: 8-bit RGB [height, width, 3], at least `WINDOW` pixels high and wide.
    """

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        self._strips = [_Strip.of(levels, top, bottom) for top, bottom in _spans(levels.shape[0])]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        return self.levels.nbytes + sum(strip.mean.nbytes + strip.variance.nbytes for strip in self._strips)

    def similarity(self, levels: Levels) -> float:
        """The mean structural similarity of an image [height, width, 3] of the same size."""
        if np.array_equal(levels, self.levels):
            return 1.0
        height, width, channels = self.levels.shape
        compared = int(height - 2 * _REACH) * int(width - 2 * _REACH) * int(channels)
        return math.fsum(strip.total(levels, self.levels) for strip in self._strips) / compared


def _spans(height: int) -> Iterator[tuple[int, int]]:
    """First row and the one after the last of every strip: its own rows and half a window on each side."""
    for first in range(_REACH, height - _REACH, _ROWS):
        last = min(first + _ROWS, height - _REACH)
        yield first - _REACH, last + _REACH
