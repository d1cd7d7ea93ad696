"""Which folder of an eval set feeds which image loader, and which are only compared with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.files import safe_name
from pixaris.generation.base import load_node
from pixaris.search.draft.widgets import loads

_FOLDER = re.compile(r"Load (.+) Image")
_INPUTS = ("input", "inputs", "in", "source", "sources", "src", "degraded", "noisy", "lq")
_MASKS = ("mask", "masks", "alpha", "matte", "segmentation")
_REFERENCES = (
    *("original", "originals", "reference", "references", "target", "targets", "truth", "gt", "hq"),
    *("ground_truth", "groundtruth", "clean", "output", "outputs", "expected", "label", "labels"),
)
"""What folders are called that feed a workflow, that say where, and that results are compared with."""


@dataclass(frozen=True)
class Roles:
    """What the folders of an eval set are for.

    Attributes:
        workflow: The workflow, its image loaders titled as the folders feed them.
        inputs: Folders that feed it.
        notes: What a person should know: titles that were given, and what is a guess.
    """

    workflow: Workflow
    inputs: tuple[str, ...]
    notes: tuple[str, ...] = ()


def roles(workflow: Workflow, given: Sequence[str], info: ObjectInfo) -> Roles:
    """Give every image loader a folder.

    A loader whose title names a folder has it. Others get one by what it is called: a loader of masks a
    folder of masks, another one "Input". Where there are several, that is a guess, and said.

    Args:
        workflow: The workflow.
        given: Folders of the eval set; none where there is none yet.
        info: What the server says of its nodes.
    """
    loaders = [node for node in workflow.nodes.values() if loads(node, info)]
    titles = [node.title for node in workflow.nodes.values()]
    kept = {
        node.id: folder
        for node in loaders
        if titles.count(node.title) == 1 and (folder := _folder(node.title))
    }
    notes: list[str] = []
    nodes = dict(workflow.nodes)
    for node in loaders:
        if node.id in kept:
            continue
        taken = {*kept.values(), *(_folder(title) for title in titles if title != node.title)}
        free = [folder for folder in given if folder not in taken]
        folder = _chosen(node, free) or _new_folder(node.title, taken)
        kept[node.id] = folder
        meta = {**dict(node.extra.get("_meta") or {}), "title": load_node(folder)}
        nodes[node.id] = Node(
            node.id, node.class_type, load_node(folder), node.inputs, {**node.extra, "_meta": meta}
        )
        notes.append(
            f"node {node.label} is titled {load_node(folder)!r} in the copy, so that folder {folder!r}"
            " feeds it"
        )
        others = [one for one in free if one != folder]
        if len(free) > 1:
            shown = " or ".join(map(repr, others))
            notes.append(
                f"that folder {folder!r} feeds it is a guess, it could be {shown}: if so, title the node"
                f" {load_node(others[0])!r} in the copy"
            )
    if notes:
        changed = Workflow(nodes, workflow.source)
    else:
        changed = workflow
    return Roles(changed, tuple(kept[node.id] for node in loaders), tuple(notes))


def reference(folders: Sequence[str]) -> tuple[str, bool]:
    """The folder that results are compared with, among those that feed nothing, and whether it is a guess."""
    if not folders:
        return "", False
    named = _called(folders, (*_REFERENCES, *_MASKS))
    if named:
        return (named[0], len(named) > 1)
    return (folders[0], len(folders) > 1)


def _chosen(node: Node, free: Sequence[str]) -> str:
    """A folder for a loader, the likeliest of those that are free; "" if there is none."""
    masked = "mask" in f"{node.title} {node.class_type}".lower()
    if named := _called(free, _MASKS if masked else _INPUTS):
        return named[0]
    unlikely = _called(free, _REFERENCES if masked else (*_REFERENCES, *_MASKS))
    return next((folder for folder in free if folder not in unlikely), next(iter(free), ""))


def _called(folders: Sequence[str], names: Sequence[str]) -> list[str]:
    """Folders of these names, the likeliest first."""
    by_name = {folder.lower(): folder for folder in reversed(folders)}
    return [by_name[name] for name in names if name in by_name]


def _folder(title: str) -> str:
    """The folder whose images feed a node of this title, or ""."""
    match = _FOLDER.fullmatch(title)
    if match and safe_name(match[1]) == match[1]:
        return match[1]
    return ""


def _new_folder(title: str, taken: set[str]) -> str:
    words = re.sub(r"\b(load|image)\b", " ", title, flags=re.IGNORECASE)
    base = " ".join(re.sub(r"[^\w ]", " ", words).split())[:40].strip()
    if not (base and base.lower() not in ("loadimage", "loadimagemask", "mask") and safe_name(base) == base):
        base = "Input"
    if "mask" in title.lower() and base == "Input":
        base = "Mask"
    return next(name for n in range(1, 10_000) if (name := base if n == 1 else f"{base} {n}") not in taken)
