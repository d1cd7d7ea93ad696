"""What a search over a workflow may vary: its inputs by node title, with type, range, value and a sensible
domain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import InputSpec, ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.search.draft.default_domains import Suggestion, a_seed, suggest
from pixaris.search.draft.folders import roles
from pixaris.search.draft.names import Namer
from pixaris.search.draft.results import ends, reached, result_of
from pixaris.search.draft.standard_nodes import STANDARD_NODES
from pixaris.search.draft.widgets import UNWRITABLE, Widget, usable, widgets
from pixaris.types import GenerationParam, ParamValue


@dataclass(frozen=True)
class DraftInput:
    """One input of a node.

    Attributes:
        name: The parameter's name, unique in its file.
        node_name: How a search file names the node: its title, or its id where the title is not its own.
        input: The input.
        about: Type, range and the workflow's value, for people.
        suggestion: The domain, or None where none can be written.
        when: Parameter and its values without which the input is not there; None for none.
    """

    name: str
    node_name: str
    input: str
    about: str
    suggestion: Suggestion | None
    when: tuple[str, tuple[ParamValue, ...]] | None = None


@dataclass(frozen=True)
class Group:
    """The inputs of one node.

    Attributes:
        heading: What the node is called, for people: with class and id where its title is another's too.
        rows: The inputs.
    """

    heading: str
    rows: tuple[DraftInput, ...]


@dataclass(frozen=True)
class Draft:
    """What a search file can be made of.

    Attributes:
        workflow: The workflow, its image loaders titled as folders of an eval set feed them.
        folders: Folders that an eval set must have.
        output_node: What the generator must be told, "" where it finds the node itself.
        fixed: Values that stand in for those of the workflow that the server refuses.
        groups: The nodes' inputs, in the workflow's order.
        notes: What a person should know, a sentence each.
    """

    workflow: Workflow
    folders: tuple[str, ...] = ()
    output_node: str = ""
    fixed: tuple[GenerationParam, ...] = ()
    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> list[DraftInput]:
        """Every input."""
        return [row for group in self.groups for row in group.rows]

    @property
    def active(self) -> int:
        """How many parameters stand in."""
        return sum(row.suggestion is not None and row.suggestion.active for row in self.rows)


def draft(workflow: Workflow, info: ObjectInfo, folders: Sequence[str] = ()) -> Draft:
    """Find out what a search over a workflow may vary.

    Args:
        workflow: The workflow.
        info: What the server says of its nodes.
        folders: Folders of the eval set; image loaders without a folder's title get their titles first.
    """
    # First: loaders get their titles by it, and all that follows names nodes by their titles.
    parts = roles(workflow, folders, info)
    output, output_notes = result_of(parts.workflow, info)
    notes = [*parts.notes, *output_notes]
    drafter = _Drafter(parts.workflow, info)
    groups = [drafter.group(node) for node in parts.workflow.nodes.values()]
    notes += drafter.notes
    classes = {node.class_type for node in workflow.nodes.values()}
    unknown = sorted(kind for kind in classes if kind not in info and kind not in STANDARD_NODES)
    if unknown:
        notes.append(
            f"the server's node descriptions lack {', '.join(unknown)}: types are guessed from the workflow's"
            " values"
        )
    found = tuple(group for group in groups if group.rows)
    return Draft(parts.workflow, parts.inputs, output, tuple(drafter.fixed), found, tuple(notes))


class _Drafter:
    """Goes through the nodes of a workflow, and gathers what is to be said."""

    def __init__(self, workflow: Workflow, info: ObjectInfo) -> None:
        self._info = info
        self._names = _names(workflow)
        self._namer = Namer(workflow)
        self._seeds = {(node.id, name) for node, name in workflow.seeds(info)}
        self._in_use = reached(workflow, ends(workflow, info))
        self.fixed: list[GenerationParam] = []
        self.notes: list[str] = []

    def group(self, node: Node) -> Group:
        """A node's inputs; none of a node that nothing names alone."""
        title = self._names.get(node.id)
        if title is None:
            self.notes.append(
                f"node {node.label} is left out: neither its title nor its id names it alone; rename one of"
                " the nodes"
            )
            return Group("", ())
        rows: dict[str, DraftInput] = {}
        for widget in _choices_first(widgets(node, self._info)):
            # What hangs on a choice names the choice's parameter, so that one must be there already.
            rows[widget.name] = self._draft_input(node, title, widget, rows)
        own = title == node.title
        return Group(
            title if own else f"{node.title} ({node.class_type}, id {node.id})", tuple(rows.values())
        )

    def _draft_input(
        self, node: Node, title: str, widget: Widget, before: Mapping[str, DraftInput]
    ) -> DraftInput:
        key, spec, own = widget.name, widget.spec, widget.own
        value, fault = usable(own, spec)
        if fault and value is not None:
            self.fixed.append(GenerationParam(title, key, value))
            self.notes.append(
                f"`{key}` of node {title!r} {fault}; generation_params gives it {value!r} instead"
            )
        elif fault:
            self.notes.append(f"`{key}` of node {title!r} {fault}")
        suggestion = self._suggestion(node, key, value, spec)
        if suggestion is not None and suggestion.active and (why := self._why_not(node, widget, fault)):
            suggestion = replace(suggestion, active=False, note=why)
        elif suggestion is not None and widget.choice:
            suggestion = replace(suggestion, note=f"with `{widget.choice}`")
        elif suggestion is not None and widget.left_out:
            lacking = ", ".join(map(repr, widget.left_out))
            suggestion = replace(suggestion, note=f"{suggestion.note}; {lacking} would need further links")
        if widget.choice:
            chooser = before.get(widget.choice)
        else:
            chooser = None
        if chooser is not None:
            when = (chooser.name, widget.options)
        else:
            when = None
        words = about(own, spec, "workflow" if widget.there else "default")
        return DraftInput(self._namer.name(node, key), title, key, words, suggestion, when)

    def _suggestion(
        self, node: Node, key: str, value: ParamValue | None, spec: InputSpec
    ) -> Suggestion | None:
        if value is None:
            return None
        if (node.id, key) in self._seeds:
            return a_seed(value)
        return suggest(node.class_type, key, value, spec)

    def _why_not(self, node: Node, widget: Widget, fault: str) -> str:
        """Why an input is not searched although its purpose is known."""
        if fault:
            return "generation_params sets it, take it out there first"
        if node.id not in self._in_use:
            return "its node does not reach an output"
        if node.is_off(widget.name):
            return "it is switched off"
        if widget.choice:
            return f"with `{widget.choice}`"
        return ""


