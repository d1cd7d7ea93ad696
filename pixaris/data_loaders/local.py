"""Eval sets from folders on this machine."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pixaris.data_loaders.base import DatasetLoader, aligned
from pixaris.data_loaders.leftovers import is_system, is_used
from pixaris.exceptions import DatasetError, Problem, nearest
from pixaris.types import EvalItem, EvalSet

ITEM_LIST = "items.txt"
INPUT = "Input"
"""What photographs are that lie in the eval set's folder itself."""
_MOST_INSIDE = 10_000
"""Files in folders inside a folder are looked at up to so many: they are only told, not used."""
_MOST_NAMES = 12


class LocalDatasetLoader(DatasetLoader):
    """Loads ``<eval_dir_local>/<project>/<dataset>/<Folder>/<name>.png``.

    Every folder has one image per item; images belong together by name, whatever their suffix. A folder
    ``Input`` feeds the node titled "Load Input Image". EXIF orientation is applied. Hidden files and folders,
    and other files than images, are passed over, which ``EvalSet.passed_over`` tells; a file that is called
    an image and is none is an error.

    Photographs that lie in the eval set's folder itself are its ``Input``, alone or beside folders of masks
    or references of the same names; ``EvalSet.remarks`` tells it.

    An eval set without input images (text to image) has no folders but a file ``items.txt`` with one item
    name per line.

    Args:
        project: The project's name.
        dataset: The eval set's name.
        eval_dir_local: Folder of all eval sets.
        references: Folders that only metrics see.
    """

    def __init__(
        self,
        project: str,
        dataset: str,
        eval_dir_local: str | os.PathLike[str] = "local_experiment_inputs",
        references: Sequence[str] = (),
    ) -> None:
        self.project = project
        self.dataset = dataset
        self.path = Path(eval_dir_local) / project / dataset
        self.references = (references,) if isinstance(references, str) else tuple(references)

    @classmethod
    def at(cls, path: str | os.PathLike[str], references: Sequence[str] = ()) -> LocalDatasetLoader:
        """Load the eval set that lies at a path, whatever its parent folders are called.

        Args:
            path: The folder that holds the folders of images; its name is the eval set's.
            references: Folders that only metrics see.
        """
        # Made absolute, so that "." has a name and parents.
        where = Path(os.path.abspath(path))
        return cls(where.parent.name, where.name, where.parent.parent, references)

    def load_dataset(self) -> EvalSet:
        """Return the eval set.

        Raises:
            DatasetError: The folder is missing, or laid out otherwise, or as `aligned`.
        """
        if not self.path.is_dir():
            raise DatasetError(f"no such eval set{self._neighbours()}", str(self.path))
        try:
            entries = sorted(self.path.iterdir())
            folders = {name: dict(_files(self.path / name)) for name in folders_of(self.path)}
        except OSError as error:
            raise DatasetError(
                f"cannot be read: {error.strerror}: {error.filename}", str(self.path)
            ) from None
        beside = {entry.name: entry for entry in entries if entry.name not in folders}
        loose = {name: file for name, file in beside.items() if is_used(name)}
        if not folders and not loose:
            return self._without_images()
        # What lies there by accident must not become an input: only photographs that every other folder's
        # names belong to.
        if not loose or not _are_inputs(loose, folders):
            return aligned(self.dataset, folders, self.references, place=str(self.path), beside=list(beside))
        others = [name for name in beside if name not in loose]
        found = aligned(
            self.dataset, {INPUT: loose, **folders}, self.references, place=str(self.path), beside=others
        )
        remark = f"the {len(loose)} images in {self.path.name} itself are its folder {INPUT!r}"
        return replace(found, remarks=(remark,))

    def _without_images(self) -> EvalSet:
        listing = self.path / ITEM_LIST
        if listing.is_file() and not self.references:
            return EvalSet(self.dataset, _listed_items(listing))
        missing = " for the references" if self.references else f" and no {ITEM_LIST}"
        layout = f"{self.path.name}/{INPUT}/<name>.png, {self.path.name}/Mask/<name>.png, …"
        raise DatasetError(f"it has no folders of images{missing}: {layout}", str(self.path))

    def _neighbours(self) -> str:
        above = self.path.parent
        if self.path.is_file():
            return (
                ": this is a file; an eval set is a folder with a folder of images for each input:"
                " Input/<name>.png, …"
            )
        if above.is_dir():
            known = sorted(folder.name for folder in above.iterdir() if folder.is_dir())
            return f"{nearest(self.path.name, known)}; in {above} there are: {_listed(known)}"
        if above.parent.is_dir():
            known = sorted(folder.name for folder in above.parent.iterdir() if folder.is_dir())
            return f": there is no project {above.name!r}{nearest(above.name, known)} in {above.parent}"
        return f": there is no folder {above.parent} of eval sets"


def folders_of(path: Path) -> tuple[str, ...]:
    """Names of an eval set's folders of images, without those that are hidden or an operating system's own.

    Raises:
        OSError: The folder cannot be read.
    """
    return tuple(
        sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not is_system(entry.name))
    )


def is_flat(path: Path) -> bool:
    """Whether a folder's images lie in it directly, so that it is an eval set of one folder, ``Input``.

    Raises:
        OSError: The folder cannot be read.
    """
    return not folders_of(path) and any(is_used(entry.name) for entry in path.iterdir())


def _are_inputs(loose: Mapping[str, Path], folders: Mapping[str, Mapping[str, Path]]) -> bool:
    """Whether images beside the folders are the photographs that those belong to: every name has one."""
    if INPUT in folders:
        return False
    stems = {_stem(name) for name in loose}
    named = {_stem(name) for files in folders.values() for name in files if is_used(name)}
    return named <= stems


def _stem(name: str) -> str:
    # macOS writes "é" as two characters, other systems as one.
    return unicodedata.normalize("NFC", Path(name).stem)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """A folder's files by name, then those of the folders inside it, by their path from it."""
    entries = sorted(folder.iterdir())
    yield from ((entry.name, entry) for entry in entries if not entry.is_dir())
    folders = [entry for entry in entries if entry.is_dir()]
    for file in islice(_inside(folders), _MOST_INSIDE):
        yield file.relative_to(folder).as_posix(), file


def _inside(folders: Iterable[Path]) -> Iterator[Path]:
    """All files below some folders."""
    for folder in folders:
        for where, _, names in os.walk(folder):
            for name in sorted(names):
                yield Path(where, name)


def _listed_items(listing: Path) -> tuple[EvalItem, ...]:
    try:
        # With `sig`: Windows editors begin a text file with a byte order mark.
        lines = [line.strip() for line in listing.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot be read as UTF-8 text: {error}", str(listing)) from None
    names = [line for line in lines if line]
    problems = [
        Problem(f"item {name!r}", "is named twice") for name in dict.fromkeys(names) if names.count(name) > 1
    ]
    if not names:
        problems.append(Problem("", "names no items; write one item name per line"))
    if problems:
        raise DatasetError(problems, str(listing))
    return tuple(EvalItem(index, name) for index, name in enumerate(names))


def _listed(names: Sequence[str]) -> str:
    """Names for people, of many only the first."""
    shown = ", ".join(names[:_MOST_NAMES]) or "none"
    more = len(names) - _MOST_NAMES
    if more > 0:
        return f"{shown} and {more} more"
    return shown
