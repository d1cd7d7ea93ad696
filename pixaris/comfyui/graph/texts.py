"""Where a workflow has its prompts: the texts that its nodes hold, and what they lead to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pixaris.comfyui.graph.node import Node

PROMPT_INPUTS = frozenset(("text", "prompt", "text_g", "text_l", "clip_l", "clip_g", "t5xxl", "string"))
"""Inputs that hold a prompt, by name."""
_SIDES = ("positive", "negative")
_TEXT_NODES = ("string", "text")
"""What the class of a node is called whose input ``value`` is a text and nothing else."""
_FAR = 64


@dataclass(frozen=True)
class TextPlace:
    """An input that holds a prompt.

    Attributes:
        node: Its node.
        input: Its name.
        side: "positive" or "negative", what it leads to; "" if to neither, or to both.
    """

    node: Node
    input: str
    side: str


def text_places(nodes: Mapping[str, Node]) -> list[TextPlace]:
    """Every input of a graph that holds a prompt.

    Args:
        nodes: The graph's nodes by id.
    """
    return [
        TextPlace(node, name, side_of(node, nodes))
        for node in nodes.values()
        for name, value in node.inputs.items()
        if isinstance(value, str) and _is_prompt(node, name)
    ]


def side_of(node: Node, nodes: Mapping[str, Node]) -> str:
    """Whether a node leads to what is wanted or to what is not; "" if to neither, or to both.

    Args:
        node: The node.
        nodes: The graph's nodes by id.
    """
    found: set[str] = set()
    ahead, seen = [node.id], {node.id}
    while ahead and len(seen) < _FAR:
        key = ahead.pop()
        for other in nodes.values():
            for name, source, _ in other.links():
                if source != key:
                    continue
                if name in _SIDES:
                    found.add(name)
                elif other.id not in seen:
                    seen.add(other.id)
                    ahead.append(other.id)
    if len(found) == 1:
        return found.pop()
    return ""


def _is_prompt(node: Node, name: str) -> bool:
    if name in PROMPT_INPUTS:
        return True
    return name == "value" and any(word in node.class_type.lower() for word in _TEXT_NODES)
