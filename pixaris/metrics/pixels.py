"""Pixels as metrics compare them: one rule for transparency, one for sizes."""

from __future__ import annotations

from PIL import Image

from pixaris.exceptions import MetricError
from pixaris.images import as_rgb


def flat(image: Image.Image) -> Image.Image:
    """Return 8-bit RGB. Transparency is composited over black, so that what cannot be seen does not count."""
    image = as_rgb(image)
    if image.mode == "RGBA":
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image).convert("RGB")
    return image


def fitted(image: Image.Image, reference: Image.Image, resample: Image.Resampling) -> Image.Image:
    """Return the image at its reference's size.

    It is resized where both have the same aspect ratio: where the larger of the two, scaled down to the width or to the height of
    the smaller, has the smaller's other side within one pixel.

    Args:
        image: The generated image.
        reference: The image it is compared with; it is never resized.
        resample: Pillow's filter for resizing.

    Raises:
        MetricError: The aspect ratios differ.
    """
    if image.size == reference.size:
        return image
    (width, height), (ref_width, ref_height) = image.size, reference.size
    larger = max(width, height) if width * height > ref_width * ref_height else max(ref_width, ref_height)
    if abs(width * ref_height - height * ref_width) > larger:
        raise MetricError(
            f"the generated image is {width}×{height} and its reference {ref_width}×{ref_height}: sizes may differ, "
            f"aspect ratios may not; crop or pad one of them"
        )
    return image.resize(reference.size, resample)
