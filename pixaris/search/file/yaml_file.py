"""Strict YAML: one document of plain mappings, lists and values, with the line of every key.

PyYAML's parser (its events) is used, its constructor is not: aliases and tags are refused, nothing recurses,
a key is always text, ``1e-3`` is a number (to YAML 1.1 it is text), and a word that means different things to
YAML 1.1 and 1.2 (``no``, ``012``, ``1:30``) is reported instead of guessed at. A date stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pixaris.exceptions import ConfigurationError, Problem, nearest

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_MOST_REFERENCES = 20
"""Anchors and aliases that are told one by one; a file with more is refused at once."""

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEAN = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,99})")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,32}")
_FLOAT = re.compile(r"[-+]?(([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)")
_NOT_FINITE = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}
_UNUSABLE = re.compile(r"[\0\ud800-\udfff]")
_YAML_1_1 = yaml.resolver.Resolver()
_AMBIGUOUS_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))


@dataclass(frozen=True)
class Document:
    """What a file says, and where.

    Attributes:
        value: Mappings, lists, text, numbers, booleans and None.
        lines: Dotted path (``parameters.radius.randint``, ``metrics.0``) to its line, from 1; 0 for
            ``--set``.
        faults: Dotted path and message of what could be read in two ways.
    """

    value: Any
    lines: Mapping[str, int] = field(default_factory=dict)
    faults: tuple[tuple[str, str], ...] = ()


def read_yaml(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigurationError: There is no such file, it is too large, not UTF-8, empty, or not the YAML
            described above.
    """
    source = str(path)
    try:
        if path.is_dir():
            raise ConfigurationError("is a folder; name a YAML file", source)
        if not path.is_file():
            if path.parent.is_dir():
                siblings = [other.name for other in path.parent.glob("*.y*ml")]
            else:
                siblings = []
            raise ConfigurationError(f"there is no such file{nearest(path.name, siblings)}", source)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = str(error)
        raise ConfigurationError(f"cannot be read: {reason}", source) from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(
            f"is larger than {MAX_BYTES:,} bytes, too large for a file that a person wrote", source
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            Problem(f"line {line}", "is not UTF-8 text; save the file as UTF-8"), source
        ) from None
    return parse_yaml(text, source)


def parse_yaml(text: str, source: str = "") -> Document:
    """Read YAML text.

    Args:
        text: The text.
        source: What errors call it.

    Raises:
        ConfigurationError: It is empty or not the YAML described above; the text has line and column.
    """
    try:
        builder = _built(text)
    except yaml.MarkedYAMLError as error:
        said = " ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        if mark:
            where = _at(mark.line, mark.column)
        else:
            where = ""
        raise ConfigurationError(Problem(where, f"is not valid YAML: {said}"), source) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"has the character U+{ord(text[error.position]):04X}, which no YAML file may have"
        raise ConfigurationError(Problem(f"line {line}", message), source) from None
    except _RefusedError as error:
        raise ConfigurationError(Problem(error.where, error.message), source) from None
    if not builder.root or builder.root[0] is None:
        raise ConfigurationError("is empty", source)
    return Document(builder.root[0], builder.lines, tuple(builder.faults))


def _built(text: str) -> _Builder:
    """What the text holds, by libyaml where PyYAML has it; by PyYAML's own parser, a tenth as fast, for its
    better errors.
    """
    fast = getattr(yaml, "CSafeLoader", None)
    if fast is not None:
        try:
            return _Builder.of(yaml.parse(text, Loader=fast))
        except (yaml.YAMLError, UnicodeError):
            pass
    return _Builder.of(yaml.parse(text, Loader=yaml.SafeLoader))


def join(path: str, key: object) -> str:
    """The dotted path of a key below a path."""
    if path:
        return f"{path}.{key}"
    return str(key)


def place(path: str, lines: Mapping[str, int]) -> str:
    """How a problem names a path: with its line, or its nearest parent's, or that it stands on the command
    line.
    """
    parent = _known_parent(path, lines)
    if parent is None:
        return path
    if lines[parent]:
        return f"{path} (line {lines[parent]})"
    return f"{path} (--set {parent})"


def line_of(path: str, lines: Mapping[str, int]) -> int | None:
    """The line of a path or its nearest parent: 0 for ``--set``, None for what stands nowhere."""
    parent = _known_parent(path, lines)
    if parent is None:
        return None
    return lines[parent]


def _known_parent(path: str, lines: Mapping[str, int]) -> str | None:
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return path or None


class _RefusedError(Exception):
    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where
        self.message = message


def _at(line: int, column: int) -> str:
    return f"line {line + 1}, column {column + 1}"


@dataclass
class _Open:
    """A mapping or list whose end has not come yet; `key` is the mapping's key that awaits its value."""

    container: dict[str, object] | list[object]
    path: str
    key: str | None = None
    again: bool = False
    seen: dict[str, int] = field(default_factory=dict)


