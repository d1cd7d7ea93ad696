"""What flows between nodes, and its way in from bytes and out to bytes.

An IMAGE is float32 ``[batch, height, width, 3]``, a MASK is float32 ``[batch, height, width]``; 1.0 is full.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.float32]
Tensor: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]


def from_levels(levels: Bytes) -> Tensor:
    """Turn 8-bit levels into ``k / 255``, divided in float32."""
    return np.divide(levels, np.float32(255), dtype=np.float32)


def to_levels(tensor: Tensor) -> Bytes:
    """Turn values into 8-bit levels as SaveImage does: ``clip(255 * x, 0, 255)`` in float32, truncated, not
    rounded.
    """
    scaled = np.multiply(tensor, np.float32(255), dtype=np.float32)
    np.clip(scaled, 0, 255, out=scaled)
    with np.errstate(invalid="ignore"):  # NaN has no level; it becomes 0
        return scaled.astype(np.uint8)


def describe(tensor: Tensor) -> str:
    """Write a tensor the way an execution error quotes it: four decimals, the middle of long axes left
    out.
    """
    text = np.array2string(
        tensor,
        precision=4,
        floatmode="fixed",
        separator=", ",
        threshold=1000,
        edgeitems=3,
        max_line_width=80,
        prefix="tensor(",
    )
    return f"tensor({text})"
