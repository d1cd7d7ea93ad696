"""What a search over a workflow may vary: its inputs by node title, with type, range, value and a sensible
domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.graph.values import UnfitError, check, fit
from pixaris.comfyui.object_info import WIDGET_TYPES, InputSpec, ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.files import safe_name
from pixaris.generation.base import load_node
from pixaris.search.draft.default_domains import Suggestion, suggest
from pixaris.types import GenerationParam, ParamValue

_FOLDER = re.compile(r"Load (.+) Image")
_UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
_LARGEST = 1e90  # a search file's numbers have a hundred digits at most
_MADE_BY_TYPE = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}


@dataclass(frozen=True)
class Proposal:
    """One input of a node.

    Attributes:
        name: The parameter's name, unique in its file.
        node_name: How a search file names the node: its title, or its id where the title is not its own.
        input: The input.
        about: Type, range and the workflow's value, for people.
        suggestion: The domain, or None where none can be written.
    """

    name: str
    node_name: str
    input: str
    about: str
    suggestion: Suggestion | None


@dataclass(frozen=True)
class Draft:
    """What a search file can be made of.

    Attributes:
        workflow: The workflow, its image loaders titled as folders of an eval set feed them.
        folders: Folders that an eval set must have.
        output_node: What the generator must be told, "" where it finds the node itself.
        fixed: Values that stand in for those of the workflow that the server refuses.
        nodes: Node title to its inputs, in the workflow's order.
        notes: What a person should know, a sentence each.
    """

    workflow: Workflow
    folders: tuple[str, ...] = ()
    output_node: str = ""
    fixed: tuple[GenerationParam, ...] = ()
    nodes: Mapping[str, tuple[Proposal, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def active(self) -> int:
        """How many parameters stand in."""
        return sum(
            p.suggestion is not None and p.suggestion.active for rows in self.nodes.values() for p in rows
        )


def draft(workflow: Workflow, info: ObjectInfo, folders: Sequence[str] = ()) -> Draft:
    """Find out what a search over a workflow may vary.

    Args:
        workflow: The workflow.
        info: What the server says of its nodes.
        folders: Folders of the eval set; image loaders without a folder's title get their titles first.
    """
    workflow, needed, notes = _with_folders(workflow, folders)
    output, output_notes = _output(workflow, info)
    notes += output_notes
    reached = _reached(workflow, info)
    names = _names(workflow)
    taken: set[str] = set()
    fixed: list[GenerationParam] = []
    found: dict[str, tuple[Proposal, ...]] = {}
    for node in workflow.nodes.values():
        name = names.get(node.id)
        if name is None:
            notes.append(
                f"node {node.label} is left out: neither its title nor its id names it alone; rename one of"
                " the nodes"
            )
            continue
        rows = []
        for key, spec, own in _inputs(node, info):
            usable, fault = _usable(own, spec)
            if fault and usable is not None:
                fixed.append(GenerationParam(name, key, usable))
                notes.append(
                    f"`{key}` of node {name!r} {fault}; generation_params gives it {usable!r} instead"
                )
            elif fault:
                notes.append(f"`{key}` of node {name!r} {fault}")
            rows.append(
                _proposal(
                    node, name, key, own, usable, spec, taken, in_use=node.id in reached, fixed=bool(fault)
                )
            )
        if rows:
            found[f"{name}\0{node.id}"] = tuple(rows)
    unknown = sorted({node.class_type for node in workflow.nodes.values() if node.class_type not in info})
    if unknown:
        notes.append(
            f"the server's node descriptions lack {', '.join(unknown)}: types are guessed from the workflow's"
            " values"
        )
    return Draft(workflow, needed, output, tuple(fixed), found, tuple(notes))


def _with_folders(workflow: Workflow, given: Sequence[str]) -> tuple[Workflow, tuple[str, ...], list[str]]:
    """The workflow with every image loader titled so that a folder feeds it, and the folders."""
    loaders = [node for node in workflow.nodes.values() if _loads(node)]
    titles = [node.title for node in workflow.nodes.values()]
    kept = {
        node.id: folder
        for node in loaders
        if titles.count(node.title) == 1 and (folder := _folder(node.title))
    }
    free = [folder for folder in given if folder not in kept.values()]
    notes = []
    nodes = dict(workflow.nodes)
    for node in loaders:
        if node.id in kept:
            continue
        taken = {*kept.values(), *(_folder(title) for title in titles if title != node.title)}
        folder = next((one for one in free if one not in taken), None) or _new_folder(node.title, taken)
        kept[node.id] = folder
        meta = {**dict(node.extra.get("_meta") or {}), "title": load_node(folder)}
        nodes[node.id] = Node(
            node.id, node.class_type, load_node(folder), node.inputs, {**node.extra, "_meta": meta}
        )
        notes.append(
            f"node {node.label} is titled {load_node(folder)!r} in the copy, so that folder {folder!r}"
            " feeds it"
        )
    changed = Workflow(nodes, workflow.source) if notes else workflow
    return changed, tuple(kept[node.id] for node in loaders), notes


def _loads(node: Node) -> bool:
    return node.class_type.startswith("LoadImage") and isinstance(node.inputs.get("image"), str)


def _folder(title: str) -> str:
    """The folder whose images feed a node of this title, or ""."""
    match = _FOLDER.fullmatch(title)
    return match[1] if match and safe_name(match[1]) == match[1] else ""


def _new_folder(title: str, taken: set[str]) -> str:
    words = re.sub(r"\b(load|image)\b", " ", title, flags=re.IGNORECASE)
    base = " ".join(re.sub(r"[^\w ]", " ", words).split())[:40].strip()
    base = (
        base
        if base and base.lower() not in ("loadimage", "loadimagemask", "mask") and safe_name(base) == base
        else "Input"
    )
    base = "Mask" if "mask" in title.lower() and base == "Input" else base
    return next(name for n in range(1, 10_000) if (name := base if n == 1 else f"{base} {n}") not in taken)


def _names(workflow: Workflow) -> dict[str, str]:
    """Node id to how a search file names the node."""
    found = {}
    for node in workflow.nodes.values():
        for name in (node.title, node.id):
            try:
                alone = workflow.find(name) is node and name.strip() and not _UNWRITABLE.search(name)
            except WorkflowError:
                continue
            if alone:
                found[node.id] = name
                break
    return found


def _output(workflow: Workflow, info: ObjectInfo) -> tuple[str, list[str]]:
    """What to tell the generator about its output node."""
    try:
        node = workflow.output_node()
    except WorkflowError:
        pass
    else:
        if node.class_type not in info or info.is_output(node.class_type):
            return "", []
    names = _names(workflow)
    ends = [n for n in workflow.nodes.values() if n.id in names and _ends(n, info)]
    saving = [n for n in ends if n.class_type == "SaveImage"] or ends
    if not saving:
        return "", ["no node saves an image, so nothing would run; add a SaveImage node"]
    best = max(saving, key=lambda end: len(_ancestors(workflow, [end.id])))
    rest = ", ".join(node.label for node in saving if node is not best)
    others = f" ({rest} {'do' if ', ' in rest else 'does'} not count)" if rest else ""
    return names[best.id], [
        f"the result is what node {best.label} saves{others}; generator.output_node says so"
    ]


def _ends(node: Node, info: ObjectInfo) -> bool:
    return info.is_output(node.class_type) or node.class_type in ("SaveImage", "PreviewImage")


def _reached(workflow: Workflow, info: ObjectInfo) -> set[str]:
    """Ids of the nodes that an output node depends on."""
    return _ancestors(
        workflow, [node.id for node in workflow.nodes.values() if _ends(node, info)] or list(workflow.nodes)
    )


def _ancestors(workflow: Workflow, ends: Sequence[str]) -> set[str]:
    ahead = list(ends)
    found: set[str] = set()
    while ahead:
        key = ahead.pop()
        if key in workflow.nodes and key not in found:
            found.add(key)
            ahead += [source for _, source, _ in workflow.nodes[key].links()]
    return found


def _inputs(node: Node, info: ObjectInfo) -> Iterator[tuple[str, InputSpec, ParamValue]]:
    """The inputs that hold or may hold a value of their own, with it."""
    known = info.node_class(node.class_type)
    specs = dict(known.inputs) if known else {}
    for key in dict.fromkeys([*node.inputs, *specs]):
        spec, own = specs.get(key), node.inputs.get(key)
        if (
            (key == "image" and _loads(node))
            or (spec and spec.upload)
            or key == "filename_prefix"
            or not key.strip()
        ):
            continue
        if key not in node.inputs and spec is not None:
            own = spec.default if not spec.required else None  # what is missing is told by the check
        if not _writable(own) or not _writable(key):
            continue
        if spec is None:
            spec = InputSpec(_MADE_BY_TYPE[type(own)], required=True)
        elif spec.type == "COMBO" and spec.remote:
            spec = replace(spec, type=_MADE_BY_TYPE[type(own)])
        if spec.type in WIDGET_TYPES and own is not None:
            yield (
                key,
                replace(spec, options=tuple(option for option in spec.options if _writable(option))),
                own,
            )


def _writable(value: object) -> bool:
    """Whether a search file can hold a value."""
    if isinstance(value, str):
        return not _UNWRITABLE.search(value)
    return isinstance(value, int | float) and abs(value) < _LARGEST


def _usable(own: ParamValue, spec: InputSpec) -> tuple[ParamValue | None, str]:
    """The workflow's value as the input takes it; else the nearest that it takes, or None, and what is
    wrong.
    """
    try:
        return fit(own, spec, own), ""
    except UnfitError as error:
        fault = str(error)
    try:
        check(own, spec)  # servers convert: 2.9 is 2 to them
        value: ParamValue | None = (
            int(float(own)) if spec.type == "INT" else float(own) if spec.type == "FLOAT" else None
        )
    except (UnfitError, ValueError, OverflowError):
        value = _nearest(own, spec)
    return value, fault


def _nearest(own: ParamValue, spec: InputSpec) -> ParamValue | None:
    if spec.type == "COMBO":
        words = [option for option in spec.options if isinstance(option, str)]
        close = get_close_matches(str(own), words, 1, 0.0)
        return close[0] if close else next(iter(spec.options), None)
    if spec.type in ("INT", "FLOAT") and isinstance(own, int | float) and not isinstance(own, bool):
        inside = max(own, spec.min) if spec.min is not None else own
        inside = min(inside, spec.max) if spec.max is not None else inside
        return int(inside) if spec.type == "INT" else float(inside)
    return spec.default


def _proposal(
    node: Node,
    name: str,
    key: str,
    own: ParamValue,
    usable: ParamValue | None,
    spec: InputSpec,
    taken: set[str],
    *,
    in_use: bool,
    fixed: bool,
) -> Proposal:
    suggestion = None if usable is None else suggest(node.class_type, key, usable, spec)
    if suggestion is not None and suggestion.active and (fixed or not in_use):
        why = (
            "generation_params sets it, take it out there first"
            if fixed
            else "its node does not reach an output"
        )
        suggestion = replace(suggestion, active=False, note=why)
    return Proposal(_unique(key, name, taken), name, key, _about(own, spec), suggestion)


def _unique(key: str, node_name: str, taken: set[str]) -> str:
    """A parameter's name: the input's, with the node's where that is taken."""
    short, long = (
        re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").lower()[:40] for text in (key, f"{node_name} {key}")
    )
    base = short or "value"
    names = [base, long or base, *(f"{base}_{number}" for number in range(2, 100_000))]
    name = next(name for name in names if name not in taken)
    taken.add(name)
    return name


def _about(own: ParamValue, spec: InputSpec) -> str:
    kind = spec.type
    if spec.type == "COMBO":
        kind = f"{'models' if spec.lists_models else 'options'}: {len(spec.options)}"
    elif spec.min is not None or spec.max is not None:
        kind += (
            f" {'…' if spec.min is None else f'{spec.min:g}'} to"
            f" {'…' if spec.max is None else f'{spec.max:g}'}"
        )
    value = str(own).lower() if isinstance(own, bool) else repr(own)
    return f"{kind}; workflow: {value if len(value) <= 60 else f'{value[:59]}…'}"