class _Builder:
    """Makes values of events, with a stack of its own so that depth is ours to limit."""

    def __init__(self) -> None:
        self.root: list[object] = []
        self.lines: dict[str, int] = {}
        self.faults: list[tuple[str, str]] = []
        self._stack: list[_Open] = []
        self._documents = 0
        self._references = 0

    @classmethod
    def of(cls, events: Iterable[yaml.Event]) -> _Builder:
        builder = cls()
        for event in events:
            builder._take(event)
        return builder

    def _take(self, event: yaml.Event) -> None:
        assert event.start_mark is not None
        line = event.start_mark.line + 1
        where = _at(event.start_mark.line, event.start_mark.column)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _RefusedError(where, "starts a second document (---); a file has one")
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event, where, line)
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, where, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._stack.pop()

    def _node(self, event: yaml.NodeEvent, where: str, line: int) -> None:
        if (tag := getattr(event, "tag", None)) is not None:
            raise _RefusedError(where, f"has the tag {tag}; tags are not allowed, write a plain value")
        # made by an escape: "\0"
        if isinstance(event, yaml.ScalarEvent) and (found := _UNUSABLE.search(event.value)):
            raise _RefusedError(
                where,
                f"holds the character U+{ord(found[0]):04X}, which neither a file name nor a server takes",
            )
        if self._stack:
            parent = self._stack[-1]
        else:
            parent = None
        if parent is not None and isinstance(parent.container, dict) and parent.key is None:
            self._key(parent, event, where, line)
            return
        path = self._path(parent)
        if path:
            self.lines.setdefault(path, line)
        if event.anchor is not None:
            self._reference(
                path, f"has the anchor &{event.anchor}; anchors are not allowed, write the value out", where
            )
        if isinstance(event, yaml.ScalarEvent):
            value, fault = scalar(event.value, plain=event.implicit[0])
            if fault:
                self.faults.append((path, fault))
            self._add(parent, value)
            return
        if len(self._stack) >= MAX_DEPTH:
            raise _RefusedError(where, f"is nested deeper than {MAX_DEPTH} levels")
        container: dict[str, object] | list[object] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._add(parent, container)
        self._stack.append(_Open(container, path))

    def _alias(self, event: yaml.AliasEvent, where: str, line: int) -> None:
        """An alias has no value here; what else is wrong with the file is told with it."""
        message = f"uses the alias *{event.anchor}; aliases are not allowed, write the value out"
        if self._stack:
            parent = self._stack[-1]
        else:
            parent = None
        if parent is None or (isinstance(parent.container, dict) and parent.key is None):
            raise _RefusedError(where, message)
        path = self._path(parent)
        self.lines.setdefault(path, line)
        self._reference(path, message, where)
        self._add(parent, None)

    def _reference(self, path: str, message: str, where: str) -> None:
        self._references += 1
        if not path or self._references > _MOST_REFERENCES:
            raise _RefusedError(where, message)
        self.faults.append((path, message))

    def _key(self, parent: _Open, event: yaml.NodeEvent, where: str, line: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _RefusedError(
                where,
                "has a key that is a list or a mapping; a key is a word (text with { or [ needs quotes)",
            )
        key = str(event.value)
        parent.key, parent.again = key, key in parent.seen
        if parent.again:
            fault = f"key {key!r} is written twice (lines {parent.seen[key]} and {line}); keep one of them"
            self.faults.append((join(parent.path, key), fault))
        parent.seen.setdefault(key, line)
        self.lines.setdefault(join(parent.path, key), line)

    def _path(self, parent: _Open | None) -> str:
        if parent is None:
            return ""
        return join(parent.path, parent.key if isinstance(parent.container, dict) else len(parent.container))

    def _add(self, parent: _Open | None, value: object) -> None:
        if parent is None:
            self.root.append(value)
        elif isinstance(parent.container, list):
            parent.container.append(value)
        else:
            assert parent.key is not None
            if not parent.again:  # of a key written twice, the first counts
                parent.container[parent.key] = value
            parent.key = None


def scalar(text: str, *, plain: bool = True) -> tuple[Any, str]:
    """The value of a word (`plain`: written without quotes), and what is wrong with it or ""."""
    if not plain:
        return text, ""
    if text in _NULL:
        return None, ""
    if text in _BOOLEAN:
        return _BOOLEAN[text], ""
    if _INTEGER.fullmatch(text):
        return int(text), ""
    if _HEXADECIMAL.fullmatch(text):
        return int(text, 16), ""
    if _FLOAT.fullmatch(text):
        return float(text), ""
    if text.lower() in _NOT_FINITE:
        return float(_NOT_FINITE[text.lower()]), ""
    if len(text) <= 100 and _tag_in_yaml_1_1(text) in _AMBIGUOUS_TAGS:
        return text, _ambiguous(text)
    return text, ""


def _tag_in_yaml_1_1(text: str) -> str:
    return str(_YAML_1_1.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]  # stubs have no types


def _ambiguous(text: str) -> str:
    try:
        value = yaml.safe_load(text)
    except (ValueError, OverflowError, yaml.YAMLError):
        return f'`{text}` is no number; put it in quotes if text is meant: "{text}"'
    if isinstance(value, bool):
        read = str(value).lower()
    else:
        read = repr(value)
    return (
        f'`{text}` is ambiguous: YAML reads it as {read}; write {read}, or "{text}" in quotes if text is'
        " meant"
    )
