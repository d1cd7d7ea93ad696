"""The guarded decoder: what it refuses, and that pixels come out right."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import pickle
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pixaris import images
from pixaris.exceptions import ImageError
from pixaris.images import EncodedImage, as_rgb, decode, digest, encode_png
from pixaris.preview import preview
from pixaris.testing.samples import picture

ORIENTATION = 0x0112


def encoded(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format", ["PNG", "WEBP", "BMP", "TIFF"])
def test_lossless_formats_keep_every_pixel(format: str) -> None:
    image = picture(1)
    options = {"lossless": True} if format == "WEBP" else {}
    assert decode(encoded(image, format, **options)).tobytes() == image.tobytes()


def test_jpeg_is_accepted_under_any_name() -> None:
    decoded = decode(encoded(picture(1), "JPEG", quality=95), "photo.png")
    assert decoded.mode == "RGB"
    assert np.abs(np.asarray(decoded, int) - np.asarray(picture(1), int)).mean() < 12


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("keep", [0.02, 0.5, 0.97])
def test_a_truncated_file_is_an_error_and_never_a_half_black_picture(format: str, keep: float) -> None:
    data = encoded(picture(1, (64, 64)), format)
    with pytest.raises(ImageError, match=r"cut\.png is not a readable image"):
        decode(data[: int(len(data) * keep)], "cut.png")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"not an image, just text\n" * 20, "cannot identify"),
        (encoded(Image.new("P", (4, 4)), "GIF"), "cannot identify"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "cannot identify"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot identify"),
    ],
    ids=["empty", "text", "gif", "eps", "svg"],
)
def test_what_is_no_accepted_image_is_refused_with_its_name_and_the_formats(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data, "Input/a.png")
    assert "Input/a.png" in str(caught.value)
    assert reason in str(caught.value)
    assert "PNG, JPEG, WEBP, BMP, TIFF" in str(caught.value)
    assert "object at 0x" not in str(caught.value)


@pytest.mark.parametrize("size", [(8000, 8000), (40_000_001, 1)])
def test_a_bomb_is_refused_by_its_header_before_a_pixel_is_read(size: tuple[int, int]) -> None:
    data = png_header(*size)
    assert len(data) < 200
    with pytest.raises(ImageError, match=r"bomb\.png: .* pixels are too many; .* at most 40,000,000"):
        decode(data, "bomb.png")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_000, 10_000), (60_000, 60_000)])
def test_what_pillow_itself_calls_a_bomb_is_an_image_error_too(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"bomb\.png"):
        decode(png_header(*size), "bomb.png")


def test_a_file_with_too_many_bytes_is_refused_without_reading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 10_000)  # sparse: takes no room
    with pytest.raises(ImageError, match=r"huge\.png has 209,715,201 bytes"):
        EncodedImage.from_file(path)


def test_a_missing_file_is_an_image_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png cannot be read: No such file"):
        EncodedImage.from_file(tmp_path / "gone.png")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(format: str) -> None:
    image = Image.new("RGB", (40, 20), "black")
    image.paste((255, 255, 255), (0, 0, 20, 20))  # left half white
    upright = decode(encoded(image, format, exif=exif(6)))  # 6: turn 90° clockwise to see it upright
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 5)) > (200, 200, 200)
    assert upright.getpixel((10, 35)) < (50, 50, 50)


def test_a_pillow_image_that_was_opened_from_a_file_is_turned_upright_too() -> None:
    opened = Image.open(io.BytesIO(encoded(picture(1, (40, 20)), "JPEG", exif=exif(8))))
    assert EncodedImage.of(opened).size == (20, 40)


def test_sixteen_bit_gray_is_scaled_and_rounded_at_every_level() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = decode(encoded(Image.fromarray(levels)))
    assert decoded.mode == "RGB"
    expected = np.floor(levels / 257 + 0.5)
    assert np.array_equal(np.asarray(decoded), np.dstack([expected] * 3))


def test_palette_with_transparency_becomes_rgba() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    decoded = decode(encoded(image, transparency=1))
    assert decoded.mode == "RGBA"
    assert [decoded.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0, 255), (0, 0, 255, 0)]


def test_a_transparent_colour_of_an_rgb_png_becomes_alpha() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    decoded = decode(encoded(image, transparency=(1, 2, 3)))
    assert decoded.mode == "RGBA"
    assert [decoded.getpixel((x, 0))[3] for x in (0, 1)] == [0, 255]  # type: ignore[index]


@pytest.mark.parametrize(
    ("image", "format", "mode", "pixel"),
    [
        (Image.new("LA", (3, 3), (100, 50)), "PNG", "RGBA", (100, 100, 100, 50)),
        (Image.new("1", (3, 3), 1), "PNG", "RGB", (255, 255, 255)),
        (Image.new("L", (3, 3), 77), "PNG", "RGB", (77, 77, 77)),
        (Image.new("RGBA", (3, 3), (1, 2, 3, 4)), "PNG", "RGBA", (1, 2, 3, 4)),
        (Image.new("CMYK", (3, 3), (0, 255, 255, 0)), "TIFF", "RGB", (255, 0, 0)),
    ],
    ids=["gray with alpha", "1-bit", "gray", "rgba", "cmyk"],
)
def test_other_modes_become_rgb_or_rgba(
    image: Image.Image, format: str, mode: str, pixel: tuple[int, ...]
) -> None:
    decoded = decode(encoded(image, format))
    assert (decoded.mode, decoded.getpixel((1, 1))) == (mode, pixel)


@pytest.mark.parametrize("make", [as_rgb, EncodedImage.of, encode_png])
def test_an_image_of_floats_is_refused_because_its_scale_is_unknown(
    make: Callable[[Image.Image], object],
) -> None:
    with pytest.raises(ImageError, match="no fixed scale"):
        make(Image.fromarray(np.full((4, 4), 0.5, np.float32)))


def test_as_rgb_gives_a_copy_without_metadata() -> None:
    image = picture(1)
    image.info["comment"] = "secret"
    copied = as_rgb(image)
    copied.putpixel((0, 0), (0, 0, 0))
    assert copied.info == {}
    assert image.tobytes() == picture(1).tobytes()


@pytest.mark.filterwarnings(
    "ignore::PIL.Image.DecompressionBombWarning", "ignore:Corrupt EXIF", "ignore:Tag data larger"
)
def test_damaged_bytes_raise_image_errors_and_nothing_else() -> None:
    rng = random.Random(3)
    whole = [encoded(picture(2, (20, 16)), format, exif=exif(6)) for format in ("PNG", "JPEG", "WEBP")]
    whole.append(encoded(picture(2, (20, 16)), "BMP"))
    refused = 0
    for _ in range(3000):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.choice([1, 2, 6])):
            data[rng.randrange(min(len(data), 220))] = rng.choice([0, 1, 127, 128, 255])
        try:
            decode(bytes(data))
        except ImageError:
            refused += 1
    assert refused > 500


def test_the_digest_depends_on_what_is_shown_and_not_on_the_file() -> None:
    image = picture(5)
    same = [
        EncodedImage.from_bytes(encoded(image, compress_level=9)),
        EncodedImage.from_bytes(encoded(image, "BMP")),
        EncodedImage.of(image),
    ]
    assert {each.digest for each in same} == {digest(image)}
    assert len(set(same)) == 1
    other = image.copy()
    other.putpixel((0, 0), (0, 0, 1))
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert len({digest(image), digest(other), digest(turned), digest(image.convert("RGBA"))}) == 4


def test_the_digest_is_the_same_in_every_version() -> None:
    # Caches and uploads are named by it: a change here makes every stored image unknown.
    pixels = b"RGB:2x1:" + bytes([1, 2, 3, 1, 2, 3])
    assert digest(Image.new("RGB", (2, 1), (1, 2, 3))) == hashlib.sha256(pixels).hexdigest()


def test_an_encoded_image_decodes_to_the_same_pixels() -> None:
    for image in (picture(1), Image.new("RGBA", (5, 4), (1, 2, 3, 0))):
        one = EncodedImage.of(image)
        assert one.image.tobytes() == image.tobytes()
        assert one.size == image.size


def parts(png: bytes) -> list[bytes]:
    """The kinds of a PNG's chunks, in order."""
    kinds, place = [], 8
    while place < len(png):
        kinds.append(png[place + 4 : place + 8])
        place += 12 + struct.unpack(">I", png[place : place + 4])[0]
    return kinds


