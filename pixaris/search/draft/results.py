"""Which node of a workflow gives the result."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError

_SAVING = ("SaveImage", "PreviewImage")


def result_of(workflow: Workflow, info: ObjectInfo) -> tuple[str, list[str]]:
    """What to tell the generator about its output node ("" where it finds it itself), and a person."""
    try:
        node = workflow.output_node()
    except WorkflowError:
        pass
    else:
        if node.class_type not in info or info.is_output(node.class_type):
            return "", _told(node, workflow, info)
    found = [workflow.nodes[key] for key in ends(workflow, info) if _is_named(workflow, key)]
    saving = [node for node in found if node.class_type == "SaveImage"] or found
    if not saving:
        return "", ["no node saves an image, so nothing would run; add a SaveImage node"]
    best = max(saving, key=lambda end: len(reached(workflow, [end.id])))
    rest = [node.label for node in saving if node is not best]
    others = ""
    if rest:
        verb = "does" if len(rest) == 1 else "do"
        others = f" ({', '.join(rest)} {verb} not count)"
    note = f"the result is what node {best.label} saves{others}; generator.output_node says so"
    return _name(workflow, best), [note]


def ends(workflow: Workflow, info: ObjectInfo) -> list[str]:
    """Ids of the nodes that a prompt may end in; of a class that nobody knows, those that lead nowhere."""
    used = {source for node in workflow.nodes.values() for _, source, _ in node.links()}
    known = [
        node.id
        for node in workflow.nodes.values()
        if info.is_output(node.class_type) or node.class_type in _SAVING
    ]
    if known:
        return known
    return [
        node.id for node in workflow.nodes.values() if node.class_type not in info and node.id not in used
    ]


def reached(workflow: Workflow, wanted: Sequence[str]) -> set[str]:
    """Ids of the nodes that some depend on, these included; all of them where none is wanted."""
    ahead = list(wanted or workflow.nodes)
    found: set[str] = set()
    while ahead:
        key = ahead.pop()
        if key in workflow.nodes and key not in found:
            found.add(key)
            ahead += [source for _, source, _ in workflow.nodes[key].links()]
    return found


def _told(node: Node, workflow: Workflow, info: ObjectInfo) -> list[str]:
    """That a node was taken for the result of which nobody knows whether it saves images."""
    if node.class_type in _SAVING or node.class_type in info:
        return []
    return [
        f"the result is what node {node.label} gives, whose class is not known here: it is the only candidate"
    ]


def _is_named(workflow: Workflow, key: str) -> bool:
    return bool(_name(workflow, workflow.nodes[key]))


def _name(workflow: Workflow, node: Node) -> str:
    """A node's title, or its id where the title is not its own; "" where neither names it."""
    for name in (node.title, node.id):
        try:
            if workflow.find(name) is node and name.strip():
                return name
        except WorkflowError:
            continue
    return ""
