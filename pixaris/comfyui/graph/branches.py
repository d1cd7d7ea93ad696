"""What a node gets when another option of a dynamic combo is chosen."""

from __future__ import annotations

from collections.abc import Mapping

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.graph.values import UnfitError, check
from pixaris.comfyui.object_info import WIDGET_TYPES, InputSpec, NodeClass, ObjectInfo


def filled_in(node: Node, before: Node, info: ObjectInfo) -> Node:
    """A node with what hangs on the options that were chosen anew, as the user interface fills it in.

    What is there and fits stays.

    Args:
        node: With other values than `before`.
        before: The node as the workflow has it.
        info: What the server says of its nodes.
    """
    known = info.node_class(node.class_type)
    chosen = [name for name, old in _choices(node, info).items() if old != before.get(name)]
    if known is None or not chosen:
        return node
    prefixes = tuple(f"{choice}." for choice in chosen)
    done: set[str] = set()
    while True:  # an option may bring a choice that brings inputs of its own
        lacking = {}
        for name, spec in known.inputs_with(node.inputs).items():
            is_asked = name.startswith(prefixes) and spec.required and spec.initial is not None
            if is_asked and name not in done and _unfit(name, node, before, spec):
                lacking[name] = spec.initial
        if not lacking:
            return node
        done |= lacking.keys()
        for name, value in lacking.items():
            node = node.with_input(name, value)


def lacking_for(choice: str, option: object, known: NodeClass, given: Mapping[str, object]) -> list[str]:
    """What an option needs that neither a node has nor the user interface fills in.

    Args:
        choice: The dynamic combo.
        option: The option.
        known: The node's class.
        given: The node's inputs.
    """
    return [
        name
        for name, spec in known.inputs_with({**given, choice: option}).items()
        if name.startswith(f"{choice}.") and name not in given and spec.required and not _fills(spec)
    ]


def _choices(node: Node, info: ObjectInfo) -> dict[str, object]:
    known = info.node_class(node.class_type)
    if known is not None:
        specs = known.inputs_with(node.inputs)
    else:
        specs = {}
    return {name: node.get(name) for name, spec in specs.items() if spec.branches}


def _fills(spec: InputSpec) -> bool:
    return spec.initial is not None or spec.type.startswith("COMFY_")


def _unfit(name: str, node: Node, before: Node, spec: InputSpec) -> bool:
    """Whether an input is absent, or has a value that another option left behind and that does not fit."""
    if name not in node.inputs:
        return True
    if node.is_linked(name) or spec.type not in WIDGET_TYPES or node.get(name) != before.get(name):
        return False
    try:
        check(node.get(name), spec)
    except UnfitError:
        return True
    return False
