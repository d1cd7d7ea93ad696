"""Whoever catches every exception passes it on, and says why it is every one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pixaris"
MODULES = sorted(PACKAGE.rglob("*.py"))

BROAD = {"Exception", "BaseException"}


def names(expression: ast.expr | None) -> set[str]:
    """The classes that an ``except`` or a ``suppress`` names; none is all of them."""
    if expression is None:
        return BROAD
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}


def handlers(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    """Every handler that catches all there is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and names(node.type) & BROAD:
            yield node


def is_raised(handler: ast.ExceptHandler) -> bool:
    """Whether it raises, the error itself or another in its place."""
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def is_logged(handler: ast.ExceptHandler) -> bool:
    """Whether its traceback goes to a log."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "exception":
                return True
            if any(keyword.arg == "exc_info" for keyword in node.keywords):
                return True
    return False


def is_outcome(handler: ast.ExceptHandler) -> bool:
    """Whether the error itself is returned, kept or handed to somebody who waits: not only its words, and not
    only to a log.
    """
    if handler.name is None:
        return False
    statements = [node for node in ast.walk(handler) if isinstance(node, ast.stmt)]
    for node in statements:
        is_log = isinstance(node, ast.Expr) and ast.unparse(node).lower().startswith(("log.", "_log."))
        used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        if not is_log and handler.name in used:
            return True
    return False


def faults(source: str) -> list[str]:
    """What is wrong with a module's broad handlers, a line each."""
    lines = source.splitlines()
    found = []
    tree = ast.parse(source)
    for handler in handlers(tree):
        if not (is_raised(handler) or is_logged(handler) or is_outcome(handler)):
            found.append(f"line {handler.lineno} swallows what it catches")
        assert handler.end_lineno is not None
        if not any("#" in line for line in lines[handler.lineno - 1 : handler.end_lineno]):
            found.append(f"line {handler.lineno} does not say why it catches everything")
    for node in ast.walk(tree):
        is_suppress = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress")
        if is_suppress and any(names(argument) & BROAD for argument in node.args):
            found.append(f"line {node.lineno} suppresses everything")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_broad_except_passes_the_error_on_and_says_why(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


TRY = "try:\n    work()\nexcept Exception as error:  # a user's own code\n    "


@pytest.mark.parametrize(
    "body",
    [
        "raise",
        "raise ValueError(str(error)) from error",
        "future.set_exception(error)",
        "failures[name] = str(error)",
        "log.exception('failed')",
        "log.debug('failed', exc_info=True)",
    ],
)
def test_what_passes_an_error_on_is_let_through(body: str) -> None:
    assert faults(TRY + body) == []


@pytest.mark.parametrize("body", ["pass", "return_nothing()", "log.info('failed: %s', error)"])
def test_what_swallows_an_error_is_found(body: str) -> None:
    assert faults(TRY + body) == ["line 3 swallows what it catches"]


def test_a_broad_except_without_a_reason_and_a_broad_suppress_are_found() -> None:
    assert faults("try:\n    work()\nexcept:\n    raise\n") == [
        "line 3 does not say why it catches everything"
    ]
    assert faults("with contextlib.suppress(OSError, Exception):\n    work()\n") == [
        "line 1 suppresses everything"
    ]
