"""Deleting searches and runs: what is named, and nothing outside of the results folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.files import storing
from pixaris.results import folders


@dataclass(frozen=True)
class Deletable:
    """A search or a run that may be deleted.

    Attributes:
        name: As it is listed.
        folder: Where it lies.
        size: Bytes of its files, those that other folders have too (under another name) among them.
        files: How many.
    """

    name: str
    folder: Path
    size: int
    files: int


def find(results: Path, names: Sequence[str]) -> list[Deletable]:
    """The searches and runs of these names, each once.

    Raises:
        ConfigurationError: There is none of a name, or one is running, or lies outside of the results folder;
            all of them at once.
    """
    known = {
        folder.relative_to(results).as_posix(): folder
        for folder in (*folders.searches(results), *folders.runs(results))
    }
    problems: list[Problem] = []
    found = []
    for name in dict.fromkeys(one.rstrip("/") for one in names):
        fault = _fault(results, known, name)
        if fault:
            problems.append(Problem(name, fault))
        else:
            found.append(_measured(name, known[name]))
    if problems:
        raise ConfigurationError(problems)
    return found


def _fault(results: Path, known: dict[str, Path], name: str) -> str:
    if name not in known:
        return f"is no search and no run in {results}{nearest(name, known)}; pixaris runs lists them"
    folder = known[name]
    if not folder.resolve().is_relative_to(results.resolve()):
        return f"lies outside of {results}, at {folder.resolve()}; delete it there"
    if folders.held(folder):
        return "is still running; stop it first"
    return ""


def _measured(name: str, folder: Path) -> Deletable:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return Deletable(name, folder, sum(path.stat().st_size for path in files), len(files))


def delete(one: Deletable) -> None:
    """Delete it. Links in it are deleted, and not what they lead to.

    Raises:
        StorageError: It cannot be deleted.
    """
    with storing(one.folder):
        shutil.rmtree(one.folder)
