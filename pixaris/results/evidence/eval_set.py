"""``eval_set/``: pictures of a search's inputs and references, kept beside what was made of them.

Whoever looks at results needs what they are compared with, and the eval set may lie elsewhere, be changed or
be gone by then. The pictures are previews of at most 768 pixels; metrics never see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from pixaris.files import read_json, safe_name, write_bytes, write_json
from pixaris.preview import preview
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import SearchPaths
from pixaris.types import EvalSet

Role: TypeAlias = Literal["input", "reference"]
_INDEX = "eval_set.json"


@dataclass(frozen=True)
class Picture:
    """An input or reference of an item, to be looked at.

    Attributes:
        file: Its path in the folder ``eval_set/``.
        digest: Of the pixels of the image that it shows.
    """

    file: str
    digest: str


@dataclass(frozen=True)
class PicturedItem:
    """An item of the eval set.

    Attributes:
        name: The item's name.
        pictures: Folder name to picture.
        texts: Column name to text, of an eval set of prompts.
    """

    name: str
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """The text that it is known by: its prompt, or else its first; "" of an item without texts."""
        return self.texts.get("prompt") or next(iter(self.texts.values()), "")


@dataclass(frozen=True)
class PicturedSet:
    """An eval set as a search's folder shows it.

    Attributes:
        name: The dataset's name.
        folders: Folder name to its role, inputs first.
        items: In the eval set's order.
    """

    name: str = ""
    folders: Mapping[str, Role] = field(default_factory=dict)
    items: tuple[PicturedItem, ...] = ()

    def file(self, paths: SearchPaths, picture: Picture) -> Path | None:
        """Where a picture lies; None if its path leads out of the search's folder."""
        path = (paths.eval_set / picture.file).resolve()
        if path.is_relative_to(paths.eval_set.resolve()):
            return path
        return None


def write_pictures(paths: SearchPaths, eval_set: EvalSet) -> None:
    """Keep pictures of an eval set; those that a resumed search has are not written again.

    Args:
        paths: The search's.
        eval_set: Its eval set.

    Raises:
        OSError: They cannot be written.
    """
    known = {
        picture.digest: picture.file
        for item in read_pictures(paths).items
        for picture in item.pictures.values()
        if (paths.eval_set / picture.file).is_file()
    }
    for folder in (*eval_set.input_folders, *eval_set.reference_folders):
        _make(paths.eval_set, safe_name(folder))
    items = []
    for item in eval_set.items:
        pictures = {}
        for folder, image in {**item.inputs, **item.references}.items():
            # By content: the same picture may be the input of many items.
            if image.digest not in known:
                data = preview(image)
                if data.startswith(b"\x89PNG"):
                    suffix = "png"
                else:
                    suffix = "jpg"
                file = f"{safe_name(folder)}/{safe_name(item.name)}.{suffix}"
                write_bytes(paths.eval_set / file, data, make_folder=False)
                known[image.digest] = file
            pictures[folder] = Picture(known[image.digest], image.digest)
        items.append(PicturedItem(item.name, pictures, dict(item.texts)))
    roles: dict[str, Role] = dict.fromkeys(eval_set.input_folders, "input")
    roles |= dict.fromkeys(eval_set.reference_folders, "reference")
    index = asdict(PicturedSet(eval_set.name, roles, tuple(items)))
    paths.eval_set.mkdir(exist_ok=True)
    # Last, so that a file that it names is there.
    write_json(paths.eval_set / _INDEX, index, make_folder=False)


def _make(home: Path, name: str) -> None:
    """Make the folder of a folder of the eval set; that of the search must be there: it may have been moved
    away, and is not made anew.
    """
    home.mkdir(exist_ok=True)
    (home / name).mkdir(exist_ok=True)


def read_pictures(paths: SearchPaths) -> PicturedSet:
    """The pictures that a search's folder has; empty if it has none."""
    try:
        return read_as(PicturedSet, read_json(paths.eval_set / _INDEX))
    except ForeignError:
        return PicturedSet()
