"""Several workflows in one graph, of which a parameter chooses; the others are cut off before it is sent.

The graph has a node that no server knows. Its input ``workflow`` names the chosen one, and a link leads from
it to the node that gives each one's result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pixaris.comfyui.graph.node import Node, is_link
from pixaris.exceptions import Problem, WorkflowError

CHOOSER_CLASS = "PixarisAlternatives"
CHOOSER = "Generator"
CHOSEN = "workflow"
"""Class and title of the node, and its input that names the chosen workflow."""


def merged(graphs: Mapping[str, Mapping[str, Node]], outputs: Mapping[str, str]) -> dict[str, Node]:
    """Put graphs beside each other.

    A node's id begins with its workflow's name (``fast/3``), and so does its title where another workflow has
    the same (``fast/KSampler``). What loads an image of the eval set ("Load Input Image") stands once for
    all.

    Args:
        graphs: Name to nodes by id, two or more.
        outputs: Name to the id of the node that gives the result.

    Raises:
        WorkflowError: A name cannot be one.
    """
    bad = [name for name in graphs if not name or name == CHOSEN or "/" in name]
    if bad or len(graphs) < 2:
        rule = f"a choice needs two workflows or more, with names without / and other than {CHOSEN!r}"
        raise WorkflowError(
            [Problem("", f"{rule} (got {', '.join(map(repr, graphs)) or 'none'})")], "generator"
        )
    counts: Counter[str] = Counter()
    for graph in graphs.values():
        counts.update({node.title for node in graph.values()})  # once, though two of its nodes have the title
    shared: dict[str, str] = {}
    found: dict[str, Node] = {}
    for name, graph in graphs.items():
        ids = {key: f"{name}/{key}" for key in graph}
        for key, node in graph.items():
            if _is_fed(node) and counts[node.title] > 1:
                ids[key] = shared.setdefault(node.title, ids[key])
        for key, node in graph.items():
            if ids[key] in found:
                continue
            alone = counts[node.title] == 1 or node.title in shared
            if alone:
                title = node.title
            else:
                title = f"{name}/{node.title}"
            found[ids[key]] = _renamed(node, ids[key], title, ids)
        outputs = {**outputs, name: ids[outputs[name]]}
    inputs: dict[str, object] = {CHOSEN: next(iter(graphs))}
    inputs |= {name: (outputs[name], 0) for name in graphs}
    found[CHOOSER] = Node(CHOOSER, CHOOSER_CLASS, CHOOSER, inputs, {"_meta": {"title": CHOOSER}})
    return found


def chosen(nodes: Mapping[str, Node]) -> tuple[dict[str, Node], str]:
    """The chosen workflow of a graph, and the id of the node that gives its result; the whole graph and ""
    where there is nothing to choose.
    """
    chooser = nodes.get(CHOOSER)
    if chooser is None or chooser.class_type != CHOOSER_CLASS:
        return dict(nodes), ""
    output = str(chooser.inputs[str(chooser.inputs[CHOSEN])][0])
    reached: set[str] = set()
    waiting = [output]
    while waiting:
        key = waiting.pop()
        if key in nodes and key not in reached:
            reached.add(key)
            waiting.extend(source for _, source, _ in nodes[key].links())
    return {key: node for key, node in nodes.items() if key in reached}, output


def _is_fed(node: Node) -> bool:
    """Whether it loads an image of the eval set, by its title."""
    return node.title.startswith("Load ") and node.title.endswith(" Image") and not list(node.links())


def _renamed(node: Node, key: str, title: str, ids: Mapping[str, str]) -> Node:
    inputs = {name: _relinked(value, ids) for name, value in node.inputs.items()}
    meta = {**dict(node.extra.get("_meta") or {}), "title": title}
    return Node(key, node.class_type, title, inputs, {**node.extra, "_meta": meta})


def _relinked(value: Any, ids: Mapping[str, str]) -> Any:  # noqa: ANN401  (any JSON value)
    if is_link(value):
        return (ids.get(value[0], value[0]), value[1])
    return value
