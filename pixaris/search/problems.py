"""Collecting what is wrong with a search, so that it is told at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from pixaris.exceptions import ConfigurationError, Problem

T = TypeVar("T")


def collect(problems: list[Problem], load: Callable[[], T], path: str = "") -> T | None:
    """Load something; what is wrong with it is added to the problems.

    Args:
        problems: What is wrong so far.
        load: Gives the thing, or raises `ConfigurationError`.
        path: Dotted path of the setting that it is made from.
    """
    try:
        return load()
    except ConfigurationError as error:
        for problem in error.problems:
            where = ", ".join(part for part in (error.source, problem.where) if part)
            problems.append(replace(problem, where=where, path=problem.path or path))
        return None
