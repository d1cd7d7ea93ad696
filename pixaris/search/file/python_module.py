"""A search space, or a whole search, as a Python module."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.search.file.yaml_file import Document, join

SPACE = "SPACE"
SEARCH = "SEARCH"


def read_space_module(path: Path) -> dict[str, object]:
    """The ``SPACE`` of a module, in the form that ``parameters`` has in a search file.

    Raises:
        ConfigurationError: There is no such file, it cannot be run, or its SPACE is none.
    """
    return _space(_load(path), path)


def read_search_module(path: Path) -> Document:
    """A module as a search file: its ``SEARCH`` has the file's other keys, its ``SPACE`` is the parameters.

    Raises:
        ConfigurationError: As `read_space_module`; or the module has no SEARCH, or it is no mapping of plain
            values.
    """
    module = _load(path)
    search = getattr(module, SEARCH, None)
    if not isinstance(search, Mapping):
        example = 'SEARCH = {"project": "demo", "dataset": "photos", ...}'
        if search is None:
            has = "has no SEARCH"
        else:
            has = f"has a SEARCH that is no mapping ({type(search).__name__})"
        message = (
            f"{has}; write {example} with the keys of a search file, or name the module in one: parameters:"
            f" {path.name}"
        )
        raise ConfigurationError(message, str(path))
    problems: list[Problem] = []
    value = _plain(search, SEARCH, problems)
    if problems:
        raise ConfigurationError(problems, str(path))
    if hasattr(module, SPACE):
        if "parameters" in value:
            raise ConfigurationError("has SPACE, and parameters in SEARCH; keep one of them", str(path))
        value["parameters"] = _space(module, path)
    return Document(value)


def _space(module: ModuleType, path: Path) -> dict[str, object]:
    # it needs Ray, which takes a second to import
    from pixaris.search.algorithms.tune_domains import (
        written_parameters,
    )

    if not hasattr(module, SPACE):
        names = [name for name in vars(module) if not name.startswith("_")]
        example = 'SPACE = {"cfg": ("KSampler", "cfg", tune.uniform(1, 12))}'
        raise ConfigurationError(f"has no SPACE{nearest(SPACE, names)}; write {example}", str(path))
    mapping, problems = written_parameters(module.SPACE, SPACE)
    if problems:
        raise ConfigurationError(problems, str(path))
    return mapping


def _load(path: Path) -> ModuleType:
    """Run the module, under a name of its own, so that it hides no other."""
    if not path.is_file():
        if path.parent.is_dir():
            siblings = [other.name for other in path.parent.glob("*.py")]
        else:
            siblings = []
        raise ConfigurationError(f"there is no such file{nearest(path.name, siblings)}", str(path))
    module = ModuleType(f"pixaris_space_{path.stem}")
    module.__file__ = str(path)
    try:
        loader = importlib.util.spec_from_file_location(module.__name__, path)
        if loader is None or loader.loader is None:
            raise ConfigurationError("is no Python module; its name must end in .py", str(path))
        loader.loader.exec_module(module)
    except ConfigurationError:
        raise
    except (Exception, SystemExit) as error:
        # the user's module runs here, and may end the program as well
        raise ConfigurationError(_failure(error, path), str(path)) from error
    return module


def _failure(error: BaseException, path: Path) -> Problem:
    """What went wrong, at the line of the module that it went wrong in."""
    if isinstance(error, SyntaxError):
        line = getattr(error, "lineno", None)
    else:
        line = None
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename) == path:
            line = frame.lineno
    if isinstance(error, SyntaxError):
        reason = error.msg
    else:
        reason = str(error)
    return Problem(
        f"line {line}" if line else "", f"cannot be run: {type(error).__name__}: {reason or 'without a word'}"
    )


def _plain(value: Any, path: str, problems: list[Problem]) -> Any:  # noqa: ANN401  (what a module holds)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, join(path, key), problems) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, join(path, index), problems) for index, inner in enumerate(value)]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    problems.append(
        Problem(path, f"must be text, a number, a boolean, a list or a mapping (got {type(value).__name__})")
    )
    return None
