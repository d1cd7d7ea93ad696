"""A call that travels to the cluster: pickled here, read there, between alike versions only."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path

from ray import cloudpickle

from pixaris import __version__
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.driver.travel import WAY_OUT, why_not

SUBMITTED_WITH = "PIXARIS_SUBMITTED_WITH"
"""The variable of a job's environment that says with what it was submitted."""


def own_versions() -> str:
    """The versions here, as a job is told them."""
    return f"Pixaris {__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"


def other_versions() -> str:
    """The versions that this job was submitted with, where they are others; "" where they are not, or nobody
    has told.
    """
    told = os.environ.get(SUBMITTED_WITH, "")
    if told == own_versions():
        return ""
    return told


def write_call(path: Path, parts: Mapping[str, object]) -> None:
    """Write what a call is made with. What `__main__` has is written with its code.

    Args:
        path: The file.
        parts: Its arguments by name.

    Raises:
        ConfigurationError: Some cannot be sent; all of them are told.
    """
    problems = []
    for name, part in parts.items():
        if reason := why_not(part):
            rule = f"{type(part).__name__} cannot be sent to the cluster: {reason}; {WAY_OUT}"
            problems.append(Problem("", rule, name))
    if problems:
        raise ConfigurationError(problems)
    path.write_bytes(cloudpickle.dumps(dict(parts)))


def read_call(path: Path) -> dict[str, object]:
    """Read what `write_call` has written. It runs code of whoever wrote it.

    Raises:
        ConfigurationError: It was written with other versions, or names a module that is not here.
    """
    if told := other_versions():
        raise ConfigurationError(
            f"the run was sent with {told}, and this node has {own_versions()}; use the same on both, for the"
            " one does not read what the other writes"
        )
    try:
        parts: dict[str, object] = pickle.loads(path.read_bytes())
        return parts
    except ImportError as error:
        raise ConfigurationError(
            f"the node lacks a module that the run needs ({error}); name the folder that has it"
            " (working_dir=…), or install its package on the cluster's nodes"
        ) from None
