"""What a file is that is no workflow in API format, and what to do with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_DEEP = 5
_MANY = 200
_SEARCH_KEYS = frozenset(
    ("dataset", "generator", "endpoints", "parameters", "metrics", "objective", "search")
)
_SEARCH_LINE = re.compile(
    r"^(dataset|generator|endpoints|parameters|metrics|objective|search):", re.MULTILINE
)
HOW_TO_EXPORT = (
    "export it as API format: in ComfyUI choose Workflow → Export (API); "
    "in older versions switch on Settings → Dev mode and use 'Save (API Format)'"
)


def fault_of(raw: Mapping[str, object]) -> str:
    """Why a mapping is no workflow in API format, with the way out; "" if it may be one."""
    if is_editors(raw):
        return f"is a UI-format file (it has the list 'nodes'), which servers do not run; {HOW_TO_EXPORT}"
    if is_graph(raw):
        return ""
    for place, value in _inside(raw):
        if is_graph(value):
            return f"is a request body, not a workflow; keep only what stands under '{place}'"
    for place, value in _inside(raw):
        if is_editors(value):
            return f"holds a workflow in UI format under '{place}', which servers do not run; {HOW_TO_EXPORT}"
    if is_search(raw):
        return "is a search file, not a workflow; the workflow that it searches stands there under generator"
    return ""


def fault_of_bytes(data: bytes) -> str:
    """The same of a file that is no JSON; "" where nothing is recognised."""
    if data.startswith(b"\x89PNG"):
        return "is a picture; pixaris space takes it, and writes the workflow in it beside the search file"
    if _SEARCH_LINE.search(data[:100_000].decode("utf-8", "replace")):
        return "is a search file, not a workflow; the workflow that it searches stands there under generator"
    return ""


def is_workflow(raw: object) -> bool:
    """Whether a value is a workflow in any form, or holds one."""
    if not isinstance(raw, Mapping) or is_search(raw):
        return False
    inner = (value for _, value in _inside(raw))
    return any(is_graph(value) or is_editors(value) for value in (raw, *inner))


def is_graph(raw: object) -> bool:
    """Whether a value is a graph in API format: some of its entries are nodes."""
    return isinstance(raw, Mapping) and any(
        isinstance(node, Mapping) and isinstance(node.get("class_type"), str) for node in raw.values()
    )


def is_editors(raw: object) -> bool:
    """Whether a value is what the editor saves."""
    return isinstance(raw, Mapping) and isinstance(raw.get("nodes"), list | tuple)


def is_search(raw: Mapping[str, object]) -> bool:
    """Whether a mapping is a search file's."""
    return len(raw.keys() & set(_SEARCH_KEYS)) >= 2


def _inside(raw: object, place: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """What stands in a value, a few levels deep, with its place."""
    rows: list[tuple[str, object]] = []
    if isinstance(raw, Mapping):
        rows = [(str(key), value) for key, value in list(raw.items())[:_MANY]]
    elif isinstance(raw, list | tuple):
        rows = [(str(index), value) for index, value in enumerate(raw[:_MANY])]
    for key, value in rows:
        if place:
            inner = f"{place}.{key}"
        else:
            inner = key
        yield inner, value
        if depth < _DEEP:
            yield from _inside(value, inner, depth + 1)
