"""A statement has one comprehension at most, or one for each entry of a record; and no nested ternary."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pixaris"
MODULES = sorted(PACKAGE.rglob("*.py"))

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """What a node is made of, without the statements inside of it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.stmt):
            yield child


def is_nested(node: ast.AST, kinds: tuple[type[ast.expr], ...], *, inside: bool = False) -> bool:
    """Whether an expression of some kinds stands in another one of them."""
    is_one = isinstance(node, kinds)
    if is_one and inside:
        return True
    return any(is_nested(child, kinds, inside=inside or is_one) for child in parts(node))


def count(node: ast.AST) -> int:
    """The comprehensions of a node; of a mapping or a call by keywords, as many as its fullest entry has."""
    if isinstance(node, COMPREHENSIONS):
        return 1
    if isinstance(node, ast.Dict):
        return max(map(count, node.values), default=0)
    inner = [count(child) for child in parts(node)]
    if isinstance(node, ast.Call) and node.keywords and not node.args:
        return max(inner)
    return sum(inner)


def faults(source: str) -> list[str]:
    """What is wrong with a module's statements, a line each."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt):
            continue
        if any(is_nested(part, COMPREHENSIONS) for part in parts(node)):
            found.append(f"line {node.lineno} has a comprehension in another one")
        elif sum(map(count, parts(node))) > 1:
            found.append(f"line {node.lineno} has several comprehensions")
        if any(is_nested(part, (ast.IfExp,)) for part in parts(node)):
            found.append(f"line {node.lineno} has a ternary in another one")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_statement_is_plain(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "statement",
    [
        "found = [one for one in many]",
        "found = (1 if few else 2) + len(few)",
        "for one in (one for one in many):\n    two = [one for one in many]",
        "row = {'a': [one for one in many], 'b': {one: 1 for one in many}}",
        "run = Run(items=tuple(one for one in many), names=[one for one in many])",
    ],
)
def test_a_plain_statement_is_let_through(statement: str) -> None:
    assert faults(statement) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("found = [[two for two in one] for one in many]", "line 1 has a comprehension in another one"),
        (
            "found = [one for one in many if any(two for two in one)]",
            "line 1 has a comprehension in another one",
        ),
        ("found = [*(one for one in many), *(one for one in few)]", "line 1 has several comprehensions"),
        (
            "made = Made([one for one in many], few=[one for one in few])",
            "line 1 has several comprehensions",
        ),
        ("found = 1 if few else 2 if many else 3", "line 1 has a ternary in another one"),
        ("found = 1 if few else f(2 if many else 3)", "line 1 has a ternary in another one"),
        ("row = {'a': [x for x in y] + [x for x in z]}", "line 1 has several comprehensions"),
        (
            "row = {'a': {one: [two for two in one] for one in y}}",
            "line 1 has a comprehension in another one",
        ),
    ],
)
def test_what_is_not_plain_is_found(statement: str, fault: str) -> None:
    assert faults(statement) == [fault]
