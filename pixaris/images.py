"""The one place that opens images.

Images come from users' folders and from servers, so every decode is guarded: formats are listed, the pixel count is
checked before any pixel is read, a truncated file is an error and never a half-black picture.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from pixaris.exceptions import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_PIXELS = 40_000_000
MAX_BYTES = 200 * 1024 * 1024

# Pillow raises these, and only these, for bytes it cannot decode.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, UnidentifiedImageError)


def decode(data: bytes, name: str = "image") -> Image.Image:
    """Decode untrusted bytes into an RGB or RGBA image with its EXIF orientation applied.

    Args:
        data: The file's bytes.
        name: What to call it in errors (a path, a file name).

    Returns:
        A fully loaded image of mode ``RGB`` or, where the file has transparency, ``RGBA``.

    Raises:
        ImageError: Not an image, not one of `FORMATS`, more than `MAX_PIXELS` pixels, truncated or damaged.
    """
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name} has {len(data):,} bytes; images may have at most {MAX_BYTES:,}")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(f"{name} has {width}×{height} pixels; images may have at most {MAX_PIXELS:,}; scale it down")
        image.load()
        return _eight_bit(ImageOps.exif_transpose(image))
    except _DECODE_ERRORS as error:
        if isinstance(error, ImageError):
            raise
        reason = "it is empty" if not data else str(error) or type(error).__name__
        raise ImageError(f"{name} is not a readable image: {reason}; allowed are whole {', '.join(FORMATS)} files") from None


def _eight_bit(image: Image.Image) -> Image.Image:
    """Convert to 8-bit RGB or RGBA. 16-bit gray is scaled, not clipped as Pillow's own conversion does."""
    if image.mode in ("RGB", "RGBA"):
        image = image.copy()
        image.info = {}
        return image
    if image.mode.startswith("I;16") or image.mode == "I":
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    image = image.convert("RGBA" if has_alpha else "RGB")
    image.info = {}
    return image


def encode_png(image: Image.Image, compress_level: int = 1) -> bytes:
    """Encode as an 8-bit RGB or RGBA PNG without metadata (what ComfyUI decodes exactly)."""
    image = _eight_bit(image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def digest(image: Image.Image) -> str:
    """Return the SHA-256 of what the image shows: mode, size and pixels, whatever file it came from."""
    sha = hashlib.sha256(f"{image.mode}:{image.width}x{image.height}:".encode())
    sha.update(image.tobytes())
    return sha.hexdigest()


@dataclass(frozen=True)
class EncodedImage:
    """An image as it travels: PNG bytes and the digest of its pixels. Immutable, picklable, hashable by content.

    Attributes:
        data: PNG bytes, 8-bit RGB or RGBA.
        digest: `digest` of the pixels.
    """

    data: bytes
    digest: str

    @classmethod
    def of(cls, image: Image.Image) -> EncodedImage:
        """Encode a Pillow image; gray, palette and 16-bit images become RGB or RGBA."""
        image = _eight_bit(image)
        return cls(encode_png(image), digest(image))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "image") -> EncodedImage:
        """Decode any accepted file safely and encode it anew.

        Raises:
            ImageError: As `decode`.
        """
        return cls.of(decode(data, name))

    @classmethod
    def from_file(cls, path: Path) -> EncodedImage:
        """Read, decode and encode a file; errors name its path."""
        return cls.from_bytes(read_image_file(path), str(path))

    @cached_property
    def image(self) -> Image.Image:
        """The decoded image (decoded once; treat it as read-only)."""
        return decode(self.data, f"image {self.digest[:12]}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncodedImage) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __getstate__(self) -> dict[str, object]:
        return {"data": self.data, "digest": self.digest}

    def __repr__(self) -> str:
        return f"EncodedImage({self.digest[:12]}, {len(self.data):,} bytes)"


def read_image_file(path: Path) -> bytes:
    """Read a file's bytes, at most `MAX_BYTES` of them.

    Raises:
        ImageError: The file cannot be read or is too large.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from None
