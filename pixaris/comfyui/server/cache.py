"""The execution cache: a node whose class, inputs and ancestors are the same as before is not run again."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import OrderedDict
from collections.abc import Mapping

from pixaris.comfyui.server.nodes import registry
from pixaris.comfyui.server.nodes.registry import Outputs
from pixaris.comfyui.server.storage import Folders
from pixaris.files import JsonMapping


def signatures(prompt: Mapping[str, object], folders: Folders) -> dict[str, str]:
    """Return one signature per node: a digest of class, literal inputs, loaded files and the same of all
    ancestors.

    Node ids and titles play no part. A node whose file cannot be read gets a signature of its own: it runs,
    and fails.
    """
    known: dict[str, str] = {}
    for node_id in prompt:
        _sign(node_id, prompt, folders, known)
    return known


def _sign(node_id: str, prompt: Mapping[str, object], folders: Folders, known: dict[str, str]) -> str:
    if node_id in known:
        return known[node_id]
    known[node_id] = uuid.uuid4().hex  # what a node sees that (wrongly, and never run) depends on itself
    node = prompt.get(node_id)
    if isinstance(node, Mapping) and isinstance(node.get("inputs"), Mapping):
        known[node_id] = _digest(
            node, {o: _sign(o, prompt, folders, known) for o in _ancestors(node) if o in prompt}, folders
        )
    return known[node_id]


def _ancestors(node: JsonMapping) -> list[str]:
    return [value[0] for value in node["inputs"].values() if is_link(value)]


def _digest(node: JsonMapping, ancestors: Mapping[str, str], folders: Folders) -> str:
    inputs = {}
    for name, value in sorted(node["inputs"].items()):
        if is_link(value):
            inputs[name] = {"node": ancestors.get(value[0]), "slot": value[1]}
        else:
            inputs[name] = {"is": value}
    try:
        loaded = registry.fingerprint(node["class_type"], folders, node["inputs"])
        # NaN is equal to nothing, not even to itself: such a node always runs, as in ComfyUI.
        text = json.dumps([node["class_type"], inputs, loaded], allow_nan=False)
    except (OSError, ValueError):
        return uuid.uuid4().hex
    return hashlib.sha256(text.encode()).hexdigest()


def is_link(value: object) -> bool:
    """Return whether an input's value is ``[node id, slot]``."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | float)
    )


class Cache:
    """Results by signature.

    Args:
        size: None keeps what the last prompt used, and only that (ComfyUI's default); 0 keeps nothing; N
            keeps the N results used last, and always those of the prompt that runs.
    """

    def __init__(self, size: int | None = None) -> None:
        self._size = size
        self._results: OrderedDict[str, Outputs] = OrderedDict()

    def start(self, wanted: set[str]) -> None:
        """Drop what a prompt with these signatures leaves no room for."""
        if self._size is None:
            self._results = OrderedDict((key, value) for key, value in self._results.items() if key in wanted)
            return
        for key in [key for key in self._results if key in wanted]:
            self._results.move_to_end(key)
        while len(self._results) > self._size and next(iter(self._results)) not in wanted:
            self._results.popitem(last=False)

    def get(self, signature: str) -> Outputs | None:
        """Return a result, or None."""
        return self._results.get(signature)

    def put(self, signature: str, outputs: Outputs) -> None:
        """Keep a result."""
        if self._size != 0:
            self._results[signature] = outputs
            self._results.move_to_end(signature)

    def clear(self) -> None:
        """Forget everything."""
        self._results.clear()
