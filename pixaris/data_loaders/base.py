"""The seam for eval sets, and what every loader shares: aligning names across folders and decoding safely."""

from __future__ import annotations

import os
import re
import unicodedata
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from pixaris.data_loaders.leftovers import is_placeholder, is_used, passed_over
from pixaris.data_loaders.originals import adapted
from pixaris.exceptions import ConfigurationError, DatasetError, ImageError, Problem, nearest
from pixaris.images import SUFFIXES, EncodedImage
from pixaris.types import EvalItem, EvalSet

Source: TypeAlias = Path | bytes
"""An image file, or its bytes."""

SHOWN = 10
"""How many names an error message lists before it says how many more there are."""


class DatasetLoader(ABC):
    """Loads an eval set.

    Implement `load_dataset`. It is called once per run or search, in the process that starts it; the loaded
    set travels to the trials. Use `aligned` to make the set from folders of images: it matches names, sorts
    them naturally and refuses what does not fit. A list of dicts with ``pillow_images``, as the original's
    loaders gave it, does too (`pixaris.data_loaders.originals`).
    """

    @abstractmethod
    def load_dataset(self) -> EvalSet:
        """Return the eval set, with every image decoded once.

        Raises:
            DatasetError: It is missing, empty, or its names do not match; all faults are told at once.
        """

    def changed(self) -> str:
        """What became of the eval set since it was loaded, in a sentence; "" where it is the same, or nobody
        can tell. A search asks when it has ended.
        """
        return ""


def load(loader: object, name: str = "") -> EvalSet:
    """Load an eval set with whatever loader there is.

    Args:
        loader: A `DatasetLoader`, or a class of the original's kind.
        name: What the eval set is called where the loader does not say so.

    Raises:
        DatasetError: It cannot be loaded, whatever the loader raises, or is none.
    """
    kind = type(loader).__name__
    called = str(getattr(loader, "dataset", "") or name or kind)
    method = getattr(loader, "load_dataset", None)
    if not callable(method):
        raise DatasetError(
            f"{kind} has no load_dataset(); inherit from pixaris.data_loaders.base.DatasetLoader"
        )
    try:
        loaded = method()
    except ConfigurationError:
        raise
    except Exception as error:
        # the loader may be a user's own class
        raise DatasetError(f"{kind}.load_dataset raised {type(error).__name__}: {error}") from error
    return adapted(loaded, called)


def changed(loader: object) -> str:
    """What became of an eval set since it was loaded, with whatever loader there is: see
    `DatasetLoader.changed`.
    """
    if isinstance(loader, DatasetLoader):
        return loader.changed()
    return ""


def aligned(
    name: str,
    folders: Mapping[str, Mapping[str, Source]],
    references: Collection[str] = (),
    *,
    place: str = "",
    beside: Sequence[str] = (),
) -> EvalSet:
    """Make an eval set of folders of images.

    Images belong together by their names without suffix. What is no image is passed over, and so are hidden
    files, images in folders inside folders, and a placeholder that was forgotten; the eval set says so. Items
    are in natural order: ``img2`` before ``img10``. Images are decoded in threads.

    Args:
        name: The dataset's name.
        folders: Folder name to its files: file name (``night/a.png`` of one in a folder inside it) to the
            file's bytes, wherever they are.
        references: The folders that only metrics see; the others feed the workflow.
        place: What the eval set is called in errors, e.g. its path; by default its name.
        beside: Names of what lies beside the folders.

    Raises:
        DatasetError: A reference folder does not exist; a folder has no images, or several of one name, or
            lacks names that others have; an image cannot be decoded. All of these are told at once.
    """
    if isinstance(references, str):
        references = (references,)
    else:
        references = tuple(references)
    problems = list(_unknown_references(references, folders))
    images: dict[str, dict[str, tuple[str, Source]]] = {}
    for folder, files in folders.items():
        images[folder], found = _by_stem(folder, files)
        problems += [Problem(f"folder {folder!r}", message) for message in found]
    # Before names are compared: a forgotten placeholder would be a name that no other folder has.
    forgotten = _take_out_placeholders(images)
    names = sorted({stem for stems in images.values() for stem in stems}, key=natural)
    problems += _lacking(images, names)
    decoded, unreadable = _decoded(images)
    problems += unreadable
    if not folders:
        problems.append(Problem("", "no folders of images"))
    if problems:
        raise DatasetError(problems, place or f"eval set {name!r}")

    def item(index: int, stem: str) -> EvalItem:
        inputs = {folder: decoded[folder, stem] for folder in images if folder not in references}
        compared = {folder: decoded[folder, stem] for folder in images if folder in references}
        return EvalItem(index, stem, inputs=inputs, references=compared)

    items = tuple(item(index, stem) for index, stem in enumerate(names))
    return EvalSet(name, items, passed_over(folders, beside, forgotten))


