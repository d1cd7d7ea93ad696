"""The demo's eval sets."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pixaris.cli import main
from pixaris.data_loaders import demo
from pixaris.data_loaders.local import LocalDatasetLoader
from pixaris.exceptions import ConfigurationError
from pixaris.testing.contracts import check_dataset_loader
from pixaris.testing.samples import picture


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eval sets; tests only read them."""
    folder = tmp_path_factory.mktemp("inputs") / "demo"
    assert demo.prepare(folder) == {"photos": 12, "cutout": 12, "inpaint": 12}
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """The eval sets, to be changed by the test."""
    return shutil.copytree(made, tmp_path / "demo")


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes, and when it was written."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (data, _) in state(folder).items()}


def levels(path: Path) -> NDArray[np.float64]:
    return np.asarray(Image.open(path), np.float64) / 255


@pytest.mark.parametrize(("name", "reference"), [("photos", "Original"), ("cutout", "Mask")])
def test_the_local_loader_takes_both_eval_sets_with_their_references(
    made: Path, name: str, reference: str
) -> None:
    loaded = check_dataset_loader(LocalDatasetLoader("demo", name, made.parent, references=[reference]))
    assert (len(loaded), loaded.input_folders, loaded.reference_folders) == (12, ("Input",), (reference,))
    images = [image for item in loaded.items for image in (*item.inputs.values(), *item.references.values())]
    assert {(image.size, image.image.mode) for image in images} == {((256, 256), "RGB")}
    assert len({image.digest for image in images}) == len(images)


def test_the_holes_are_gray_in_the_inputs_and_white_in_the_masks_and_all_else_is_the_original(
    made: Path,
) -> None:
    for item in demo.PHOTOS:
        given, mask, original = (
            levels(made / "inpaint" / folder / f"{item}.png") for folder in ("Input", "Mask", "Original")
        )
        hole = mask[..., 0] == 1
        assert 0.05 < hole.mean() < 0.4
        assert (given[~hole] == original[~hole]).all()
        assert (given[hole] == demo.GRAY / 255).all()


def test_making_them_anew_gives_the_same_files(made: Path, tmp_path: Path) -> None:
    demo.prepare(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(made)


def test_a_complete_set_is_left_as_it_is(copied: Path) -> None:
    before = state(copied)
    assert demo.prepare(copied) == {"photos": 12, "cutout": 12, "inpaint": 12}
    assert state(copied) == before


def test_what_is_missing_damaged_or_different_is_made_again_and_nothing_else(copied: Path) -> None:
    before = state(copied)
    (copied / "photos/Input/brick.png").unlink()
    (copied / "photos/Original/brick.png").write_bytes(b"\x89PNG cut short")
    picture(1).save(copied / "cutout/Mask/camera_on_grass.png")
    Image.open(copied / "cutout/Input/camera_on_grass.png").save(
        copied / "cutout/Input/camera_on_grass.png", compress_level=9
    )
    smaller = (copied / "cutout/Input/camera_on_grass.png").read_bytes()

    demo.prepare(copied)

    after = state(copied)
    same_pixels = str(Path("cutout/Input/camera_on_grass.png"))
    assert after[same_pixels][0] == smaller
    del before[same_pixels], after[same_pixels]
    assert {name: data for name, (data, _) in after.items()} == {
        name: data for name, (data, _) in before.items()
    }
    written = {name for name in after if after[name][1] != before[name][1]}
    assert written == {
        str(Path(name))
        for name in ("photos/Input/brick.png", "photos/Original/brick.png", "cutout/Mask/camera_on_grass.png")
    }


def test_the_inputs_of_photos_are_blurred_and_noisy_as_documented(made: Path) -> None:
    # Two neighbouring pixels differ by the noise of both, and hardly by anything else after a blur of 1.5
    # pixels.
    spread = []
    for path in (made / "photos/Input").iterdir():
        image = levels(path)
        spread.append(np.std(image[:, 1:] - image[:, :-1]) / np.sqrt(2))
        original = levels(made / "photos/Original" / path.name)
        assert 0.02 < np.std(image - original) < 0.25
    assert np.median(spread) == pytest.approx(demo.OF_PHOTOS.noise, rel=0.2)


def test_masks_are_black_and_white_and_hold_an_object_that_is_off_the_border(made: Path) -> None:
    shares = []
    for path in (made / "cutout/Mask").iterdir():
        mask = np.asarray(Image.open(path))
        assert set(np.unique(mask)) == {0, 255}
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()
        shares.append((mask[..., 0] > 0).mean())
    assert min(shares) > 0.08
    assert max(shares) < 0.5
    assert len(set(shares)) == len(shares)


def test_blue_tells_the_object_from_its_background_in_every_cutout_and_red_does_not(made: Path) -> None:
    def gap(path: Path, channel: int) -> float:
        inside = np.asarray(Image.open(made / "cutout/Mask" / path.name))[..., 0] > 0
        image = levels(path)[..., channel]
        return float(np.median(image[inside]) - np.median(image[~inside]))

    paths = list((made / "cutout/Input").iterdir())
    assert min(gap(path, 2) for path in paths) > 0.15
    assert min(gap(path, 0) for path in paths) < 0


@pytest.mark.parametrize(
    "name",
    [
        "photos/Input/holiday.jpg",
        "photos/Mask/astronaut.png",
        "photos/Original/astronaut.JPG",
        "cutout/Mask/brick.png",
    ],
)
def test_a_folder_with_other_images_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"mine")
    before = state(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        demo.prepare(tmp_path)
    eval_set, folder, file = name.split("/")
    shown = (
        f"{folder}/" if name == "photos/Mask/astronaut.png" else f"{folder}/{file}"
    )  # of a foreign folder, only its name
    assert f"{eval_set}: holds what is not the demo's ({shown})" in str(caught.value)
    assert state(tmp_path) == before


def test_all_that_is_foreign_is_told_at_once(copied: Path) -> None:
    for name in ("photos/Input/a.png", "cutout/Depth/b.png", "cutout/Input/c.webp"):
        (copied / name).parent.mkdir(exist_ok=True)
        (copied / name).touch()
    with pytest.raises(ConfigurationError) as caught:
        demo.prepare(copied)
    assert len(caught.value.problems) == 2
    assert all(name in str(caught.value) for name in ("a.png", "Depth", "c.webp"))


def test_files_that_no_loader_reads_are_left_alone(copied: Path) -> None:
    for name in ("notes.txt", "photos/README.md", "photos/Input/.DS_Store", "cutout/Mask/Thumbs.db"):
        (copied / name).write_text("mine")
    (copied / "other" / "Input").mkdir(parents=True)
    before = state(copied)
    demo.prepare(copied)
    assert state(copied) == before


def test_a_file_in_the_way_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "photos").write_text("not a folder")
    with pytest.raises(ConfigurationError, match="photos"):
        demo.prepare(tmp_path)


def test_the_command_makes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "demo", str(tmp_path / "demo")]) == 0
    assert capsys.readouterr().out.count(": 12 items") == 3
    assert len(LocalDatasetLoader("demo", "cutout", tmp_path, references=["Mask"]).load_dataset()) == 12


def test_every_photograph_is_listed_with_its_licence() -> None:
    text = (Path(__file__).parents[2] / "docs" / "demo-data.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.+?) \| `(.+?)` \| .+ \| .+ \|$", text, re.MULTILINE)
    listed = {name: file for names, file in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {name: crop.file for name, crop in demo.PHOTOS.items()}
