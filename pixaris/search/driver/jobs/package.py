"""What travels to the cluster with a search: the working folder, and the files that the search reads."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import source_from_cache
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.words import size

MOST_BYTES = 512 * 2**20
"""What Ray takes, as a zip file."""

_DEFAULT_EXCLUDES = (".git", ".venv", "venv", "__pycache__")
_IGNORE_FILES = (".gitignore", ".rayignore")


class FilesRead:
    """Notes every file below a folder that this process opens from now on.

    It is for commands: what Python has once begun to tell of opened files, it tells until it ends.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._paths: dict[str, None] = {}
        self._on = True
        sys.addaudithook(self._hear)

    def end(self) -> tuple[Path, ...]:
        """Stop noting; the files that are there, relative to the folder."""
        self._on = False
        found: dict[Path, None] = {}
        for text in self._paths:
            path = _source_of(Path(os.path.abspath(text)))
            inside = path.is_relative_to(self._folder) and path.is_file()
            if inside and not set(_DEFAULT_EXCLUDES) & set(path.parts):
                found[path.relative_to(self._folder)] = None
        return tuple(sorted(found))

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._on and event == "open" and isinstance(arguments[0], str | os.PathLike):
            self._paths[os.fspath(arguments[0])] = None


def _source_of(path: Path) -> Path:
    """The module of a compiled one; any other file is itself."""
    if path.suffix != ".pyc":
        return path
    with contextlib.suppress(ValueError):  # it lies elsewhere than Python puts it
        return Path(source_from_cache(str(path)))
    return path


@dataclass(frozen=True)
class Package:
    """What travels.

    Attributes:
        folder: The working folder.
        files: Relative path to bytes.
        rescued: Files among them that ignore files leave out, and that the search reads.
    """

    folder: Path
    files: Mapping[Path, int]
    rescued: tuple[Path, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes of all files, before they are zipped."""
        return sum(self.files.values())

    @contextlib.contextmanager
    def staged(self) -> Iterator[Path]:
        """A folder that has these files and no others, for as long as the block runs."""
        with tempfile.TemporaryDirectory(prefix="pixaris-submit-") as name:
            for file in self.files:
                target = Path(name) / file
                target.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(self.folder / file, target)
            yield Path(name)


def package_of(
    folder: Path, read: Sequence[Path], without: Sequence[Path] = (), most: int = MOST_BYTES
) -> Package:
    """Find what travels: what `ray job submit` takes, and what the search reads although it would not.

    Args:
        folder: The working folder.
        read: What the search reads, relative to it.
        without: Folders whose content stays here: where results are.
        most: Bytes that Ray takes.

    Raises:
        ConfigurationError: It is more than Ray takes.
    """
    folder = folder.resolve()
    stays = [path.resolve() for path in without]
    files: dict[Path, int] = {}

    def take(path: Path) -> None:
        outside = any(path.is_relative_to(one) for one in stays)
        if path.is_file() and path.name not in _IGNORE_FILES and not outside:
            files[path.relative_to(folder)] = path.stat().st_size

    _travel(folder, take, [folder / name for name in _DEFAULT_EXCLUDES])
    rescued = tuple(path for path in read if path not in files and path.name not in _IGNORE_FILES)
    for path in rescued:
        files[path] = (folder / path).stat().st_size
    package = Package(folder, files, rescued)
    if package.bytes > most:
        raise ConfigurationError(_too_large(package, most))
    return package


def _travel(folder: Path, take: Callable[[Path], None], excludes: Sequence[Path]) -> None:
    """Call for each file that Ray would send, by its own rules."""
    from ray._private.runtime_env.packaging import _dir_travel

    def excluded(path: Path) -> bool:
        return path in excludes or path.name == "__pycache__"

    _dir_travel(folder, [excluded], take, include_gitignore=True, logger=logging.getLogger(__name__))


def _too_large(package: Package, most: int) -> str:
    folders: dict[str, int] = {}
    for path, count in package.files.items():
        if len(path.parts) > 1:
            name = f"{path.parts[0]}/"
        else:
            name = path.name
        folders[name] = folders.get(name, 0) + count
    largest = sorted(folders, key=lambda name: -folders[name])[:3]
    named = ", ".join(f"{name} {size(folders[name])}" for name in largest)
    return (
        f"{package.folder} has {size(package.bytes)} to send, and Ray takes {size(most)} ({named});"
        " name what the search does not need in .rayignore, or put the eval set into a folder that all nodes"
        " have and name that (dataset: /…)"
    )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
