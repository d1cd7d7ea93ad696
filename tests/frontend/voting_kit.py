"""People who vote on the review page without a browser, for the image that is nearer to its original."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from page_kit import Visitor
from PIL import Image

from pixaris.images import decode

SECONDS = 120.0


def originals_of(folder: Path) -> list[np.ndarray]:
    """The images that others are held against, as arrays of height × width × 3."""
    return [np.asarray(Image.open(file).convert("RGB"), dtype=float) for file in sorted(folder.iterdir())]


def far_off(image: np.ndarray, originals: Sequence[np.ndarray]) -> float:
    """How far an image is from the original of its size that it is nearest to, in levels of 255."""
    return min(
        float(np.abs(image - original).mean()) for original in originals if original.shape == image.shape
    )


def vote(person: Visitor, path: str, originals: Sequence[np.ndarray], count: int) -> None:
    """Vote through the page.

    Args:
        person: Who votes.
        path: The iteration's address on the page.
        originals: Of all items.
        count: How many votes.
    """
    for _ in range(count):
        deadline = time.monotonic() + SECONDS
        while (pair := person.post(f"{path}/next").json()["pair"]) is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        left, right = (far_off(shown(person, pair[side]), originals) for side in ("left", "right"))
        said = {"id": f"{time.time_ns():020x}", "lease": pair["lease"]}
        answer = person.post(f"{path}/vote", {**said, "outcome": "left" if left < right else "right"})
        assert answer.status_code == 200, answer.text


def shown(person: Visitor, url: str) -> np.ndarray:
    """An image as the page shows it."""
    answer = person.get(url)
    return np.asarray(decode(answer.content, "shown").convert("RGB"), dtype=float)
