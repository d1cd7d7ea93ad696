"""One node of an API-format graph, and how a graph is read from untrusted JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from pixaris.comfyui.graph import structure
from pixaris.comfyui.graph.recognise import HOW_TO_EXPORT, fault_of, fault_of_bytes
from pixaris.exceptions import Problem, WorkflowError
from pixaris.files import JsonMapping

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64


@dataclass(frozen=True)
class Node:
    """One node of a workflow. Deeply immutable and picklable.

    Attributes:
        id: Its key in the file.
        class_type: The node class.
        title: ``_meta.title``, or the class type where the file gives none.
        inputs: Input name to literal or link; a link is ``("<node id>", slot)``.
        extra: What else the file says about it (``_meta`` among others); it does not change what is
            generated.
    """

    id: str
    class_type: str
    title: str
    inputs: JsonMapping
    extra: JsonMapping = field(default_factory=lambda: MappingProxyType({}))

    def is_linked(self, name: str) -> bool:
        """Whether an input comes from another node (the server takes every list for a link)."""
        return isinstance(self.inputs.get(name), tuple)

    def links(self) -> Iterator[tuple[str, str, int]]:
        """Its well-formed links as (input, source node id, slot)."""
        for name, value in self.inputs.items():
            if is_link(value):
                yield name, value[0], value[1]

    @property
    def label(self) -> str:
        """How an error names it among others: title, class and id."""
        if self.title == self.class_type:
            kind = ""
        else:
            kind = f"{self.class_type}, "
        return f"{self.title!r} ({kind}id {self.id})"

    def literals(self) -> Iterator[tuple[str, object]]:
        """Name and value of every literal: of inputs, and of those in structures (``lora_1.strength``)."""
        return structure.literals(self.inputs)

    def place(self, name: str) -> structure.Place | None:
        """Where the value of a name is: an input, or a literal in a structure; None if there is no such."""
        return structure.find(self.inputs, name)

    def get(self, name: str) -> Any:  # noqa: ANN401  (any JSON value)
        """The value of an input or of a literal in a structure; None if there is none."""
        place = self.place(name)
        if place is None:
            return None
        return structure.value_at(self.inputs, place)

    def is_off(self, name: str) -> bool:
        """Whether a literal lies in a structure that its own switch turns off."""
        place = self.place(name)
        return place is not None and structure.switched_off(self.inputs, place)

    def with_input(self, name: str, value: object) -> Node:
        """A copy in which one input, or one literal in a structure, has another value."""
        inputs = structure.replaced(self.inputs, self.place(name) or (name,), value)
        return Node(self.id, self.class_type, self.title, inputs, self.extra)

    def as_dict(self) -> dict[str, object]:
        """A fresh dict, as in an API-format file."""
        return {"inputs": thaw(self.inputs), "class_type": self.class_type, **thaw(self.extra)}

    def __reduce__(self) -> tuple[object, ...]:  # mapping proxies do not pickle
        return _parse_node, (self.id, self.as_dict())


def is_link(value: object) -> bool:
    """Whether a frozen input value is a well-formed link: a node id and a slot."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def read_nodes(source: str | Path | Mapping[str, object]) -> tuple[str, dict[str, Node]]:
    """Read a graph from an API-format file or dict.

    Returns:
        What to call the source in errors, and the nodes by id in the file's order.

    Raises:
        WorkflowError: The file cannot be read, is not JSON, not API format, or holds values JSON does not
            have.
    """
    if isinstance(source, Mapping):
        return "workflow", _nodes_of(source, "workflow")
    name = str(source)
    return name, _nodes_of(_read_json(source, name), name)


