"""Smaller files of images, for looking at."""

from __future__ import annotations

import io

from PIL import Image

from pixaris.images import EncodedImage, encode_png


def preview(image: EncodedImage, side: int = 768, size: int = 256 * 1024) -> bytes:
    """Return a smaller file of an image for looking at: PNG, or JPEG (quality 90) for opaque photographs.

    Args:
        image: The image.
        side: Pixels that its longer side may have; larger images are scaled down.
        size: Bytes that a PNG may have before an opaque image becomes a JPEG; drawings and masks seldom reach
            it.
    """
    if max(image.size) <= side and len(image.data) <= size:
        return image.data
    picture = image.image
    picture.thumbnail((side, side), Image.Resampling.HAMMING)
    if picture.mode == "RGBA" or len(image.data) <= size:
        return encode_png(picture)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