def with_texts(image: Image.Image, **options: Any) -> bytes:
    """As ComfyUI saves it: the workflow is in the file."""
    texts = PngInfo()
    texts.add_text("prompt", json.dumps({"1": {"class_type": "LoadImage"}}))
    texts.add_text("workflow", "{}", zip=True)
    return encoded(image, pnginfo=texts, **options)


def turned_by_xmp() -> PngInfo:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    return texts


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_pngs_own_pixels_are_kept_and_nothing_else_of_it(mode: str) -> None:
    image = picture(3, (64, 48)).convert(mode)
    data = with_texts(image, compress_level=7, dpi=(72, 72))
    kept = EncodedImage.from_bytes(data + b"something behind the end")
    assert kept == EncodedImage.of(image)
    assert kept.data == encoded(image, compress_level=7)
    assert (kept.size, kept.has_alpha) == ((64, 48), mode == "RGBA")


@pytest.mark.parametrize(
    "data",
    [
        with_texts(picture(3, (64, 48)).convert("L")),
        with_texts(picture(3, (64, 48)).convert("P")),
        with_texts(picture(3, (64, 48)), transparency=(1, 2, 3)),
        with_texts(picture(3, (48, 48)), exif=exif(6)),
        encoded(picture(3, (48, 48)), pnginfo=turned_by_xmp()),
        encoded(picture(3, (64, 48)), "WEBP", lossless=True),
    ],
    ids=["gray", "palette", "transparent colour", "turned", "turned by XMP", "WebP"],
)
def test_what_is_no_png_as_ours_are_is_encoded_anew(data: bytes) -> None:
    anew = EncodedImage.from_bytes(data)
    assert anew.data == encode_png(decode(data))
    assert anew.digest == digest(decode(data))
    assert decode(anew.data).tobytes() == decode(data).tobytes()
    assert set(parts(anew.data)) == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("place", [20, -20, -5])
