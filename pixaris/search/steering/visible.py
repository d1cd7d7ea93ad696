"""Which images people could be asked about: those that differ where anybody could see it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pixaris.exceptions import ImageError
from pixaris.feedback_handlers.base import FeedbackImage
from pixaris.images import as_rgb, decode, read_image_file

Visible: TypeAlias = Callable[[Path, Path], bool]


def differ_visibly(one: Path, other: Path) -> bool:
    """Whether two images differ by more than a level of 255 on average; of different sizes they always do.

    Raises:
        ImageError: One cannot be read.
    """
    first = np.asarray(as_rgb(decode(read_image_file(one), one.name)).convert("RGB"), np.int16)
    # In 16 bits: differences of unsigned bytes would wrap around.
    second = np.asarray(as_rgb(decode(read_image_file(other), other.name)).convert("RGB"), np.int16)
    if first.shape != second.shape:
        return True
    return float(np.abs(first - second).mean()) > 1.0


def can_be_told_apart(one: FeedbackImage, other: FeedbackImage, visible: Visible = differ_visibly) -> bool:
    """Whether somebody may be asked which of two is better: what cannot be shown, nobody can judge.

    Args:
        one: An image.
        other: Another of the same item.
        visible: As `differ_visibly`, which it may remember.
    """
    # The same file needs no decoding.
    if one.digest and one.digest == other.digest:
        return False
    try:
        return visible(one.file, other.file)
    except ImageError:
        return False


def questions(images: Iterable[FeedbackImage], enough: int) -> int:
    """How many pairs of images of one item there are that can be told apart: as many votes can one person
    give without being asked anything twice.

    Args:
        images: All of an iteration.
        enough: Where the counting may stop: pairs are looked at one by one.
    """
    of_item: defaultdict[str, list[FeedbackImage]] = defaultdict(list)
    for image in images:
        of_item[image.item].append(image)
    # Lazily: there may be thousands of pairs, and each that is looked at decodes two images.
    pairs = (pair for same in of_item.values() for pair in itertools.combinations(same, 2))
    apart = (pair for pair in pairs if can_be_told_apart(*pair))
    return sum(1 for _ in itertools.islice(apart, enough))
