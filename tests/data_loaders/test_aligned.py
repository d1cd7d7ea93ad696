"""Aligning folders of images by name."""

from __future__ import annotations

import doctest
import io
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixaris.data_loaders import base
from pixaris.data_loaders.base import aligned, natural
from pixaris.exceptions import DatasetError
from pixaris.testing.samples import picture


def png(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    picture(seed, (12, 10)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()


def refused(*args: object, **options: object) -> str:
    with pytest.raises(DatasetError) as caught:
        aligned(*args, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_items_are_in_natural_order_with_their_images_side_by_side() -> None:
    inputs = {f"img{n}.png": png(n) for n in (10, 2, 1)}
    masks = {f"img{n}.PNG": png(100 + n) for n in (1, 10, 2)}
    loaded = aligned("demo", {"Input": inputs, "Mask": masks}, ["Mask"])
    assert [item.name for item in loaded.items] == ["img1", "img2", "img10"]
    assert [item.index for item in loaded.items] == [0, 1, 2]
    assert (loaded.name, loaded.input_folders, loaded.reference_folders) == ("demo", ("Input",), ("Mask",))
    for item, number in zip(loaded.items, (1, 2, 10), strict=True):
        assert item.inputs["Input"].image.tobytes() == picture(number, (12, 10)).tobytes()
        assert item.image("Mask").image.tobytes() == picture(100 + number, (12, 10)).tobytes()


def test_suffixes_may_differ_between_folders() -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8)).save(jpeg, "JPEG")
    assert len(aligned("demo", {"Input": {"a.JPG": jpeg.getvalue()}, "Mask": {"a.png": PNG}})) == 1


def test_hidden_files_and_other_files_are_passed_over() -> None:
    files = {
        "a.png": PNG,
        ".DS_Store": b"x",
        "._a.png": b"x",
        "Thumbs.db": b"x",
        "README.txt": b"x",
        "notes": b"x",
    }
    assert [item.name for item in aligned("demo", {"Input": files}).items] == ["a"]


def test_accents_are_the_same_however_they_are_spelled() -> None:
    files = {unicodedata.normalize(form, "café.png"): PNG for form in ("NFD",)}
    assert (
        len(aligned("demo", {"Input": files, "Mask": {unicodedata.normalize("NFC", "café.png"): PNG}})) == 1
    )


def test_all_faults_are_told_at_once() -> None:
    text = refused(
        "demo",
        {
            "Input": {f"img{n}.png": PNG for n in range(1, 31)},
            "Mask": {
                "img1.png": PNG,
                "img2.png": b"no image",
                "img3.jpg": PNG,
                "img3.png": PNG,
                "extra.png": PNG,
            },
            "Empty": {"README.txt": b"x"},
            "Original": {f"img{n}.png": PNG[: 60 + n] for n in range(1, 31)},
        },
        ["Mask", "Orginal"],
        place="inputs/demo",
    )
    assert text.startswith("inputs/demo: ")
    assert (
        "'Orginal': no such folder (did you mean 'Original'?); there are Empty, Input, Mask, Original" in text
    )
    assert "folder 'Empty': holds no images" in text
    assert "folder 'Mask': has several images of one name: img3.jpg and img3.png; keep one of each" in text
    assert "folder 'Input': has no image for 1 of 31 names: extra" in text
    shown = "img4, img5, img6, img7, img8, img9, img10, img11, img12, img13"
    assert f"folder 'Mask': has no image for 27 of 31 names: {shown} and 17 more" in text
    assert "Mask/img2.png is not a readable image" in text
    assert text.count("is not a readable image") == 31


def test_an_eval_set_without_folders_is_refused() -> None:
    assert "no folders of images" in refused("demo", {})


def test_a_single_reference_may_be_given_as_text() -> None:
    assert aligned("demo", {"Input": {"a.png": PNG}, "Mask": {"a.png": PNG}}, "Mask").reference_folders == (
        "Mask",
    )


def test_files_are_read_from_disk_and_named_in_errors(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    assert len(aligned("demo", {"Input": {"a.png": tmp_path / "a.png"}})) == 1
    assert f"{tmp_path / 'b.png'} cannot be read: No such file" in refused(
        "demo", {"Input": {"b.png": tmp_path / "b.png"}}
    )


@given(st.lists(st.integers(0, 10**12), unique=True, max_size=20))
def test_natural_order_is_the_order_of_the_numbers(numbers: list[int]) -> None:
    assert sorted((f"Img {n} (a)" for n in numbers), key=natural) == [f"Img {n} (a)" for n in sorted(numbers)]


@given(st.lists(st.text(max_size=6), max_size=12))
def test_natural_order_is_the_same_whatever_the_order_before(names: list[str]) -> None:
    backwards = names[::-1]
    assert sorted(names, key=natural) == sorted(backwards, key=natural)


def test_the_example_in_the_docstring_is_right() -> None:
    tried = doctest.testmod(base)
    assert (tried.failed, tried.attempted) == (0, 1)