def about(own: ParamValue, spec: InputSpec, whose: str = "workflow") -> str:
    """Type, range and the value that there is, for people."""
    kind = spec.type
    if spec.type == "COMBO" and spec.remote:
        kind = f"the server's {'models' if spec.lists_models else 'options'}"
    elif spec.type == "COMBO":
        kind = f"{'models' if spec.lists_models else 'options'}: {len(spec.options)}"
    elif spec.min is not None or spec.max is not None:
        kind += (
            f" {'…' if spec.min is None else f'{spec.min:g}'} to"
            f" {'…' if spec.max is None else f'{spec.max:g}'}"
        )
    if isinstance(own, bool):
        value = str(own).lower()
    else:
        value = repr(own)
    return f"{kind}; {whose}: {value if len(value) <= 60 else f'{value[:59]}…'}"


def _choices_first(found: Iterable[Widget]) -> list[Widget]:
    """What hangs on a choice, behind that choice."""
    listed = list(found)
    depth = {widget.name: widget.name.count(".") if widget.choice else 0 for widget in listed}
    return sorted(listed, key=lambda widget: depth[widget.name])


def _names(workflow: Workflow) -> dict[str, str]:
    """Node id to how a search file names the node."""
    found = {}
    for node in workflow.nodes.values():
        for name in (node.title, node.id):
            try:
                # By title if that names it alone, since people know titles; ids change when a graph is saved
                # anew.
                alone = workflow.find(name) is node and name.strip() and not UNWRITABLE.search(name)
            except WorkflowError:
                continue
            if alone:
                found[node.id] = name
                break
    return found
