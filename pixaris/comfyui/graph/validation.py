"""What a server would refuse about a graph, found before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pixaris.comfyui.graph.alternatives import CHOOSER_CLASS
from pixaris.comfyui.graph.node import Node, is_link, thaw
from pixaris.comfyui.graph.values import UnfitError, check
from pixaris.comfyui.object_info import (
    InputSpec,
    NodeClass,
    ObjectInfo,
    absent_is_fine,
    is_model_file,
    types_match,
)
from pixaris.exceptions import Problem, nearest

Place = tuple[str, str]


def problems(nodes: Mapping[str, Node], info: ObjectInfo, pending: Collection[Place] | None) -> list[Problem]:
    """All faults of a graph, in the order of its nodes.

    As the server does, an unknown class is a fault anywhere, the rest only in nodes that an output node
    depends on. Where that is not known, because there is no output node or a link leads nowhere, every node
    is judged.

    Args:
        nodes: The graph.
        info: The server's node classes.
        pending: (node id, input) of values that will still be bound; see `Workflow.problems`.
    """
    known_here = (*info.classes(), CHOOSER_CLASS)
    found = [_unknown_class(node, info) for node in nodes.values() if node.class_type not in known_here]
    ends = [node.id for node in nodes.values() if info.is_output(node.class_type)]
    if not ends:
        found.append(
            Problem(
                "", "no node is an output node, so nothing would run; add a SaveImage or PreviewImage node"
            )
        )
    if ends and not _leads_nowhere(nodes):
        reached = _ancestors(nodes, ends)
    else:
        reached = set(nodes)
    for node in nodes.values():
        known = info.node_class(node.class_type)
        if node.id in reached and known is not None:
            found.extend(_node_problems(node, known, nodes, info, pending))
    found.extend(_cycles(nodes, [key for key in nodes if key in reached]))
    return found


def _unknown_class(node: Node, info: ObjectInfo) -> Problem:
    hint = nearest(node.class_type, info.classes())
    return Problem(
        f"node {node.label}",
        f"the server has no node class {node.class_type!r}{hint}; install the custom node there",
    )


def _node_problems(
    node: Node,
    known: NodeClass,
    nodes: Mapping[str, Node],
    info: ObjectInfo,
    pending: Collection[Place] | None,
) -> Iterator[Problem]:
    # what hangs on a choice that is still to be made is judged with that choice
    given = {name: value for name, value in node.inputs.items() if (node.id, name) not in (pending or ())}
    for name, spec in known.inputs_with(given).items():
        where = f"node {node.label}, input {name!r}"
        if pending is not None and (node.id, name) in pending:
            continue
        if name not in node.inputs:
            if not absent_is_fine(spec, name, node.inputs):
                if spec.default is None:
                    default = ""
                else:
                    default = f"; its default is {spec.default!r}"
                yield Problem(
                    where,
                    f"is required ({spec.type}) and missing{default}; export the workflow again from this"
                    " ComfyUI",
                )
            continue
        value = node.inputs[name]
        if isinstance(value, tuple):
            message = _link_fault(value, spec, nodes, info)
        else:
            message = _literal_fault(value, spec, pending)
        if message:
            yield Problem(where, message)
    yield from _structure_faults(node, info, pending)


def _structure_faults(node: Node, info: ObjectInfo, pending: Collection[Place] | None) -> Iterator[Problem]:
    """Model files in structures that the server lacks; what else they hold it does not describe."""
    for name, value in node.literals():
        if name in node.inputs or not is_model_file(value) or node.is_off(name):
            continue
        files = info.model_files(name.rpartition(".")[2])
        if files and value not in files and (node.id, name) not in (pending or ()):
            yield Problem(
                f"node {node.label}, input {name!r}",
                f"the server has no such file (got {value!r}){nearest(str(value), files)}",
            )


def _literal_fault(value: object, spec: InputSpec, pending: Collection[Place] | None) -> str:
    # User interfaces wrap a list so that it is not taken for a link.
    if isinstance(value, Mapping) and "__value__" in value:
        value = value["__value__"]
    try:
        check(thaw(value) if isinstance(value, Mapping) else value, spec)
    except UnfitError as error:
        return str(error)
    # The list holds the top level of the input folder only; names with a folder or a [type] may exist without
    # standing in it.
    listed = isinstance(value, str) and "/" not in value and not value.endswith("]")
    if pending is not None and spec.upload and listed and value not in spec.options:
        return (
            f"the file {value!r} is not in the server's input folder; upload it there or feed this node from"
            " the eval set"
        )
    return ""


def _link_fault(
    value: tuple[object, ...], spec: InputSpec, nodes: Mapping[str, Node], info: ObjectInfo
) -> str:
    if spec.branches:
        return f"takes no link: what else the node has depends on its choice; choose one of {_listed(spec)}"
    if not is_link(value):
        return (
            f"must be a value or a link [node id as text, output slot] (got {thaw(value)!r}); a list is"
            " always taken for a link"
        )
    source, slot = str(value[0]), int(str(value[1]))
    if source not in nodes:
        return f"is linked to node {source!r}, which does not exist{nearest(source, nodes)}"
    kind = nodes[source].class_type
    if kind not in info:
        return ""  # reported as an unknown class
    outputs = info.outputs(kind)
    if not 0 <= slot < len(outputs):
        return (
            f"is linked to output {slot} of node {nodes[source].label}, which has {len(outputs)}"
            f" ({', '.join(outputs) or 'none'})"
        )
    if not types_match(outputs[slot], spec.type):
        return f"must be {spec.type}, but output {slot} of node {nodes[source].label} gives {outputs[slot]}"
    return ""


def _listed(spec: InputSpec) -> str:
    shown = ", ".join(repr(option) for option in spec.options[:12])
    if len(spec.options) > 12:
        return f"{shown}, …"
    return shown


def _leads_nowhere(nodes: Mapping[str, Node]) -> bool:
    links = [value for node in nodes.values() for value in node.inputs.values() if isinstance(value, tuple)]
    return any(not is_link(link) or link[0] not in nodes for link in links)


def _ancestors(nodes: Mapping[str, Node], ends: Collection[str]) -> set[str]:
    reached: set[str] = set()
    waiting = list(ends)
    while waiting:
        current = waiting.pop()
        if current in reached or current not in nodes:
            continue
        reached.add(current)
        waiting.extend(source for _, source, _ in nodes[current].links())
    return reached


def _cycles(nodes: Mapping[str, Node], reached: Collection[str]) -> Iterator[Problem]:
    """One problem per cycle found; iterative, because a chain of links may be longer than Python's stack."""
    done: set[str] = set()
    for start in reached:
        path: list[str] = []
        stack = [(start, False)]
        while stack:
            current, leaving = stack.pop()
            if leaving:
                path.pop()
                done.add(current)
                continue
            if current in path:
                loop = [nodes[key].label for key in [*path[path.index(current) :], current]]
                yield Problem("", f"the links go round in a circle: {' ← '.join(loop)}; remove one of them")
                continue
            if current in done or current not in nodes:
                continue
            path.append(current)
            stack.append((current, True))
            stack.extend((source, False) for _, source, _ in nodes[current].links())