def _unknown_references(references: Collection[str], folders: Collection[str]) -> Iterator[Problem]:
    for folder in references:
        if folder not in folders:
            rule = f"no such folder{nearest(folder, folders)}; there are {_listed(sorted(folders))}"
            yield Problem(f"references: {folder!r}", rule)


def _lacking(images: Mapping[str, Collection[str]], names: Sequence[str]) -> Iterator[Problem]:
    """The folders that lack names which others have; one without any image has been told of already."""
    for folder, stems in images.items():
        missing = [stem for stem in names if stem not in stems]
        if stems and missing:
            rule = f"has no image for {len(missing)} of {len(names)} names: {_listed(missing)}"
            yield Problem(f"folder {folder!r}", rule)


def natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """Sort key that reads digits as numbers and ignores case.

    >>> sorted(["img10", "IMG2", "img1"], key=natural)
    ['img1', 'IMG2', 'img10']
    """
    parts = re.split(r"(\d+)", name.casefold())
    return [_natural_part(part) for part in parts if part], name


def _natural_part(part: str) -> tuple[bool, int, str]:
    """Digits stand before letters; of equal numbers the one with fewer zeros in front comes last."""
    if part.isdecimal():
        return False, int(part), part
    return True, 0, part


def _by_stem(folder: str, files: Mapping[str, Source]) -> tuple[dict[str, tuple[str, Source]], list[str]]:
    """Group a folder's image files by stem; return stem to file name and source, and what is wrong with the
    folder.
    """
    grouped: dict[str, list[str]] = defaultdict(list)
    for file in files:
        if is_used(file):
            # macOS decomposes accents in file names and others do not: one spelling, or equal names would
            # differ.
            grouped[unicodedata.normalize("NFC", PurePosixPath(file).stem)].append(file)
    faults = []
    if not grouped:
        there = "".join(f"; {sentence}" for sentence in passed_over({folder: files}))
        faults.append(f"holds no images ({', '.join(SUFFIXES)}){there}")
    twice = [" and ".join(sorted(same)) for _, same in sorted(grouped.items(), key=_by_name) if len(same) > 1]
    if twice:
        faults.append(f"has several images of one name: {_listed(twice)}; keep one of each")
    return {stem: (same[0], files[same[0]]) for stem, same in grouped.items()}, faults


def _take_out_placeholders(images: Mapping[str, dict[str, tuple[str, Source]]]) -> list[str]:
    """Take the pictures out that stood in for an eval set, where other images have come to it."""
    stems = {stem for found in images.values() for stem in found}
    forgotten = []
    for folder, found in images.items():
        for stem, (file, source) in list(found.items()):
            if len(stems) > 1 and is_placeholder(stem, source):
                del found[stem]
                forgotten.append(f"{folder}/{file}")
    return forgotten


def _by_name(named: tuple[str, object]) -> tuple[list[tuple[bool, int, str]], str]:
    return natural(named[0])


def _decoded(
    images: Mapping[str, Mapping[str, tuple[str, Source]]],
) -> tuple[dict[tuple[str, str], EncodedImage], list[Problem]]:
    """Decode all images, in threads because decoding releases the interpreter lock."""
    tasks = [(folder, stem, *named) for folder, stems in images.items() for stem, named in stems.items()]

    def work(task: tuple[str, str, str, Source]) -> EncodedImage | Problem:
        folder, _, file, source = task
        try:
            if isinstance(source, Path):
                return EncodedImage.from_file(source)
            return EncodedImage.from_bytes(source, f"{folder}/{file}")
        except ImageError as error:
            return Problem("", str(error))

    with ThreadPoolExecutor(min(32, (os.cpu_count() or 1) + 2)) as pool:
        results = list(pool.map(work, tasks))
    decoded: dict[tuple[str, str], EncodedImage] = {}
    unreadable: list[Problem] = []
    for (folder, stem, *_), result in zip(tasks, results, strict=True):
        if isinstance(result, Problem):
            unreadable.append(result)
        else:
            decoded[folder, stem] = result
    return decoded, unreadable


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN])
    if len(names) > SHOWN:
        return f"{shown} and {len(names) - SHOWN} more"
    return shown or "none"
