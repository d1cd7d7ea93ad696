"""The one place that opens images.

Images come from users' folders and from servers, so every decode is guarded: formats are listed, the pixel
count is checked before any pixel is read, a truncated file is an error and never a half-black picture.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import struct
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pixaris.exceptions import DamagedImageError, ImageError
from pixaris.png import bare_png

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp", ".tif", ".tiff", ".avif")
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
"""Of files that are read where the extra ``heic`` is installed."""
MAX_PIXELS = 40_000_000
MAX_BYTES = 200 * 1024 * 1024

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_NEED_HEIC = "is a HEIC image; to read it, install pixaris[heic], or save it as PNG"
_LOW_BYTES = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "LA;16B": "RGBA",
}
"""How Pillow is told to read a file of 16 bits, which takes the high byte of every level, to how it is told
to read the low bytes (of gray with alpha: both bytes of both).
"""
_BITS_PER_SAMPLE, _PLANAR_CONFIGURATION, _SEPARATE = 258, 284, 2
"""Tags of TIFF, and the value of the latter for colours that lie apart."""

# What Pillow raises for bytes it cannot decode.
_DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, EOFError, UnidentifiedImageError),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),  # the warning where warnings are errors
    *(struct.error, TypeError, LookupError, ArithmeticError),  # damaged headers and EXIF blocks
)


def decode(data: bytes, name: str = "image") -> Image.Image:
    """Decode untrusted bytes into an RGB or RGBA image with its EXIF orientation applied.

    Args:
        data: The file's bytes.
        name: What to call it in errors (a path, a file name).

    Returns:
        A fully loaded image of mode ``RGB`` or, where the file has transparency, ``RGBA``. Levels of 16 bits
        are scaled (level / 257, rounded).

    Raises:
        ImageError: Not an image, not one of `FORMATS`, more than `MAX_PIXELS` pixels, truncated or damaged.
    """
    return _open(data, name)[1]


def _open(data: bytes, name: str) -> tuple[Image.Image, Image.Image]:
    """The image as the file has it, loaded whole, and what it shows; arguments and errors as `decode`."""
    if len(data) > MAX_BYTES:
        raise ImageError(f"{name} has {len(data):,} bytes; images may have at most {MAX_BYTES:,}")
    try:
        image = Image.open(io.BytesIO(data), formats=_formats(data))
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(
                f"{width}×{height} pixels are too many; images may have at most {MAX_PIXELS:,}; scale it down"
            )
        low = _low_bytes(image)
        image.load()
        if low:
            _scale_to_8_bits(image, data, low)
        return image, as_rgb(image)
    except ImageError as error:
        raise ImageError(error.problems, name) from None
    except _DECODE_ERRORS as error:
        raise DamagedImageError(
            f"{name} is not a readable image: {_reason(data, error)}; allowed are whole {', '.join(FORMATS)}"
            " files"
        ) from None


def has_image_suffix(name: str) -> bool:
    """Whether a file's name says that it is an image that this installation reads."""
    suffixes = (*SUFFIXES, *HEIC_SUFFIXES) if reads_heic() else SUFFIXES
    return name.lower().endswith(suffixes)


@functools.cache
def reads_heic() -> bool:
    """Whether the extra ``heic`` is installed."""
    try:
        return importlib.util.find_spec("pillow_heif") is not None
    except ValueError:  # blocked: its entry in sys.modules is None
        return False


def _formats(data: bytes) -> tuple[str, ...]:
    """The formats that a file may have.

    Raises:
        ImageError: It is HEIC, and the extra that reads it is not installed.
    """
    brands = data[8 : 8 + 64]
    if data[4:8] != b"ftyp" or brands[:4] not in _HEIC_BRANDS or b"avif" in brands:
        return FORMATS
    if not reads_heic():
        raise ImageError(_NEED_HEIC)
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _low_bytes(image: Image.Image) -> str:
    """How Pillow is told to read the low bytes of a file whose levels it cuts to 8 bits; "" of others.

    Raises:
        ImageError: Pillow would read something else.
    """
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_PLANAR_CONFIGURATION) == _SEPARATE and 16 in tags.get(_BITS_PER_SAMPLE, ()):
        raise ImageError("a TIFF of 16 bits with its colours in separate planes is not read; save it as PNG")
    args = tiles[0].args
    raw = args[0] if isinstance(args, tuple) and args else args
    native = "16L" if sys.byteorder == "little" else "16B"
    return _LOW_BYTES.get(str(raw).replace("16N", native), "")


