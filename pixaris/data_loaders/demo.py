"""The demo's three eval sets, made from photographs that come with scikit-image; docs/demo-data.md lists
sources and licences.

Nothing is downloaded, and the same pixels come out every time.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pixaris.exceptions import ConfigurationError, ImageError, Problem
from pixaris.files import write_bytes
from pixaris.images import SUFFIXES, decode, digest, encode_png, read_image_file

Pixels: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

SIDE = 256
"""Width and height of every image."""


@dataclass(frozen=True)
class Degradation:
    """What an image loses: a Gaussian blur, then Gaussian noise, independent in every pixel and channel.

    Attributes:
        blur: Standard deviation of the blur in pixels.
        noise: Standard deviation of the noise, where black is 0 and white is 1.
    """

    blur: float
    noise: float


OF_PHOTOS = Degradation(blur=1.5, noise=0.04)
OF_CUTOUTS = Degradation(blur=0.8, noise=0.06)
GRAY = 127
"""Level of the hole in the inputs of ``inpaint``."""


@dataclass(frozen=True)
class Crop:
    """A square of a photograph.

    Attributes:
        file: The photograph's name in scikit-image's data folder.
        left: The square's left column.
        top: Its top row.
        side: Its side in pixels.
    """

    file: str
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Cutout:
    """An object with one photograph's texture on a background with another's.

    Attributes:
        object: A name of `PHOTOS`.
        background: A name of `PHOTOS`.
        shape: Of its outline.
        size: Half the object's width, in pixels.
        corners: Of a polygon, which is regular; of a blob, how many bulges it has at most.
    """

    object: str
    background: str
    shape: Literal["ellipse", "polygon", "blob"]
    size: int
    corners: int = 0


PHOTOS: Mapping[str, Crop] = {
    "astronaut": Crop("astronaut.png", 0, 0, 512),
    "brick": Crop("brick.png", 0, 0, 512),
    "camera": Crop("camera.png", 0, 0, 512),
    "chelsea": Crop("chelsea.png", 80, 0, 300),
    "chelsea_eye": Crop("chelsea.png", 110, 20, 200),
    "coffee": Crop("coffee.png", 120, 0, 400),
    "coffee_cup": Crop("coffee.png", 190, 60, 256),
    "grass": Crop("grass.png", 0, 0, 512),
    "gravel": Crop("gravel.png", 0, 0, 512),
    "hubble": Crop("hubble_deep_field.jpg", 300, 100, 512),
    "retina": Crop("retina.jpg", 200, 200, 1000),
    "shuttle": Crop("astronaut.png", 256, 0, 256),
}
"""Item name to its photograph."""

CUTOUTS: Mapping[str, Cutout] = {
    "astronaut_on_brick": Cutout("astronaut", "brick", "ellipse", 78),
    "brick_on_chelsea": Cutout("brick", "chelsea", "polygon", 84, 5),
    "camera_on_grass": Cutout("camera", "grass", "blob", 80, 5),
    "chelsea_on_coffee": Cutout("chelsea", "coffee", "ellipse", 70),
    "chelsea_eye_on_gravel": Cutout("chelsea_eye", "gravel", "blob", 72, 4),
    "coffee_on_retina": Cutout("coffee", "retina", "polygon", 88, 6),
    "coffee_cup_on_shuttle": Cutout("coffee_cup", "shuttle", "ellipse", 64),
    "grass_on_astronaut": Cutout("grass", "astronaut", "blob", 76, 6),
    "gravel_on_hubble": Cutout("gravel", "hubble", "polygon", 80, 3),
    "hubble_on_camera": Cutout("hubble", "camera", "ellipse", 82),
    "retina_on_chelsea_eye": Cutout("retina", "chelsea_eye", "blob", 74, 3),
    "shuttle_on_coffee_cup": Cutout("shuttle", "coffee_cup", "polygon", 86, 4),
}
"""Item name to what it is made of."""


def prepare(folder: Path) -> dict[str, int]:
    """Make the eval sets ``photos`` (folders ``Input``, ``Original``), ``cutout`` (``Input``, ``Mask``),
    ``inpaint`` (all three).

    Every image has 256×256 pixels, 8-bit RGB.

    In ``photos``, the input is the original after a Gaussian blur of σ = 1.5 pixels and Gaussian noise of σ =
    0.04 (10 of 255 levels).

    In ``cutout``, the input is an object in cool light on a background in warm light. The object's light
    falls to a fifth within six pixels of its edge. Then come a blur of σ = 0.8 pixels and noise of σ = 0.06.
    The mask is white where the object is, else black.

    In ``inpaint``, the input is a photograph with a gray hole, the mask is white where the hole is, and the
    original has none.

    Images that are there already are not written again; one of the same name that shows anything else is
    replaced. Nothing is deleted.

    Args:
        folder: Where the eval sets go, e.g. ``local_experiment_inputs/demo``; it is made if need be.

    Returns:
        Eval set to its number of items.

    Raises:
        ConfigurationError: The eval sets' folders hold other images or folders, or scikit-image lacks a
            photograph: nothing has been written. Or a file cannot be written.
    """
    try:
        faults = []
        for name, (folders, items) in _LAYOUT.items():
            faults += _foreign(folder / name, folders, items)
        if faults:
            raise ConfigurationError(faults, str(folder))
        for path, image in _images():
            if not _shows(folder / path, image):
                write_bytes(folder / path, encode_png(image))
    except OSError as error:
        if error.filename:
            place = f": {error.filename}"
        else:
            place = ""
        raise ConfigurationError(
            f"the eval sets cannot be written: {error.strerror or error}{place}; choose another folder",
            str(folder),
        ) from None
    return {name: len(items) for name, (_, items) in _LAYOUT.items()}


_LAYOUT: Mapping[str, tuple[tuple[str, ...], Collection[str]]] = {
    "photos": (("Input", "Original"), PHOTOS),
    "cutout": (("Input", "Mask"), CUTOUTS),
    "inpaint": (("Input", "Mask", "Original"), PHOTOS),
}


def _foreign(place: Path, folders: Collection[str], items: Collection[str]) -> list[Problem]:
    """What would become part of the eval set at `place` beside what is made here."""
    found = []
    for entry in sorted(place.iterdir()) if place.is_dir() else ():
        if entry.is_dir() and not entry.name.startswith("."):
            if entry.name not in folders:
                found.append(f"{entry.name}{os.sep}")
                continue
            found += [
                f"{entry.name}{os.sep}{file.name}"
                for file in sorted(entry.iterdir())
                if _is_foreign(file, items)
            ]
    if not found:
        return []
    shown = ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
    return [
        Problem(place.name, f"holds what is not the demo's ({shown}); move it away, or choose another folder")
    ]


def _is_foreign(file: Path, items: Collection[str]) -> bool:
    ours = file.suffix == ".png" and file.stem in items
    return (
        file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and not file.is_dir() and not ours
    )


def _shows(path: Path, image: Image.Image) -> bool:
    """Whether a file holds these pixels; how they are compressed does not count."""
    try:
        return digest(decode(read_image_file(path))) == digest(image)
    except ImageError:
        return False


def _images() -> Iterator[tuple[Path, Image.Image]]:
    """Every image with its path below the folder."""
    # all of them before anything is written
    photos = {name: _photograph(crop) for name, crop in PHOTOS.items()}
    for name, photo in photos.items():
        yield Path("photos", "Original", f"{name}.png"), photo
        yield Path("photos", "Input", f"{name}.png"), _degraded(_levels(photo), OF_PHOTOS, name)
        hole = _outline(Cutout(name, name, "blob", 54, 4), f"{name} hole")
        yield Path("inpaint", "Original", f"{name}.png"), photo
        yield Path("inpaint", "Mask", f"{name}.png"), Image.fromarray(hole).convert("RGB")
        yield (
            Path("inpaint", "Input", f"{name}.png"),
            Image.composite(Image.new("RGB", photo.size, (GRAY,) * 3), photo, _mask(hole)),
        )
    for name, cutout in CUTOUTS.items():
        inside = _outline(cutout, name)
        scene = _scene(_levels(photos[cutout.object]), _levels(photos[cutout.background]), inside)
        yield Path("cutout", "Mask", f"{name}.png"), Image.fromarray(inside).convert("RGB")
        yield Path("cutout", "Input", f"{name}.png"), _degraded(scene, OF_CUTOUTS, name)


def _photograph(crop: Crop) -> Image.Image:
    # Read from the package's folder: skimage.data's functions may download, and one of them loads all of
    # scikit-image.
    source = resources.files("skimage") / "data" / crop.file
    try:
        data = source.read_bytes()
    except OSError:
        raise ConfigurationError(
            f"scikit-image has no photograph {crop.file}; install another version of it (0.25 has it)"
        ) from None
    box = (crop.left, crop.top, crop.left + crop.side, crop.top + crop.side)
    return decode(data, crop.file).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box)


def _levels(image: Image.Image) -> Pixels:
    return np.asarray(image, np.float64) / 255


def _random(name: str) -> np.random.RandomState:
    # RandomState's numbers are the same in every numpy; those of default_rng may change.
    return np.random.RandomState(zlib.crc32(name.encode()))


def _degraded(levels: Pixels, degradation: Degradation, name: str) -> Image.Image:
    blurred = ndimage.gaussian_filter(levels, (degradation.blur, degradation.blur, 0), mode="nearest")
    noisy = blurred + _random(name).normal(0, degradation.noise, levels.shape)
    return Image.fromarray(np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8))


def _outline(cutout: Cutout, name: str) -> Flags:
    """Where the object is: around a centre, as far as its radius in that direction."""
    random = _random(f"{name} outline")
    x, y = SIDE / 2 + random.uniform(-24, 24, 2)
    turn = random.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle = np.arctan2(rows - y, columns - x) + turn
    if cutout.shape == "ellipse":
        radius = cutout.size / np.hypot(np.cos(angle), np.sin(angle) / 0.7)
    elif cutout.shape == "polygon":
        sector = 2 * math.pi / cutout.corners
        radius = cutout.size * math.cos(sector / 2) / np.cos(angle % sector - sector / 2)
    else:
        bulges = range(2, cutout.corners + 1)
        heights, phases = random.uniform(0.05, 0.16, len(bulges)), random.uniform(0, 2 * math.pi, len(bulges))
        waves = [h * np.cos(n * angle + phase) for n, h, phase in zip(bulges, heights, phases, strict=True)]
        radius = cutout.size * (1 + np.sum(waves, axis=0))
    inside: Flags = np.hypot(rows - y, columns - x) < radius
    return inside


def _mask(inside: Flags) -> Image.Image:
    return Image.fromarray(inside).convert("L")


def _scene(thing: Pixels, background: Pixels, inside: Flags) -> Pixels:
    """The object in cool light, darker towards its edge, on the background in warm light.

    The object is therefore brightest, and the background darkest, in blue; what is above a threshold ends
    short of the edge.
    """
    depth = ndimage.distance_transform_edt(inside)
    shade = 0.2 + 0.8 * np.clip(depth / 6, 0, 1)
    cool = (0.5 + 0.45 * thing) * (0.8, 0.9, 1.0) * shade[..., None]
    warm = (0.05 + 0.85 * background) * (0.8, 0.65, 0.45)
    scene: Pixels = np.where(inside[..., None], cool, warm)
    return scene
