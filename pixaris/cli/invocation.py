"""How this program, and TensorBoard beside it, can be called from where the user is: lines to be pasted."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def program(name: str = "pixaris") -> str:
    """A program as it can be called here: by name, or beside this Python."""
    beside = Path(sys.executable).parent / name
    if shutil.which(name) or not beside.is_file():
        return name
    return shlex.quote(os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside))


def command(*words: str | os.PathLike[str]) -> str:
    """A command of this program, quoted for a shell."""
    return " ".join([program(), *(shlex.quote(os.fspath(word)) for word in words)])


def shown(path: Path) -> Path:
    """A path as short as it can be written here."""
    try:
        return path.resolve().relative_to(Path.cwd())
    except ValueError:
        return path