def _scale_to_8_bits(image: Image.Image, data: bytes, low: str) -> None:
    """Scale the levels of an image of 16-bit colours, ``round(level / 257)``, where Pillow cuts the low byte
    off.

    Args:
        image: As Pillow loads it: the high bytes. It is changed.
        data: Its file.
        low: How Pillow is told to read the low bytes.
    """
    import numpy as np

    second = Image.open(io.BytesIO(data), formats=(image.format or "PNG",))
    second.tile = [
        tile._replace(args=(low, *tile.args[1:]) if isinstance(tile.args, tuple) else low)
        for tile in second.tile
    ]
    second.load()
    high_bytes, low_bytes = np.asarray(image).astype(np.uint16), np.asarray(second).astype(np.uint16)
    if low == "RGBA":  # gray and alpha, both bytes of each
        high_bytes, low_bytes = low_bytes[..., [0, 0, 0, 2]], low_bytes[..., [1, 1, 1, 3]]
    levels = high_bytes * 256 + low_bytes
    scaled = ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    image.paste(Image.fromarray(scaled))
    key = image.info.pop("transparency", None)  # names 16-bit levels
    if key is not None:
        opaque = (levels[..., :3] != np.asarray(key, np.uint16)).any(axis=-1)
        image.putalpha(Image.fromarray((opaque * 255).astype(np.uint8)))


def _reason(data: bytes, error: Exception) -> str:
    """Why bytes cannot be read, in words; Pillow's own name the object in memory that it read from."""
    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):
        return "cannot identify its format"
    return str(error) or type(error).__name__


def text_chunks(data: bytes, name: str = "image") -> dict[str, str]:
    """Return the texts that a PNG carries besides its pixels, by keyword.

    Guarded as `decode`; compressed texts are held to Pillow's limits.

    Raises:
        ImageError: Not a PNG, too large, truncated or damaged.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        if image.width * image.height > MAX_PIXELS:
            raise ImageError(
                f"{name}: {image.width}×{image.height} pixels are too many; at most {MAX_PIXELS:,} are"
                " allowed"
            )
        image.load()  # texts may stand behind the pixels
    except _DECODE_ERRORS as error:
        raise ImageError(f"{name} is not a readable PNG: {_reason(data, error)}") from None
    return {
        key: str(value)
        for key, value in image.info.items()
        if isinstance(key, str) and isinstance(value, str)
    }


def as_rgb(image: Image.Image) -> Image.Image:
    """Return what an image shows as 8-bit RGB, or RGBA where it has transparency: upright, without metadata,
    always a copy.

    EXIF orientation is applied. 16-bit gray is scaled (level / 257, rounded), not clipped as Pillow's own
    conversion does; Pillow's 32-bit mode ``I`` is taken to hold 16-bit levels too.

    Raises:
        ImageError: The mode has no fixed scale (floats) or no way to RGB.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ImageError("an image of floats (mode F) has no fixed scale; convert it to 8 or 16 bits first")
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda level: level * (1 / 257) + 0.5).convert("L")
        image.info.pop("transparency", None)  # names a 16-bit level, which is gone
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode != mode:
        try:
            image = image.convert(mode)
        except ValueError as error:
            raise ImageError(f"an image of mode {image.mode} cannot be made {mode}: {error}") from None
    image.info = {}
    return image


def encode_png(image: Image.Image, compress_level: int = 1) -> bytes:
    """Encode as an 8-bit RGB or RGBA PNG without metadata (what ComfyUI decodes exactly)."""
    image = as_rgb(image)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def encode_gray_png(image: Image.Image, compress_level: int = 1) -> bytes:
    """Encode as an 8-bit gray PNG without metadata; what is transparent becomes black."""
    shown = as_rgb(image)
    if shown.mode == "RGBA":
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown)
    buffer = io.BytesIO()
    shown.convert("L").save(buffer, "PNG", compress_level=compress_level)
    return buffer.getvalue()


