"""Images of 16 bits, of phones and of browsers: read right, or refused with a way out."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pixaris.exceptions import ImageError
from pixaris.images import EncodedImage, decode, has_image_suffix
from pixaris.testing.samples import picture

Levels = NDArray[np.uint16]
GRAY_ALPHA, RGB, RGBA = 4, 2, 6
CHANNELS = {GRAY_ALPHA: 2, RGB: 3, RGBA: 4}


def levels(channels: int, seed: int = 1, size: tuple[int, int] = (7, 5)) -> Levels:
    return np.random.default_rng(seed).integers(0, 65536, (*size, channels), dtype=np.uint16)


def png16(values: Levels, color_type: int, *chunks: bytes) -> bytes:
    """A PNG of 16 bits, written by hand: every row of another filter."""
    height, width = values.shape[:2]
    bytes_per_pixel = 2 * CHANNELS[color_type]
    rows, before = [], bytes(width * bytes_per_pixel)
    for number, row in enumerate(values.astype(">u2")):
        raw = row.tobytes()
        up = bytes((one - other) % 256 for one, other in zip(raw, before, strict=True))
        left = bytes(bytes_per_pixel) + raw
        sub = bytes((one - other) % 256 for one, other in zip(raw, left[: len(raw)], strict=True))
        rows.append([b"\0" + raw, b"\1" + sub, b"\2" + up][number % 3])
        before = raw
    head = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    parts = [
        chunk(b"IHDR", head),
        *chunks,
        chunk(b"IDAT", zlib.compress(b"".join(rows))),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def scaled(values: Levels) -> NDArray[Any]:
    """The formula: level / 257, rounded (65535 = 255 · 257)."""
    return np.rint(values / 257).astype(np.uint8)


def tiff(values: Levels, byteorder: Any = "<", **options: Any) -> bytes:
    buffer = io.BytesIO()
    alpha = {"extrasamples": ["unassalpha"]} if values.shape[-1] == 4 else {}
    tifffile.imwrite(buffer, values, byteorder=byteorder, photometric="rgb", **alpha, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("color_type", [RGB, RGBA])
def test_colours_of_16_bits_are_scaled_and_not_cut(color_type: int) -> None:
    values = levels(CHANNELS[color_type])
    assert (np.asarray(decode(png16(values, color_type))) == scaled(values)).all()


@given(st.integers(0, 65535))
def test_every_level_of_16_bits_becomes_the_nearest_of_8(level: int) -> None:
    values = np.full((1, 1, 3), level, np.uint16)
    assert decode(png16(values, RGB)).getpixel((0, 0)) == (round(level / 257),) * 3


def test_gray_with_alpha_of_16_bits_is_scaled_too() -> None:
    values = levels(2)
    shown = np.asarray(decode(png16(values, GRAY_ALPHA)))
    assert (shown == scaled(values)[..., [0, 0, 0, 1]]).all()


def test_a_transparent_colour_of_16_bits_is_that_colour_and_no_other() -> None:
    values = np.zeros((1, 3, 3), np.uint16)
    values[0] = [(1, 2, 3), (1, 2, 4), (0, 0, 0)]
    image = decode(png16(values, RGB, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))))
    assert [image.getpixel((x, 0))[3] for x in range(3)] == [0, 255, 255]  # type: ignore[index]


def test_an_image_of_16_bits_travels_as_8_bits_with_its_scaled_levels() -> None:
    values = levels(3)
    encoded = EncodedImage.from_bytes(png16(values, RGB))
    assert encoded.data[24] == 8
    assert (np.asarray(encoded.image) == scaled(values)).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_tiff_of_16_bits_is_scaled_whatever_its_bytes_order(
    compression: str | None, byteorder: str, channels: int
) -> None:
    values = levels(channels)
    shown = decode(tiff(values, byteorder, compression=compression))
    assert (np.asarray(shown) == scaled(values)).all()


def test_an_orientation_is_applied_to_16_bits_too() -> None:
    values = levels(3)
    turned = decode(tiff(values, extratags=[(274, "H", 1, 6, True)]))
    assert (np.asarray(turned) == np.rot90(scaled(values), -1)).all()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_pillow_misreads_are_refused(compression: str | None) -> None:
    values = np.ascontiguousarray(levels(3).transpose(2, 0, 1))
    with pytest.raises(ImageError, match="separate planes is not read; save it as PNG"):
        decode(tiff(values, planarconfig="separate", compression=compression))


def test_a_damaged_file_of_16_bits_is_an_error_and_no_picture() -> None:
    data = png16(levels(3), RGB)
    with pytest.raises(ImageError, match="not a readable image"):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize(("suffix", "format"), [(".avif", "AVIF"), (".jfif", "JPEG"), (".JPE", "JPEG")])
def test_what_browsers_save_is_read(suffix: str, format: str) -> None:
    buffer = io.BytesIO()
    picture(1, (24, 16)).save(buffer, format)
    assert has_image_suffix(f"photo{suffix}")
    assert decode(buffer.getvalue()).size == (24, 16)


HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + b"\0" * 64


def in_a_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_heic_without_its_extra_says_what_to_install() -> None:
    code = f"""
import sys
sys.modules["pillow_heif"] = None
from pixaris import images
try:
    images.decode({HEIC!r}, "a.heic")
except images.ImageError as error:
    print(images.has_image_suffix("a.heic"), error)
"""
    assert in_a_process(code) == (
        "False a.heic: is a HEIC image; to read it, install pixaris[heic], or save it as PNG"
    )


def test_heic_is_read_with_its_extra() -> None:
    heif = pytest.importorskip("pillow_heif")
    shown = Image.radial_gradient("L").resize((24, 16)).convert("RGB")
    buffer = io.BytesIO()
    heif.from_pillow(shown).save(buffer, quality=95)
    assert has_image_suffix("IMG_1.HEIC")
    got = np.asarray(decode(buffer.getvalue())).astype(int)
    assert np.abs(got - np.asarray(shown)).mean() < 4


def test_a_damaged_heic_is_an_error() -> None:
    pytest.importorskip("pillow_heif")
    with pytest.raises(ImageError):
        decode(HEIC, "a.heic")


def test_an_avif_that_calls_itself_mif1_is_no_heic() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "AVIF")
    data = buffer.getvalue()
    assert decode(data.replace(b"ftypavif", b"ftypmif1", 1)).size == (8, 8)
