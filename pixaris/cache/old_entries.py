"""Cache entries of version 0.1: a sum, a line of JSON and the PNG in one file."""

from __future__ import annotations

import hashlib
import json

from pixaris.cache.base import CachedImage
from pixaris.images import EncodedImage


def read_old(data: bytes) -> CachedImage | None:
    """The image of an entry; None if it is damaged, or something else."""
    total, _, content = data.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != total:
        return None
    line, _, images = content.partition(b"\n")
    try:
        facts = json.loads(line)
        digest, endpoint = facts["digest"], facts["endpoint"]
        seconds, cost = float(facts["seconds"]), facts["cost"]
        others: list[EncodedImage] = []
        for row in reversed(facts.get("others", [])):
            images, last = images[: -row["bytes"]], images[-row["bytes"] :]
            others.insert(0, EncodedImage(last, row["digest"]))
        if cost is None:
            charged = None
        else:
            charged = float(cost)
        return CachedImage(EncodedImage(images, digest), endpoint, seconds, charged, tuple(others))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None  # whole, but not written by us
