"""HTML and SVG as text, escaped: what is not `Markup` is text, whoever wrote it."""

from __future__ import annotations

import html
import json
from typing import Any, TypeAlias

from pixaris.files import JsonMapping, plain


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | float | None"
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))
_PIECES = 2
"""Digits after the point of a coordinate in a drawing."""


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element.

    Args:
        name: ``p``, ``svg``, ….
        children: What is in it; None is left out.
        attributes: Theirs; ``class_`` is ``class``, ``data_set`` is ``data-set``. None and False are left
            out, True has no value.
    """
    words = [name]
    for key, value in attributes.items():
        written = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(written)
        elif value is not None and value is not False:
            words.append(f'{written}="{html.escape(_text(value))}"')
    head = f"<{' '.join(words)}>"
    if name in _VOID:
        return Markup(head)
    return Markup(f"{head}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Elements and texts one after the other; None is left out."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def _escaped(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    return html.escape(_text(child), quote=False)


def _text(value: object) -> str:
    """A value as text; coordinates are short. What UTF-8 has no bytes for is written out."""
    if isinstance(value, float):
        text = f"{value:.{_PIECES}f}".rstrip("0").rstrip(".")
    else:
        text = str(value)
    return text.encode("utf-8", "backslashreplace").decode()


def json_script(identity: str, value: JsonMapping | list[Any]) -> Markup:
    """Data for scripts, which the browser neither runs nor parses: no text in it can end the element."""
    text = json.dumps(plain(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(f'<script type="application/json" id="{html.escape(identity)}">{safe}</script>\n')
