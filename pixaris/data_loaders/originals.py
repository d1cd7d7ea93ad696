"""Eval sets as the original's loaders gave them: a list of dicts, one for each item."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pixaris.exceptions import DatasetError, Problem
from pixaris.generation.base import read_generation_params, read_pillow_images
from pixaris.types import EvalItem, EvalSet

_TITLE = re.compile(r"Load (.+) Image")
_NAMES = ("name", "image_name")
_OWN = ("pillow_images", "generation_params")


def eval_set_of_dicts(name: str, rows: Iterable[object]) -> EvalSet:
    """Make an eval set of ``[{"pillow_images": [{node_name, pillow_image}, …], …}, …]``.

    An item is called what its ``name`` says, else what its first image's file is called, else by its place.
    Its ``generation_params`` count for it alone; other keys must be text, and are its texts.

    Args:
        name: What the eval set is called.
        rows: One dict for each item.

    Raises:
        DatasetError: A row has another form; all faults are told at once.
    """
    problems: list[Problem] = []
    items = []
    for index, row in enumerate(rows):
        where = f"item {index + 1}"
        if isinstance(row, Mapping):
            items.append(_item(index, row, where, problems))
        else:
            problems.append(Problem(where, f"must be a dict with pillow_images (got {type(row).__name__})"))
    problems += _repeated(items)
    problems += _uneven(items)
    if not items and not problems:
        problems.append(Problem("", "has no items"))
    if problems:
        raise DatasetError(problems, f"eval set {name!r}")
    return EvalSet(name, tuple(items))


def _item(index: int, row: Mapping[object, object], where: str, problems: list[Problem]) -> EvalItem:
    found: list[Problem] = []
    images = read_pillow_images(_entries(row, "pillow_images", found), found)
    params = read_generation_params(_entries(row, "generation_params", found), found)
    inputs = {}
    for title, image in images.items():
        # By this title an image finds its node later, as in an eval set of folders.
        folder = _TITLE.fullmatch(title)
        if folder is not None:
            inputs[folder[1]] = image
        else:
            rule = "node_name must be 'Load … Image', as the title of the node that it feeds"
            found.append(Problem("pillow_images", f"{rule} (got {title!r})"))
    texts = _texts(row, found)
    problems += [Problem(f"{where}, {one.where}", one.message) for one in found]
    return EvalItem(index, _name(row, index), inputs=inputs, texts=texts, params=params)


def _entries(row: Mapping[object, object], key: str, problems: list[Problem]) -> list[object]:
    given = row.get(key) or ()
    if isinstance(given, list | tuple):
        return list(given)
    problems.append(Problem(key, f"must be a list of dicts (got {type(given).__name__})"))
    return []


def _name(row: Mapping[object, object], index: int) -> str:
    """What the item is called: by itself, by the file of its first image, or by its place."""
    for key in _NAMES:
        if row.get(key):
            return str(row[key])
    entries = row.get("pillow_images")
    if isinstance(entries, list | tuple) and entries:
        first = entries[0]
    else:
        first = None
    if isinstance(first, Mapping):
        image = first.get("pillow_image")
    else:
        image = None
    # Pillow keeps the file's name only on images that it has opened itself.
    file = Path(str(getattr(image, "filename", ""))).stem
    return file or f"item_{index + 1:03}"


def _texts(row: Mapping[object, object], problems: list[Problem]) -> dict[str, str]:
    texts = {}
    for key, value in row.items():
        if key in _OWN or key in _NAMES:
            continue
        if isinstance(value, str | int | float):
            texts[str(key)] = str(value)
        else:
            problems.append(Problem(repr(key), f"must be text or a number (got {type(value).__name__})"))
    return texts


def _repeated(items: list[EvalItem]) -> list[Problem]:
    names = [item.name for item in items]
    twice = dict.fromkeys(name for name in names if names.count(name) > 1)
    return [Problem(f"item {name!r}", "is there twice; give each a name of its own") for name in twice]


def _uneven(items: list[EvalItem]) -> list[Problem]:
    """Items that have other images or texts than the first."""
    return [
        Problem(f"item {item.name!r}", "must have the same images and texts as the first item")
        for item in items[1:]
        if (set(item.inputs), set(item.texts)) != (set(items[0].inputs), set(items[0].texts))
    ]


def adapted(loaded: object, name: str) -> EvalSet:
    """What a loader gave, as an eval set.

    Args:
        loaded: An `EvalSet`, or the original's list of dicts.
        name: What the eval set is called where it does not say so itself.

    Raises:
        DatasetError: It is neither.
    """
    if isinstance(loaded, EvalSet):
        return loaded
    if isinstance(loaded, Iterable) and not isinstance(loaded, str | bytes | Mapping):
        return eval_set_of_dicts(name, loaded)
    rule = "load_dataset must return an EvalSet, or a list of dicts with pillow_images"
    raise DatasetError(f"{rule} (got {type(loaded).__name__})", f"eval set {name!r}")
