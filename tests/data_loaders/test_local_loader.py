"""Eval sets from folders on this machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from pixaris.data_loaders.base import DatasetLoader
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import DatasetError
from pixaris.testing.contracts import ContractError, check_dataset_loader
from pixaris.testing.samples import mask, picture
from pixaris.types import EvalSet


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``inputs/demo/photos`` with folders Input (JPEG) and Mask (PNG), three images each."""
    for folder in ("Input", "Mask"):
        (tmp_path / "inputs/demo/photos" / folder).mkdir(parents=True)
    for n in (1, 2, 10):
        picture(n).save(tmp_path / f"inputs/demo/photos/Input/img{n}.jpg", quality=95)
        mask(n).save(tmp_path / f"inputs/demo/photos/Mask/img{n}.png")
    return tmp_path / "inputs"


def refused(loader: LocalDatasetLoader) -> str:
    with pytest.raises(DatasetError) as caught:
        loader.load_dataset()
    return str(caught.value)


@pytest.mark.parametrize("at", [False, True])
def test_local_folders_fulfil_the_contract_of_loaders(root: Path, at: bool) -> None:
    path = root / "demo/photos"
    loader = (
        LocalDatasetLoader.at(path, ["Mask"])
        if at
        else LocalDatasetLoader("demo", "photos", root, references=["Mask"])
    )
    loaded = check_dataset_loader(loader)
    assert [item.name for item in loaded.items] == ["img1", "img2", "img10"]
    assert (loaded.name, loaded.input_folders, loaded.reference_folders) == ("photos", ("Input",), ("Mask",))
    assert (loader.project, loader.dataset) == ("demo", "photos")


def test_a_relative_path_is_taken_from_the_working_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "demo")
    assert len(LocalDatasetLoader.at("photos").load_dataset()) == 3
    assert len(LocalDatasetLoader.at(".").path.name) > 0


def test_exif_orientation_is_honoured(root: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1, (40, 20)).save(root / "demo/photos/Input/img1.jpg", exif=exif)
    assert LocalDatasetLoader("demo", "photos", root).load_dataset().items[0].inputs["Input"].size == (20, 40)


def test_a_missing_eval_set_names_the_nearest_and_those_there_are(root: Path) -> None:
    (root / "demo/portraits").mkdir()
    text = refused(LocalDatasetLoader("demo", "fotos", root))
    assert "no such eval set (did you mean 'photos'?); in" in text
    assert "there are: photos, portraits" in text


def test_a_missing_project_or_root_is_named(root: Path) -> None:
    assert "there is no project 'dem' (did you mean 'demo'?)" in refused(
        LocalDatasetLoader("dem", "photos", root)
    )
    assert "there is no folder" in refused(LocalDatasetLoader("demo", "photos", root / "elsewhere"))


def test_names_that_do_not_match_are_reported_with_the_folders_path(root: Path) -> None:
    (root / "demo/photos/Mask/img2.png").rename(root / "demo/photos/Mask/img3.png")
    (root / "demo/photos/Input/img10.jpg").write_bytes(b"")
    text = refused(LocalDatasetLoader("demo", "photos", root, ["Mask", "Masks"]))
    assert text.startswith(f"{root / 'demo/photos'}: 4 problems")
    assert "folder 'Input': has no image for 1 of 4 names: img3" in text
    assert "folder 'Mask': has no image for 1 of 4 names: img2" in text
    assert f"{root / 'demo/photos/Input/img10.jpg'} is not a readable image: it is empty" in text
    assert "'Masks': no such folder (did you mean 'Mask'?)" in text


def test_hidden_folders_are_passed_over_and_empty_ones_are_not(root: Path) -> None:
    (root / "demo/photos/.cache").mkdir()
    (root / "demo/photos/Input/.DS_Store").write_bytes(b"x")
    assert len(LocalDatasetLoader("demo", "photos", root).load_dataset()) == 3
    (root / "demo/photos/Canny").mkdir()
    assert "folder 'Canny': holds no images" in refused(LocalDatasetLoader("demo", "photos", root))