def digest(image: Image.Image) -> str:
    """Return the SHA-256 of what the image shows: mode, size and pixels, whatever file it came from."""
    sha = hashlib.sha256(f"{image.mode}:{image.width}x{image.height}:".encode())
    sha.update(image.tobytes())
    return sha.hexdigest()


@dataclass(frozen=True, eq=False, repr=False)
class EncodedImage:
    """An image as it travels: PNG bytes and the digest of its pixels. Immutable, picklable, hashable by
    content.

    Attributes:
        data: PNG bytes, 8-bit RGB or RGBA.
        known_digest: `digest` of the pixels; "" where nobody has decoded them yet.
        file: A file of this machine that has these bytes, for whoever wants to keep them too; it does not
            travel.
    """

    data: bytes
    known_digest: str = ""
    file: Path | None = None

    @classmethod
    def of(cls, image: Image.Image) -> EncodedImage:
        """Encode a Pillow image as `as_rgb` shows it; gray, palette and 16-bit images become RGB or RGBA.

        Raises:
            ImageError: As `as_rgb`.
        """
        image = as_rgb(image)
        return cls(encode_png(image), digest(image))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "image") -> EncodedImage:
        """Decode any accepted file safely and encode it anew; of a PNG that is as ours are, its own pixels'
        bytes are kept.

        Raises:
            ImageError: As `decode`.
        """
        stored, shown = _open(data, name)
        upright = stored.mode == shown.mode and stored.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return cls((bare_png(data) if upright else None) or encode_png(shown), digest(shown))

    @classmethod
    def received(cls, data: bytes, name: str = "image") -> EncodedImage:
        """As `from_bytes`, for whoever only passes it on: a PNG that is as ours are is not decoded.

        Its checksums say that it arrived whole. Whoever looks at its pixels decodes it, guarded as ever.

        Raises:
            ImageError: As `decode`.
        """
        bare = bare_png(data)
        if bare is None or _has_orientation(data) or not 0 < _pixels(bare) <= MAX_PIXELS:
            return cls.from_bytes(data, name)
        return cls(bare)

    @classmethod
    def from_file(cls, path: Path) -> EncodedImage:
        """Read, decode and encode a file; errors name its path."""
        return cls.from_bytes(read_image_file(path), str(path))

    @cached_property
    def digest(self) -> str:
        """`digest` of the pixels.

        Raises:
            ImageError: It was `received`, and cannot be decoded.
        """
        return self.known_digest or digest(_decoded(self.data))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of its bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def image(self) -> Image.Image:
        """The decoded image, a copy for whoever asks: nobody's changes reach another.

        The images used last are kept decoded; all of an eval set would fill the memory of every trial
        process.

        Raises:
            ImageError: As `digest`.
        """
        return _decoded(self.data).copy()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, read from the PNG header without decoding."""
        width, height = struct.unpack(">II", self.data[16:24])
        return width, height

    @property
    def has_alpha(self) -> bool:
        """Whether it has transparency, read from the PNG header without decoding."""
        return self.data[25] == 6

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EncodedImage) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __getstate__(self) -> dict[str, object]:
        return {"data": self.data, "known_digest": self.known_digest}

    def __repr__(self) -> str:
        return f"EncodedImage({self.digest[:12]}, {len(self.data):,} bytes)"


@functools.lru_cache(maxsize=24)
def _decoded(data: bytes) -> Image.Image:
    """An image that is shared: nobody changes it. Bytes remember their hash, so looking one up costs
    nothing.
    """
    return decode(data, "the image")


def _pixels(png: bytes) -> int:
    width, height = struct.unpack(">II", png[16:24])
    return int(width * height)


def _has_orientation(png: bytes) -> bool:
    return b"eXIf" in png


def read_image_file(path: Path) -> bytes:
    """Read a file's bytes, at most `MAX_BYTES` of them.

    Raises:
        ImageError: The file cannot be read or is too large.
    """
    try:
        # Not a named pipe, say: to open one waits until somebody writes into it.
        if path.exists() and not path.is_file():
            raise ImageError(f"{path} cannot be read: it is not a file")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}") from None
