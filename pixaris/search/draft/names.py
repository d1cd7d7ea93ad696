"""What a drafted parameter is called: by what it is, and once in its file."""

from __future__ import annotations

import itertools
import re

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.workflow import Workflow

_PROMPTS = frozenset(("text", "prompt", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "string"))
_PLAIN = frozenset(("text", "prompt", "string"))
_NOTHING = frozenset(("value", "int", "float", "string", "number", "boolean", "text", "val", "num"))
"""Names of inputs that do not say what they are; the node's title does."""
_FAR = 64


class Namer:
    """Gives names that are unique in a file.

    Args:
        workflow: Its nodes say what leads where.
    """

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._taken: set[str] = set()

    def name(self, node: Node, input: str) -> str:
        """The name of a node's input: ``positive_prompt``, ``steps``, ``steps_2``."""
        base = _clean(self._word(node, input)) or _clean(input) or "value"
        numbered = (f"{base}_{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([base], numbered) if name not in self._taken)
        self._taken.add(name)
        return name

    def _word(self, node: Node, input: str) -> str:
        if input in _PROMPTS and isinstance(node.get(input), str):
            side = self._side(node)
            if side:
                return f"{side}_prompt" if input in _PLAIN else f"{side}_{input}"
        titled = node.title not in (node.class_type, node.id) and node.title.isprintable()
        return node.title if input.lower() in _NOTHING and titled else input

    def _side(self, node: Node) -> str:
        """Whether a node's text leads to what is wanted or to what is not; "" if to neither, or to both."""
        found: set[str] = set()
        ahead, seen = [node.id], {node.id}
        while ahead and len(seen) < _FAR:
            key = ahead.pop()
            for other in self._workflow.nodes.values():
                for name, source, _ in other.links():
                    if source != key:
                        continue
                    if name in ("positive", "negative"):
                        found.add(name)
                    elif other.id not in seen:
                        seen.add(other.id)
                        ahead.append(other.id)
        return found.pop() if len(found) == 1 else ""


def _clean(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()[:40]