def test_a_flat_folder_of_photographs_is_the_input(tmp_path: Path) -> None:
    for n in range(3):
        picture(n).save(tmp_path / f"{n}.png")
    (tmp_path / "notes.gif").write_bytes(b"x")
    loaded = check_dataset_loader(LocalDatasetLoader.at(tmp_path))
    assert (loaded.input_folders, loaded.reference_folders) == (("Input",), ())
    assert [item.name for item in loaded.items] == ["0", "1", "2"]
    assert loaded.remarks == (f"the 3 images in {tmp_path.name} itself are its folder 'Input'",)
    assert "'Mask', no such folder; there are Input" in refused(
        LocalDatasetLoader.at(tmp_path, ["Mask"])
    ).replace(": 'Mask':", " 'Mask',")


def test_photographs_beside_a_folder_of_their_masks_are_the_input(root: Path) -> None:
    photos = root / "demo/photos"
    for file in (photos / "Input").iterdir():
        file.rename(photos / file.name)
    (photos / "Input").rmdir()
    loaded = check_dataset_loader(LocalDatasetLoader.at(photos, ["Mask"]))
    assert (loaded.input_folders, loaded.reference_folders) == (("Input",), ("Mask",))
    (photos / "img1.jpg").unlink()
    strays = LocalDatasetLoader.at(photos, ["Mask"]).load_dataset()
    assert strays.input_folders == (), "a mask has no photograph, so these are something else"
    assert "beside the folders" in strays.passed_over[0]


def test_an_empty_eval_set_is_refused(tmp_path: Path) -> None:
    assert "it has no folders of images and no items.txt" in refused(LocalDatasetLoader.at(tmp_path))
    assert "for the references" in refused(LocalDatasetLoader.at(tmp_path, ["Mask"]))


def test_an_eval_set_without_images_is_a_list_of_names(tmp_path: Path) -> None:
    (tmp_path / "items.txt").write_text("\ufeffa red car\r\n\n  a blue car  \nitem 10\n", encoding="utf-8")
    loaded = check_dataset_loader(LocalDatasetLoader.at(tmp_path))
    assert [item.name for item in loaded.items] == ["a red car", "a blue car", "item 10"]
    assert (loaded.input_folders, loaded.reference_folders) == ((), ())


def test_a_list_of_names_has_each_name_once(tmp_path: Path) -> None:
    listing = tmp_path / "items.txt"
    listing.write_text("a\nb\na\nb\nc\n")
    text = refused(LocalDatasetLoader.at(tmp_path))
    assert "item 'a': is named twice" in text
    assert "item 'b': is named twice" in text
    listing.write_text("\n \n")
    assert "names no items" in refused(LocalDatasetLoader.at(tmp_path))
    listing.write_bytes(b"\xff\xfe\xff")
    assert "cannot be read as UTF-8 text" in refused(LocalDatasetLoader.at(tmp_path))


class FromAnother(DatasetLoader):
    """Changes what another loader loads; for breaking rules."""

    def __init__(self, path: Path, rule: str) -> None:
        self.path = path
        self.rule = rule

    def load_dataset(self) -> EvalSet:
        loaded = LocalDatasetLoader.at(self.path).load_dataset()
        first, *others = loaded.items
        if self.rule == "numbered":
            items = tuple(reversed(loaded.items))
        elif self.rule == "unique names":
            items = (first, *(dataclasses.replace(item, name=first.name) for item in others))
        elif self.rule == "image in every folder":
            items = (
                first,
                *(dataclasses.replace(item, inputs={"Input": item.inputs["Input"]}) for item in others),
            )
        else:
            items = ()
        return EvalSet(loaded.name, items)


@pytest.mark.parametrize("rule", ["numbered", "unique names", "image in every folder", "has items"])
def test_the_contract_suite_names_the_rule_that_is_broken(root: Path, rule: str) -> None:
    with pytest.raises(ContractError, match=rule):
        check_dataset_loader(FromAnother(root / "demo/photos", rule))
