"""What a drafted parameter is called: by what it is, and once in its file."""

from __future__ import annotations

import itertools
import re

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.graph.texts import PROMPT_INPUTS, side_of
from pixaris.comfyui.workflow import Workflow

_PLAIN = frozenset(("text", "prompt", "string"))
_NOTHING = frozenset(("value", "int", "float", "string", "number", "boolean", "text", "val", "num"))
"""Names of inputs that do not say what they are; the node's title does."""


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
        if input in PROMPT_INPUTS and isinstance(node.get(input), str):
            side = side_of(node, self._workflow.nodes)
            if side:
                if input in _PLAIN:
                    return f"{side}_prompt"
                return f"{side}_{input}"
        titled = node.title not in (node.class_type, node.id) and node.title.isprintable()
        if input.lower() in _NOTHING and titled:
            return node.title
        return input


def _clean(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()[:40]
