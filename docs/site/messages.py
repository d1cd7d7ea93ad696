"""The texts of errors, collected from the code, so that the page of troubles lacks none.

A text's changing parts stand in ``‹…›``. A text is found where the error is made, or where the same function
puts it together; what comes from further away, such as a server's words, is no text of ours.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from pixaris import exceptions
from pixaris.exceptions import ConfigurationError, PixarisError

PACKAGE = Path(exceptions.__file__).parent
READERS = {"add_problem": 1, "Problem": 1}
"""Calls that take the message of a `ConfigurationError`, and at which place."""


def errors() -> dict[str, type[PixarisError]]:
    """Every class of error, by its name, in the order of the file."""
    found = vars(exceptions).values()
    classes = [one for one in found if isinstance(one, type) and issubclass(one, PixarisError)]
    return {one.__name__: one for one in classes if one is not PixarisError}


def messages() -> dict[str, dict[str, list[str]]]:
    """Class of error to room to the texts that are raised there."""
    found: dict[str, dict[str, list[str]]] = {name: {} for name in errors()}
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE).with_suffix("")
        room = relative.parts[0]
        for name, text in _of_module(ast.parse(path.read_text(encoding="utf-8"))):
            told = found[name].setdefault(room, [])
            if text not in told:
                told.append(text)
    return found


def _of_module(tree: ast.Module) -> Iterator[tuple[str, str]]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        yield from _of_function(function)


def _of_function(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    known = errors()
    given: dict[str, list[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _text(node.value):
            given.setdefault(node.targets[0].id, []).append(_text(node.value))
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in known:
            place, kind = 0, name
        elif name in READERS:
            place, kind = READERS[name], ConfigurationError.__name__
        else:
            continue
        if len(node.args) <= place:
            continue
        message = node.args[place]
        texts = given.get(message.id, []) if isinstance(message, ast.Name) else [_text(message)]
        for text in filter(None, texts):
            yield kind, text


def _text(node: ast.expr) -> str:
    """A text with its changing parts in ``‹…›``; "" where it is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        else:
            assert isinstance(part, ast.FormattedValue)
            parts.append(f"‹{_name(part.value)}›")
    text = "".join(parts)
    fixed = "".join(part for part in parts if not part.startswith("‹"))
    return text if len(fixed.split()) > 1 else ""


def _name(node: ast.expr) -> str:
    """What stands in a place, by the last name of the expression."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "nearest":
        return " (did you mean …?)"
    names = [one for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute)]
    last = [one.attr if isinstance(one, ast.Attribute) else one.id for one in names]
    plain = [name for name in last if name not in ("shown", "repr", "str", "masked", "join")]
    return plain[0].strip("_").replace("_", " ") if plain else "…"


def meaning(error: type[PixarisError]) -> str:
    """The first paragraph of a class's docstring."""
    return " ".join((inspect.getdoc(error) or "").split("\n\n")[0].split())