def test_damaged_checksums_are_not_kept(place: int) -> None:
    whole = bytearray(encoded(picture(3, (64, 48))))
    whole[place] ^= 1
    try:
        made = EncodedImage.from_bytes(bytes(whole))
    except ImageError:
        return
    assert made.data == encode_png(decode(bytes(whole)))
    assert made.data != bytes(whole)


def test_pickling_sends_the_png_and_not_the_decoded_picture() -> None:
    one = EncodedImage.of(picture(1, (300, 300)))
    small = len(pickle.dumps(one))
    assert one.image.size == (300, 300)  # decoded now, and kept
    assert len(pickle.dumps(one)) == small < len(one.data) + 500
    for copied in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert copied == one
        assert copied.image.tobytes() == one.image.tobytes()


def test_a_preview_is_the_file_itself_where_that_is_small() -> None:
    small = EncodedImage.of(picture(1))
    assert preview(small) is small.data


def test_a_preview_of_a_large_image_is_scaled_down_and_compressed() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1600, 3), dtype=np.uint8)
    opaque = Image.open(io.BytesIO(preview(EncodedImage.of(Image.fromarray(noise)))))
    assert (opaque.format, opaque.size) == ("JPEG", (768, 480))
    clear = Image.new("RGBA", (1600, 1000), (255, 0, 0, 40))
    kept = Image.open(io.BytesIO(preview(EncodedImage.of(clear))))
    assert (kept.format, kept.mode, kept.size) == ("PNG", "RGBA", (768, 480))


def test_changing_a_decoded_image_changes_nobody_elses() -> None:
    encoded = EncodedImage.of(Image.new("RGB", (4, 4), "red"))
    encoded.image.paste("blue", (0, 0, 4, 4))
    assert encoded.image.getpixel((0, 0)) == (255, 0, 0)