def freeze(value: object, depth: int = 0) -> Any:  # noqa: ANN401  (any JSON value)
    """A deeply immutable copy of a JSON value; lists become tuples, dicts read-only mappings, numpy scalars
    plain numbers.

    Raises:
        ValueError: Not a JSON value (NaN, infinity, a lone surrogate, an object of another kind), or nested
            too deeply.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{float(value)} is not a number JSON has")
        return float(value)
    if isinstance(value, Mapping):
        return MappingProxyType({_key(key): freeze(inner, depth + 1) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(inner, depth + 1) for inner in value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # numpy scalars
        return freeze(value.item(), depth + 1)
    raise ValueError(f"{type(value).__name__} is not a JSON value")


def thaw(value: Any) -> Any:  # noqa: ANN401  (any JSON value)
    """The opposite of `freeze`: fresh lists and dicts."""
    if isinstance(value, Mapping):
        return {key: thaw(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [thaw(inner) for inner in value]
    return value


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(f"the key {key!r} must be text, not {type(key).__name__}")
    return _text(key)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!r} holds half a surrogate pair, which cannot be sent") from None
    return str(text)


def _read_json(source: str | Path, name: str) -> Mapping[str, object]:
    try:
        with Path(source).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise WorkflowError(
            "the file does not exist; give the path of a workflow exported in API format", name
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        else:
            reason = str(error)
        raise WorkflowError(
            f"cannot be read ({reason}); give the path of a workflow exported in API format", name[:200]
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise WorkflowError(f"is larger than {MAX_FILE_BYTES // 2**20} MiB, which no workflow is", name)
    try:
        value = json.loads(
            data.decode("utf-8-sig"), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise WorkflowError(
            fault_of_bytes(data)
            or "is not UTF-8 text; a workflow is a JSON file exported from ComfyUI in API format",
            name,
        ) from None
    except RecursionError:
        raise WorkflowError("is nested too deeply to be a workflow", name) from None
    except ValueError as error:  # JSONDecodeError among them
        raise WorkflowError(
            fault_of_bytes(data) or f"is not valid JSON: {error}; export the workflow again in API format",
            name,
        ) from None
    if not isinstance(value, dict):
        raise WorkflowError(f"holds a JSON {_kind(value)}, not an object of nodes; {HOW_TO_EXPORT}", name)
    return value


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _kind(value: object) -> str:
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        return "text"
    return "value"


def _nodes_of(raw: Mapping[str, object], name: str) -> dict[str, Node]:
    if fault := fault_of(raw):
        raise WorkflowError(fault, name)
    if not raw:
        raise WorkflowError(f"has no nodes; {HOW_TO_EXPORT}", name)
    nodes: dict[str, Node] = {}
    problems: list[Problem] = []
    for key, value in raw.items():
        try:
            node = _parse_node(_key(key), value)
            nodes[node.id] = node
        except ValueError as error:
            problems.append(Problem(f"node {key!r}", str(error)))
        except RecursionError:
            problems.append(Problem(f"node {key!r}", "it is nested too deeply"))
    if problems:
        if not nodes:
            problems.append(Problem("", f"nothing here is a node; {HOW_TO_EXPORT}"))
        raise WorkflowError(problems, name)
    return nodes


def _parse_node(key: str, raw: object) -> Node:
    if not isinstance(raw, Mapping):
        raise ValueError("it must be an object with 'class_type' and 'inputs'")
    class_type, inputs, meta = raw.get("class_type"), raw.get("inputs"), raw.get("_meta")
    if not isinstance(class_type, str) or not class_type:
        raise ValueError("it has no 'class_type'; export the workflow again in API format")
    if not isinstance(inputs, Mapping):
        raise ValueError("it has no 'inputs' object (empty is {})")
    if isinstance(meta, Mapping):
        title = meta.get("title")
    else:
        title = None
    meant = [
        name
        for name in raw
        if name not in ("class_type", "inputs") and (name != "_meta" or isinstance(meta, Mapping))
    ]
    return Node(
        id=key,
        class_type=_text(class_type),
        title=title if isinstance(title, str) and title else class_type,
        inputs=freeze(inputs),
        extra=freeze({name: raw[name] for name in meant}),
    )
