"""The folders ``input``, ``output`` and ``temp``: names inside them, uploads, numbering of saved images.

Every name that comes from outside is resolved inside its folder and refused when it leads out of it. (ComfyUI
accepts absolute paths and ``..`` in LoadImage; this server does not.)
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import random
import re
import shutil
import string
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pixaris import files

FolderType = Literal["input", "output", "temp"]
FOLDER_TYPES: tuple[FolderType, ...] = ("input", "output", "temp")

_ANNOTATION = re.compile(r"^(.*?) ?\[(input|output|temp)\]$", re.DOTALL)


class OutsideFolderError(ValueError):
    """A name leads out of its folder."""


class Folders:
    """The three folders of one server.

    Args:
        base: Where they are, or go; ``temp`` in it is emptied. None makes a private temporary folder, which
            `close` removes. Servers do not share one.
        keep_outputs: How many saved images to keep, the newest; None keeps all, as ComfyUI does. It counts
            what this process saved, in ``output`` and ``temp`` together.
    """

    def __init__(self, base: Path | None = None, keep_outputs: int | None = None) -> None:
        self._private = base is None
        if base is None:
            self.base = Path(tempfile.mkdtemp(prefix="pixaris-comfyui-"))
        else:
            self.base = base.absolute()
        self._saved: deque[Path] = deque()
        self._keep_outputs = keep_outputs
        # Names of previews differ between servers that share a folder.
        self.preview_prefix = "ComfyUI_temp_" + "".join(random.choices(string.ascii_lowercase, k=5))
        shutil.rmtree(self.base / "temp", ignore_errors=True)
        for kind in FOLDER_TYPES:
            self.directory(kind).mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Empty ``temp``; remove everything if the folder was private."""
        shutil.rmtree(self.base if self._private else self.base / "temp", ignore_errors=True)

    def directory(self, kind: FolderType) -> Path:
        """Return the folder of one type."""
        return self.base / kind

    def inside(self, kind: FolderType, name: str) -> Path:
        """Return the path that ``name`` means in a folder, whether or not it exists.

        Raises:
            OutsideFolderError: It leads out of the folder.
        """
        directory = self.directory(kind)
        if "\0" not in name:
            path = Path(os.path.abspath(directory / name))
        else:
            path = None
        if path is None or not path.is_relative_to(directory):
            raise OutsideFolderError(f"{name!r} leads out of the folder {kind!r}")
        return path

    def annotated(self, name: str, default: FolderType | None) -> tuple[str, FolderType | None]:
        """Split ``photo.png [output]`` into the name and the folder type."""
        match = _ANNOTATION.match(name)
        if not match:
            return name, default
        kind: FolderType = {"input": "input", "output": "output"}.get(match[2], "temp")  # type: ignore[assignment]
        return match[1], kind

    def source(self, name: str) -> Path:
        """Return the path of an image that LoadImage names.

        Raises:
            OutsideFolderError: It leads out of its folder.
        """
        plain, kind = self.annotated(name, "input")
        return self.inside(kind or "input", plain)

    def input_names(self) -> list[str]:
        """List the image files at the top level of ``input``, sorted: the options of LoadImage."""
        files_there = (entry.name for entry in os.scandir(self.directory("input")) if entry.is_file())
        return sorted(
            name for name in files_there if (mimetypes.guess_type(name)[0] or "").startswith("image/")
        )

    def store_upload(
        self, data: bytes, name: str, subfolder: str, kind: FolderType, *, overwrite: bool
    ) -> str:
        """Store an uploaded file and return the name it got.

        Without ``overwrite``, a name that is taken by other bytes becomes ``name (1).png``, ``name (2).png``,
        …; the first such file with equal bytes is used as it is.

        Raises:
            OutsideFolderError: The name or the subfolder leads out of the folder.
            OSError: The name has a directory part that does not exist.
        """
        folder = self.inside(kind, os.path.normpath(subfolder))
        path = self.inside(kind, str(folder / name))
        folder.mkdir(parents=True, exist_ok=True)
        if not overwrite:
            for candidate in _numbered(name):
                path = self.inside(kind, str(folder / candidate))
                if not path.exists():
                    name = candidate
                    break
                if _same_bytes(path, data):
                    return candidate
        if not path.parent.is_dir():
            raise FileNotFoundError(path)
        files.write_bytes(path, data)
        return name

    def save_places(
        self, prefix: str, kind: FolderType, width: int, height: int
    ) -> Iterator[tuple[Path, str, str]]:
        """Yield path, file name and subfolder for the images of one batch, numbered on from the highest there
        is.

        Args:
            prefix: ``filename_prefix`` with its ``%…%`` tokens.
            kind: Where to save.
            width: For the token ``%width%``.
            height: For the token ``%height%``.

        Raises:
            OutsideFolderError: The prefix leads out of the folder.
        """
        prefix = os.path.normpath(_fill_tokens(prefix, width, height))
        subfolder, stem = os.path.split(prefix)
        try:
            folder = self.inside(kind, subfolder)
        except OutsideFolderError:
            raise OutsideFolderError("Saving image outside the output folder is not allowed.") from None
        folder.mkdir(parents=True, exist_ok=True)
        numbers = re.compile(re.escape(stem) + r"_(\d+)(_|$)")
        found = (numbers.match(entry.name) for entry in os.scandir(folder))
        counter = max((int(match[1]) for match in found if match), default=0)
        batch = 0
        while True:
            counter += 1
            name = f"{stem.replace('%batch_num%', str(batch))}_{counter:05}_.png"
            yield folder / name, name, subfolder
            batch += 1

    def save(self, path: Path, data: bytes) -> None:
        """Write a saved image, and remove the oldest ones beyond ``keep_outputs``."""
        files.write_bytes(path, data)
        self._saved.append(path)
        while self._keep_outputs is not None and len(self._saved) > self._keep_outputs:
            self._saved.popleft().unlink(missing_ok=True)


def _numbered(name: str) -> Iterator[str]:
    yield name
    stem, suffix = os.path.splitext(name)
    number = 0
    while True:
        number += 1
        yield f"{stem} ({number}){suffix}"


def _same_bytes(path: Path, data: bytes) -> bool:
    if path.is_dir() or path.stat().st_size != len(data):
        return False
    return hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(data).digest()


def _fill_tokens(prefix: str, width: int, height: int) -> str:
    if "%" not in prefix:
        return prefix
    now = time.localtime()
    tokens = {
        "width": str(width),
        "height": str(height),
        "year": str(now.tm_year),
        "month": f"{now.tm_mon:02}",
        "day": f"{now.tm_mday:02}",
        "hour": f"{now.tm_hour:02}",
        "minute": f"{now.tm_min:02}",
        "second": f"{now.tm_sec:02}",
    }
    for token, value in tokens.items():
        prefix = prefix.replace(f"%{token}%", value)
    return prefix
