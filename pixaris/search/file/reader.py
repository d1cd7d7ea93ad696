"""Reading a file's values by kind, and remembering all that is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixaris.exceptions import Problem, nearest
from pixaris.files import safe_name
from pixaris.search.file.yaml_file import Document, join, line_of, scalar

_SHOWN = 80
_MOST_UNKNOWN = 10


@dataclass(frozen=True)
class ComponentSpec:
    """Something the composition root makes by name.

    Attributes:
        type: Its name, or ``module:Class``.
        options: Its arguments.
        where: Its dotted path in the file, for problems found when it is made.
    """

    type: str
    options: Mapping[str, object] = field(default_factory=dict)
    where: str = ""


class Reader:
    """Gives typed values of a document; a wrong one becomes a problem and a harmless value in its place.

    Args:
        document: What was read; its faults are the first problems, and a path that has a fault gets no second
            problem.
        trust: Whether code that the document names may be run.

    Attributes:
        trust: As given.
        unread: What was not looked into, because that would run code.
        fixed_at: Indices of the generation params that were read: others, which are wrong, are left out.
        unbound: Dotted path, node and input of parameters whose domain is wrong; node and input may be wrong
            too.
        lines: Dotted path to line, 0 for ``--set``.
    """

    def __init__(self, document: Document, *, trust: bool = True) -> None:
        self.trust = trust
        self.unread: list[str] = []
        self.fixed_at: list[int] = []
        self.unbound: list[tuple[str, tuple[str, str]]] = []
        self.lines = dict(document.lines)
        self._problems = list(document.faults)
        self._faulty = {path for path, _ in document.faults}

    @property
    def problems(self) -> list[Problem]:
        """All problems so far: those of the command line and of what is missing, then the file's in its
        order.
        """
        in_order = sorted(self._problems, key=lambda found: line_of(found[0], self.lines) or 0)
        return [Problem("", message, path) for path, message in in_order]

    def alias(self, path: str, stands_at: str) -> None:
        """Let a path that the file has in a shorter form have the line of that."""
        line = line_of(stands_at, self.lines)
        if line is not None:
            self.lines[path] = line

    def add_problem(self, path: str, message: str) -> None:
        """Remember a problem."""
        if path not in self._faulty:
            self._problems.append((path, message))

    def section(self, path: str, value: object, known: Collection[str]) -> dict[str, Any]:
        """A mapping without its unknown keys (each is a problem) and without those that have no value."""
        fields = self.mapping(path, value)
        unknown = [key for key in fields if key not in known]
        for key in unknown[:_MOST_UNKNOWN]:
            rule = f"{shown(key)} is no known key{nearest(key, known)}; known are {', '.join(known)}"
            self.add_problem(join(path, key), rule)
        if len(unknown) > _MOST_UNKNOWN:
            self.add_problem(path, f"has {len(unknown) - _MOST_UNKNOWN:,} more unknown keys")
        return {key: inner for key, inner in fields.items() if key in known and inner is not None}

    def mapping(self, path: str, value: object) -> dict[str, object]:
        """A mapping of any keys."""
        if isinstance(value, dict):
            return value
        self.add_problem(path, f"must be a mapping of keys and values (got {shown(value)})")
        return {}

    def required(self, path: str, fields: Mapping[str, object], key: str, hint: str) -> bool:
        """Whether a key is there; a problem that ends with the hint if not."""
        if key not in fields:
            self.add_problem(join(path, key), f"is missing; {hint}")
        return key in fields

    def has(self, fields: Mapping[str, object], key: str, example: str) -> bool:
        """Whether the file has a key; a problem with an example if not."""
        return self.required("", fields, key, f"write {example}")

    def folder_name(self, path: str, value: object) -> str:
        """Text that can name a folder as it stands, or ""."""
        text = self.text(path, value)
        if text and safe_name(text) != text:
            allowed = (
                "only letters, digits, spaces and _ . , + = ( ) [ ] - may be in it, no space or dot at its"
                " ends, at most 120 bytes"
            )
            self.add_problem(path, f"names a folder: {allowed} (got {shown(text)})")
        return text

    def items(self, path: str, value: object, hint: str) -> list[object]:
        """A list, or nothing."""
        if isinstance(value, list):
            return value
        self.add_problem(path, f"must be a list (got {shown(value)}); {hint}")
        return []

    def text(self, path: str, value: object) -> str:
        """Text that is not empty, or ""."""
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, bool | int | float):
            self.add_problem(
                path, f"must be text, but YAML reads {shown(value)}; put it in quotes if text is meant"
            )
        else:
            self.add_problem(path, f"must be text (got {shown(value)})")
        return ""

    def texts(self, path: str, value: object, hint: str) -> tuple[str, ...]:
        """A list of texts, each once."""
        found = []
        for index, inner in enumerate(self.items(path, value, hint)):
            where = join(path, index)
            text = self.text(where, inner)
            if text in found:
                self.add_problem(where, f"{shown(text)} is listed twice; keep one of them")
            elif text:
                found.append(text)
        return tuple(found)

    def number(self, path: str, value: object) -> float | None:
        """A finite number (``1e-3`` in quotes is one too), or None."""
        if isinstance(value, str):
            value, _ = scalar(value.strip())
        if isinstance(value, bool | str) or not isinstance(value, int | float):
            self.add_problem(path, f"must be a number (got {shown(value)})")
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self.add_problem(path, f"must be a finite number (got {value})")
            return None
        return value

    def whole(self, path: str, value: object, at_least: int = 0, at_most: int | None = None) -> int | None:
        """A whole number within limits, or None."""
        number = self.number(path, value)
        if number is None:
            return None
        if number != int(number):
            self.add_problem(path, f"must be a whole number (got {shown(value)})")
        elif number < at_least:
            self.add_problem(path, f"must be at least {at_least} (got {shown(value)})")
        elif at_most is not None and number > at_most:
            self.add_problem(path, f"must be at most {at_most} (got {shown(value)})")
        else:
            return int(number)
        return None

    def component(self, path: str, value: object) -> ComponentSpec:
        """A name, or a mapping with ``type`` and options."""
        if not isinstance(value, dict):
            return ComponentSpec(self.text(path, value), {}, path)
        options = {key: inner for key, inner in value.items() if key != "type"}
        given = self.required(path, value, "type", "give its name")
        if given:
            name = self.text(join(path, "type"), value["type"])
        else:
            name = ""
        return ComponentSpec(name, options, path)

    def above(self, path: str, value: object, limit: float) -> float | None:
        """A number above a limit, or None."""
        number = self.number(path, value)
        if number is not None and number <= limit:
            self.add_problem(path, f"must be above {limit:g} (got {shown(value)})")
            return None
        return number


def shown(value: object) -> str:
    """A value as a message quotes it: as YAML has it, cut short, never with the credentials of a URL."""
    text = _yaml(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN - 1]}…"


def masked(text: str) -> str:
    """Text without what stands before an ``@``: ``http://user:password@host`` becomes ``http://***@host``."""
    if "@" not in text:
        return text
    head, slashes, _ = text.partition("//")
    if slashes:
        return f"{head}//***@{text.rpartition('@')[2]}"
    return f"***@{text.rpartition('@')[2]}"


def _yaml(value: object) -> str:
    if isinstance(value, str):
        return repr(masked(value))
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_yaml(inner) for inner in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(inner)}' for key, inner in value.items())}}}"
    return str(value)


def located(reader: Reader, path: str, text: str, folder: Path) -> Path:
    """The file or folder that a value names.

    Args:
        reader: Knows where the value stands.
        path: The value's dotted path.
        text: What it names.
        folder: Where relative names in the file start; those of the command line start where the user is.
    """
    is_of_command_line = line_of(path, reader.lines) == 0
    if is_of_command_line:
        return Path(text)
    return folder / text
