"""What lies in an eval set and is not used is told, and what was forgotten does not count."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pixaris.data_loaders.base import aligned
from pixaris.data_loaders.leftovers import placeholder
from pixaris.data_loaders.local import LocalDatasetLoader, folders_of
from pixaris.exceptions import DatasetError
from pixaris.images import encode_png, reads_heic
from pixaris.types import EvalSet

PNG = encode_png(Image.new("RGB", (8, 8), "red"))


def laid_out(root: Path, *files: str) -> LocalDatasetLoader:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(PNG)
    return LocalDatasetLoader.at(root, references=["Original"] if (root / "Original").is_dir() else [])


def names(eval_set: EvalSet) -> list[str]:
    return [item.name for item in eval_set.items]


def test_formats_that_are_not_read_are_told(tmp_path: Path) -> None:
    loaded = laid_out(tmp_path, "Input/a.png", "Input/b.gif", "Input/c.JP2", "Input/notes.txt").load_dataset()
    assert names(loaded) == ["a"]
    assert loaded.passed_over == (
        "2 files (Input/b.gif, Input/c.JP2): in a format that is not read; save them as PNG",
        "1 file (Input/notes.txt): no image",
    )


@pytest.mark.skipif(reads_heic(), reason="the extra is installed")
def test_heic_is_told_with_what_reads_it(tmp_path: Path) -> None:
    loaded = laid_out(tmp_path, "Input/a.png", "Input/b.HEIC", "Input/c.heif").load_dataset()
    assert loaded.passed_over == (
        "2 files (Input/b.HEIC, Input/c.heif): HEIC; install pixaris[heic] to have them read, or save them as"
        " PNG",
    )


def test_a_jfif_is_an_image_like_any_other(tmp_path: Path) -> None:
    loaded = laid_out(tmp_path, "Input/a.png", "Input/b.jfif").load_dataset()
    assert names(loaded) == ["a", "b"]
    assert loaded.passed_over == ()


def test_images_in_folders_inside_a_folder_are_told_however_deep(tmp_path: Path) -> None:
    loaded = laid_out(
        tmp_path, "Input/a.png", "Input/night/n1.png", "Input/night/late/n2.png", "Input/night/x.txt"
    ).load_dataset()
    assert names(loaded) == ["a"]
    assert loaded.passed_over == (
        "2 files (Input/night/n1.png, Input/night/late/n2.png): in a folder inside 'Input'; images belong"
        " directly into 'Input'",
        "1 file (Input/night/x.txt): no image",
    )


def test_images_beside_the_folders_are_told(tmp_path: Path) -> None:
    loaded = laid_out(tmp_path, "Input/a.png", "loose.png", "README.md").load_dataset()
    assert loaded.passed_over == (
        "1 file (loose.png): beside the folders; images belong into a folder, such as 'Input'",
    )


def test_what_an_operating_system_leaves_is_no_folder_and_no_image(tmp_path: Path) -> None:
    loaded = laid_out(
        tmp_path, "Input/a.png", "Input/.DS_Store", "Input/._a.png", "__MACOSX/Input/._a.png", "Thumbs.db"
    ).load_dataset()
    assert (names(loaded), loaded.input_folders) == (["a"], ("Input",))
    assert loaded.passed_over == (
        "4 files (Input/.DS_Store, Input/._a.png, Thumbs.db and 1 more):"
        " hidden, or an operating system's own",
    )
    assert folders_of(tmp_path) == ("Input",)


def test_many_files_are_one_line(tmp_path: Path) -> None:
    files = {"a.png": PNG, **{f"{number}.gif": b"" for number in range(500)}}
    (sentence,) = aligned("demo", {"Input": files}).passed_over
    assert sentence == (
        "500 files (Input/0.gif, Input/1.gif, Input/2.gif and 497 more): in a format that is not read; save"
        " them as PNG"
    )


def test_a_folder_of_which_nothing_is_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no images .*2 files \(Input/a.gif, Input/b.gif\)"):
        laid_out(tmp_path, "Input/a.gif", "Input/b.gif").load_dataset()


def test_a_placeholder_that_was_forgotten_does_not_count(tmp_path: Path) -> None:
    loader = laid_out(tmp_path, "Input/a.png", "Original/a.png", "Input/b.png", "Original/b.png")
    (tmp_path / "Input" / "placeholder.png").write_bytes(placeholder().data)
    loaded = loader.load_dataset()
    assert names(loaded) == ["a", "b"]
    assert loaded.passed_over == (
        "1 file (Input/placeholder.png): the placeholder of pixaris space; remove it",
    )


def test_a_placeholder_alone_is_an_item_and_so_is_an_image_that_is_only_called_so(tmp_path: Path) -> None:
    (tmp_path / "Input").mkdir()
    (tmp_path / "Input" / "placeholder.png").write_bytes(placeholder().data)
    assert names(LocalDatasetLoader.at(tmp_path).load_dataset()) == ["placeholder"]
    assert names(laid_out(tmp_path, "Input/a.png", "Input/placeholder.png").load_dataset()) == [
        "a",
        "placeholder",
    ]


def test_what_is_passed_over_changes_neither_digest_nor_equality(tmp_path: Path) -> None:
    loader = laid_out(tmp_path, "Input/a.png")
    before = loader.load_dataset()
    laid_out(tmp_path, "Input/b.gif")
    after = loader.load_dataset()
    assert after.passed_over != before.passed_over
    assert (after, after.digest) == (before, before.digest)
