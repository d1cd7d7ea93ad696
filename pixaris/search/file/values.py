"""What stands behind a parameter's domain: numbers, values, mappings of values, images."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pixaris.data_loaders.base import natural
from pixaris.exceptions import ConfigurationError, ImageError, nearest
from pixaris.images import SUFFIXES, EncodedImage
from pixaris.search.file.reader import Reader, located, shown
from pixaris.search.file.yaml_file import join
from pixaris.search.space.domain import KINDS, Domain
from pixaris.search.space.parameter import Given

_MOST_IMAGES = 1000


def read_domain(reader: Reader, path: str, kind: str, value: object) -> Domain | None:
    """The domain of a kind.

    Args:
        reader: Collects the problems.
        path: The parameter's place.
        kind: A name of `KINDS`.
        value: What stands behind it.
    """
    where = join(path, kind)
    try:
        if kind == "constant":
            constant: tuple[Any, ...] = (value,)
            return Domain(kind, options=constant)
        if KINDS[kind].listed:
            if not isinstance(value, list):
                reader.add_problem(
                    where, f"must be a list of values (got {shown(value)}); write {kind}: [{shown(value)}]"
                )
                return None
            if any(isinstance(option, dict) for option in value):
                hint = "targets: {width: {node_name: ..., input: ...}, ...}"
                reader.add_problem(
                    where, f"holds mappings, whose names must be named among the targets; write {hint}"
                )
                return None
            return Domain(kind, options=tuple(value))
        numbers = _numbers(reader, where, kind, value)
        by_name: dict[str, Any] = dict(zip(KINDS[kind].names, numbers or (), strict=False))
        if numbers:
            return Domain(kind, **by_name)
        return None
    except ConfigurationError as error:
        for problem in error.problems:
            reader.add_problem(where, problem.message)
        return None


def _numbers(reader: Reader, path: str, kind: str, value: object) -> list[float] | None:
    names = KINDS[kind].names
    if isinstance(value, dict):
        fields = reader.section(path, value, names)
        missing = [
            name
            for name in names
            if not reader.required(path, fields, name, f"{kind} takes {KINDS[kind].form}")
        ]
        found = [reader.number(join(path, name), fields[name]) for name in names if name in fields]
        if missing:
            return None
    elif isinstance(value, list) and len(value) == len(names):
        found = [reader.number(join(path, index), inner) for index, inner in enumerate(value)]
    else:
        reader.add_problem(path, f"{kind} takes {KINDS[kind].form} (got {shown(value)})")
        return None
    numbers = [number for number in found if number is not None]
    if len(numbers) == len(names):
        return numbers
    return None


def read_pairs(
    reader: Reader, path: str, value: object, names: tuple[str, ...], folder: Path
) -> dict[str, tuple[Given, ...]] | None:
    """A list of mappings, each with a value for every name: label to the values.

    Args:
        reader: Collects the problems.
        path: The list's place.
        value: The list; a value ``{image: file}`` is an image.
        names: What every mapping gives a value to.
        folder: Where paths of images start.
    """
    example = f"[{{{', '.join(f'{name}: ...' for name in names)}}}, ...]"
    found: dict[str, tuple[Given, ...]] = {}
    seen: set[tuple[tuple[bool, Given], ...]] = set()
    whole = True
    entries = reader.items(path, value, f"write {example}")
    if value == []:
        reader.add_problem(path, "needs at least one value (got an empty list)")
    for index, entry in enumerate(entries):
        where = join(path, index)
        if not isinstance(entry, dict):
            reader.add_problem(
                where,
                f"must give a value to each of {', '.join(names)} (got {shown(entry)}); write {example}",
            )
            whole = False
            continue
        fields = reader.section(where, entry, names)
        present = [
            reader.required(where, fields, name, f"every mapping gives values to {', '.join(names)}")
            for name in names
        ]
        given = [_given(reader, join(where, name), fields[name], folder) for name in names if name in fields]
        label = ", ".join(f"{name}={_written(fields[name])}" for name in names if name in fields)
        values = tuple(one for one in given if one is not None)
        if not all(present) or len(values) < len(names) or len(fields) < len(entry):
            whole = False
        elif label in found or (same := tuple((isinstance(one, bool), one) for one in values)) in seen:
            # 1 is 1.0, not true
            reader.add_problem(where, f"holds {label} twice; keep one of them")
        else:
            found[label] = values
            seen.add(same)
    if whole and found:
        return found
    return None


def _given(reader: Reader, path: str, value: object, folder: Path) -> Given | None:
    if isinstance(value, dict):
        fields = reader.section(path, value, ("image",))
        if not reader.required(
            path, fields, "image", "a value is text, a number, a boolean or {image: file}"
        ):
            return None
        file = reader.text(join(path, "image"), fields["image"])
        where = join(path, "image")
        if file:
            return _image(reader, where, located(reader, where, file, folder))
        return None
    if isinstance(value, float) and not math.isfinite(value):
        reader.add_problem(path, f"numbers must be finite (got {value})")
        return None
    if isinstance(value, str | int | float):
        return value
    reader.add_problem(path, f"values are text, numbers, booleans or {{image: file}} (got {shown(value)})")
    return None


def _written(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("image")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def read_images(reader: Reader, path: str, value: object, folder: Path) -> dict[str, EncodedImage] | None:
    """Images by name: a list of files, or a folder, whose images are taken in natural order.

    Args:
        reader: Collects the problems.
        path: The list's place.
        value: The list of paths, or the folder's.
        folder: Where the paths start.
    """
    if isinstance(value, str):
        return _folder(reader, path, value, folder)
    if value == []:
        reader.add_problem(path, "needs at least one image file (got an empty list)")
    names = reader.texts(
        path, value, "write images: [inspiration/dunes.png, ...], or a folder: images: inspiration"
    )
    images = {}
    for index, name in enumerate(names):
        if (image := _image(reader, join(path, index), folder / name)) is not None:
            images[name] = image
    if len(images) == len(names):
        return _once_each(reader, path, images)
    return None


def _folder(reader: Reader, path: str, name: str, folder: Path) -> dict[str, EncodedImage] | None:
    try:
        if (folder / name).is_dir():
            inside = list((folder / name).iterdir())
        else:
            inside = None
    except (OSError, ValueError) as error:
        reader.add_problem(path, f"the folder {shown(name)} cannot be read: {error}")
        return None
    if inside is None:
        if name.lower().endswith(SUFFIXES):
            one = f"; for one file write images: [{name}]"
        else:
            one = ""
        reader.add_problem(path, f"there is no folder {shown(name)}{one}")
        return None
    files = sorted(
        (file for file in inside if file.suffix.lower() in SUFFIXES), key=lambda file: natural(file.name)
    )
    if not files:
        reader.add_problem(
            path, f"the folder {shown(name)} holds no image; allowed are {', '.join(SUFFIXES)}"
        )
    elif len(files) > _MOST_IMAGES:
        reader.add_problem(
            path,
            f"the folder {shown(name)} holds {len(files):,} images (at most {_MOST_IMAGES:,}); list those you"
            " mean",
        )
    else:
        images = {file.name: image for file in files if (image := _image(reader, path, file)) is not None}
        if len(images) == len(files):
            return _once_each(reader, path, images)
        return None
    return None


def _image(reader: Reader, path: str, file: Path) -> EncodedImage | None:
    try:
        if file.is_file():
            return EncodedImage.from_file(file)
        if file.parent.is_dir():
            siblings = [other.name for other in file.parent.iterdir()]
        else:
            siblings = []
        reader.add_problem(path, f"there is no file {str(file)!r}{nearest(file.name, siblings)}")
    except ImageError as error:
        reader.add_problem(path, str(error))
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reader.add_problem(path, f"the file {str(file)!r} cannot be read: {error}")
    return None


def _once_each(reader: Reader, path: str, images: dict[str, EncodedImage]) -> dict[str, EncodedImage] | None:
    seen: dict[EncodedImage, str] = {}
    for name, image in images.items():
        if (other := seen.setdefault(image, name)) != name:
            reader.add_problem(path, f"{other} and {name} are one picture; keep one of them")
            return None
    return images or None
