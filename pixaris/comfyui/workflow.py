"""An immutable API-format graph: find nodes by title, bind parameters and images, say what is wrong, give the
payload.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from pixaris.comfyui.graph import affinity, alternatives, seeds, structure, validation
from pixaris.comfyui.graph.branches import filled_in
from pixaris.comfyui.graph.intake import intake_of
from pixaris.comfyui.graph.node import Node, freeze, read_nodes, thaw
from pixaris.comfyui.graph.values import UnfitError, fit
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.declarations import declarations
from pixaris.exceptions import Problem, WorkflowError, nearest
from pixaris.types import GenerationParam, ParamValue

__all__ = ["Node", "ObjectInfo", "Workflow"]

DEFAULT_OUTPUT = "Save Image"
SAVING_CLASSES = ("SaveImage", "PreviewImage")


class Workflow:
    """A graph of nodes as a server runs it. Immutable, picklable, equal by content; every change gives a new
    object.

    Attributes:
        source: Its path, or ``workflow``: how errors name it.
        nodes: The nodes by id, in the file's order.
    """

    source: str
    nodes: Mapping[str, Node]

    def __init__(self, nodes: Mapping[str, Node], source: str = "workflow") -> None:
        self.source = source
        self.nodes = MappingProxyType(dict(nodes))

    @classmethod
    def load(cls, source: str | Path | Mapping[str, object]) -> Workflow:
        """Read an API-format workflow.

        Args:
            source: A file's path, or the parsed file.

        Raises:
            WorkflowError: It cannot be read, is not JSON, is UI format, or has nodes that are none; all
                faults at once.
        """
        name, nodes = read_nodes(source)
        return cls(nodes, name)

    def find(self, name: str) -> Node | None:
        """The node with a title, else with an id; None if there is none.

        Raises:
            WorkflowError: The title stands twice.
        """
        titled = [node for node in self.nodes.values() if node.title == name]
        if len(titled) > 1:
            ids = ", ".join(node.id for node in titled)
            raise WorkflowError(
                f"the title {name!r} stands {_times(len(titled))} (ids {ids}): use the id, or rename one",
                self.source,
            )
        if titled:
            return titled[0]
        return self.nodes.get(name)

    def has(self, name: str) -> bool:
        """Whether a node has this title or id, be it once or several times."""
        return name in self.nodes or any(node.title == name for node in self.nodes.values())

    def node(self, name: str) -> Node:
        """The node with a title, else with an id.

        Raises:
            WorkflowError: There is none (the message names the nearest title), or the title stands twice.
        """
        found = self.find(name)
        if found is None:
            raise WorkflowError(self._no_node(name), self.source)
        return found

    def value(self, node_name: str, input: str) -> ParamValue | None:
        """The literal an input has; None if it is null.

        Raises:
            WorkflowError: No such node or input, or the input is linked or holds a structure.
        """
        node = self.node(node_name)
        if node.place(input) is None:
            raise WorkflowError(_no_input(node, input, node.inputs), self.source)
        if node.is_linked(input):
            raise WorkflowError(self._linked(node, input), self.source)
        value = node.get(input)
        if isinstance(value, Mapping | tuple):
            raise WorkflowError(
                f"input {input!r} of node {node.label} {_structured(node, input)}", self.source
            )
        literal: ParamValue | None = value
        return literal

    def bind(self, params: Iterable[GenerationParam], object_info: ObjectInfo | None = None) -> Workflow:
        """A workflow with other values; this one stays as it is.

        An input is called by its name, a literal in the structure that one holds by its place in it
        (``lora_1.strength``), what hangs on an option of a dynamic combo by both (``resize_type.width``).

        Args:
            params: Values to bind. Numpy scalars are taken as plain numbers.
            object_info: With it, types, ranges and options are checked, and inputs that the file leaves out
                can be bound. Where another option of a dynamic combo is bound, what hangs on it and is not
                there gets the value that the user interface fills in.

        Raises:
            WorkflowError: Some values cannot be bound; all of them are told.
        """
        nodes = dict(self.nodes)
        params = list(params)
        bound: dict[tuple[str, structure.Place], ParamValue] = {}
        problems: list[Problem] = []
        for param in params:
            where = f"node {param.node_name!r}, input {param.input!r}"
            try:
                node, value = self._fitted(param, params, object_info)
                before = bound.setdefault((node.id, node.place(param.input) or (param.input,)), value)
                if before != value or isinstance(before, bool) != isinstance(value, bool):
                    raise UnfitError(f"is bound twice, to {before!r} and to {value!r}; keep one")
                nodes[node.id] = nodes[node.id].with_input(param.input, value)
            except UnfitError as error:
                problems.append(Problem(where, str(error)))
            except WorkflowError as error:
                problems.extend(Problem(where, problem.message) for problem in error.problems)
        if problems:
            raise WorkflowError(problems, self.source)
        if object_info is not None:
            for key in {key for key, _ in bound}:
                nodes[key] = filled_in(nodes[key], self.nodes[key], object_info)
        return Workflow(nodes, self.source)

    def image_input(self, node_name: str) -> str:
        """The input under which a node names or holds the image that it loads.

        Raises:
            WorkflowError: No such node, or it loads no image that can be given to it.
        """
        return intake_of(self.node(node_name), self.nodes, self.source).input

    def bind_image(self, node_name: str, file_name: str, input: str = "") -> Workflow:
        """A workflow in which an image-loading node loads another file.

        Args:
            node_name: Title or id of a LoadImage node, or one like it.
            file_name: A name in the server's input folder, e.g. ``pixaris/0a1b.png``.
            input: Where it goes; by default `image_input`.

        Raises:
            WorkflowError: No such node, it loads no image file, or the name is empty.
        """
        node, name = self.node(node_name), input or self.image_input(node_name)
        if not isinstance(file_name, str) or not file_name:
            raise WorkflowError(
                f"the image for node {node.label} must be a file name (got {file_name!r})", self.source
            )
        return Workflow({**self.nodes, node.id: node.with_input(name, file_name)}, self.source)

    def output_node(self, name: str | None = None) -> Node:
        """The node whose images are the result.

        Args:
            name: Title or id; None means the node titled "Save Image", else the only SaveImage, else the only
                PreviewImage, else the only one that leads nowhere else, or of those the only one that saves
                by its name.

        Raises:
            WorkflowError: There is none, or several; candidates are listed.
        """
        if name is not None:
            return self.node(name)
        titled = self.find(DEFAULT_OUTPUT)
        if titled is not None:
            return titled
        for class_type in SAVING_CLASSES:
            found = [node for node in self.nodes.values() if node.class_type == class_type]
            if len(found) == 1:
                return found[0]
            if found:
                break
        used = {source for node in self.nodes.values() for _, source, _ in node.links()}
        candidates = found or [node for node in self.nodes.values() if node.id not in used]
        able = [node for node in candidates if not found and _may_save(node)]
        able = [node for node in able if _saves(node)] or able
        if len(able) == 1:
            return able[0]
        listed = ", ".join(node.label for node in candidates)
        raise WorkflowError(
            f"which node gives the result is not clear: title one {DEFAULT_OUTPUT!r}, or name it; candidates:"
            f" {listed or 'none'}",
            self.source,
        )

    def seeds(self, object_info: ObjectInfo | None = None) -> tuple[tuple[Node, str], ...]:
        """The literals that seed it, by node and name; see `seeds.seeds`."""
        return seeds.seeds(self.nodes, object_info)

    def problems(
        self, object_info: ObjectInfo, pending: Iterable[tuple[str, str]] | None = None
    ) -> list[Problem]:
        """Everything the server would refuse about this graph, at once; empty if it would run.

        Args:
            object_info: The server's node classes.
            pending: (node title or id, input) of values that will still be bound: they are not judged. When
                given, an image file that another node loads must be on the server; when None, image files are
                not looked for.

        Raises:
            WorkflowError: A name in `pending` is unknown or stands twice.
        """
        if pending is None:
            places = None
        else:
            places = {(self.node(name).id, input) for name, input in pending}
        return validation.problems(self.nodes, object_info, places)

    @property
    def titles(self) -> tuple[tuple[str, str], ...]:
        """Node id and title of every node."""
        return tuple((node.id, node.title) for node in self.nodes.values())

    def canonical_json(self) -> str:
        """The payload as text: sorted keys, no titles. Equal graphs that generate the same have equal
        texts.
        """
        graph = {
            node.id: {"class_type": node.class_type, "inputs": thaw(node.inputs)}
            for node in self.nodes.values()
        }
        return json.dumps(graph, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def as_dict(self) -> dict[str, object]:
        """A fresh API-format dict with titles, ready to load into ComfyUI."""
        return {node.id: node.as_dict() for node in self.nodes.values()}

    def affinity_key(self, object_info: ObjectInfo | None = None) -> str:
        """Equal for graphs that need the same model files loaded; empty if the graph loads none.

        Args:
            object_info: With it, inputs whose options are model files count, whatever their name.
        """
        nodes, _ = alternatives.chosen(self.nodes)
        return affinity.affinity_key(nodes, object_info)

    def _fitted(
        self, param: GenerationParam, beside: Iterable[GenerationParam], info: ObjectInfo | None
    ) -> tuple[Node, ParamValue]:
        """The node that a parameter is for, and the value that its input takes.

        Args:
            param: The parameter.
            beside: All that are bound with it: what hangs on an option is typed by the option that is bound.
            info: What the server says of its nodes.
        """
        node = self.node(param.node_name)
        asked = {one.input: one.value for one in beside if one.node_name in (node.title, node.id)}
        if info:
            spec = info.input(node.class_type, param.input, {**node.inputs, **asked})
        else:
            spec = None
        if node.place(param.input) is None and spec is None:
            if info:
                known = info.node_class(node.class_type)
            else:
                known = None
            raise UnfitError(_no_input(node, param.input, {**(known.inputs if known else {}), **node.inputs}))
        if node.is_linked(param.input):
            raise UnfitError(self._linked(node, param.input))
        own = node.get(param.input)
        if isinstance(own, Mapping | tuple):
            raise UnfitError(_structured(node, param.input))
        return node, fit(_plain(param.value), spec, own)

    def _linked(self, node: Node, input: str) -> str:
        source = next(
            (self.nodes[key].label for name, key, _ in node.links() if name == input and key in self.nodes),
            "another node",
        )
        return (
            f"input {input!r} of node {node.label} is linked to node {source}, so it has no value of its own;"
            " use that node"
        )

    def _no_node(self, name: str) -> str:
        titles = [node.title for node in self.nodes.values()]
        shown = ", ".join(repr(title) for title in titles[:20]) + (", …" if len(titles) > 20 else "")
        return f"no node has the title or id {name!r}{nearest(str(name), titles)}; titles are {shown}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and other._content == self._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def _content(self) -> str:  # text, because 1, 1.0 and True are equal values
        return json.dumps(self.as_dict(), sort_keys=True)

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__ or name not in ("source", "nodes"):
            raise AttributeError(
                f"a Workflow does not change; bind() gives a new one (tried to set {name!r})"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Workflow does not change (tried to delete {name!r})")

    def __reduce__(self) -> tuple[object, ...]:  # mapping proxies do not pickle
        return Workflow, (dict(self.nodes), self.source)

    def __repr__(self) -> str:
        return f"Workflow({self.source!r}, {len(self.nodes)} nodes)"


def alternatives_of(workflows: Mapping[str, tuple[Workflow, str]]) -> Workflow:
    """Several workflows in one, of which a parameter chooses; see `alternatives`.

    Args:
        workflows: Name to workflow, and to the id of the node that gives its result.

    Raises:
        WorkflowError: There are fewer than two, or a name cannot be one.
    """
    graphs = {name: workflow.nodes for name, (workflow, _) in workflows.items()}
    outputs = {name: output for name, (_, output) in workflows.items()}
    source = ", ".join(workflow.source for workflow, _ in workflows.values())
    return Workflow(alternatives.merged(graphs, outputs), source)


def chosen(workflow: Workflow) -> tuple[Workflow, str]:
    """The workflow that is chosen of several, and the id of the node that gives its result; the same and ""
    where there is nothing to choose.
    """
    nodes, output = alternatives.chosen(workflow.nodes)
    if output:
        return (Workflow(nodes, workflow.source), output)
    return (workflow, "")


def _may_save(node: Node) -> bool:
    """Whether nothing speaks against it that a node saves images: a custom class is simply not known."""
    declared = declarations().get(node.class_type)
    return declared is None or bool(declared["output_node"])


def _saves(node: Node) -> bool:
    """Whether a node of a custom class saves images, by its names."""
    takes_images = any(name in ("images", "image") for name, _, _ in node.links())
    return takes_images and ("save" in node.class_type.lower() or "filename_prefix" in node.inputs)


def _structured(node: Node, input: str) -> str:
    """What to say of a structure where a value is asked for."""
    inside = [name for name, _ in node.literals() if name.startswith(f"{input}.")]
    listed = ", ".join(inside[:12]) + (", …" if len(inside) > 12 else "")
    if inside:
        way_out = f"; name one of {listed}"
    else:
        way_out = ""
    return f"holds a structure, not a value: {thaw(node.get(input))!r}{way_out}"


def _plain(value: object) -> ParamValue:
    try:
        plain = freeze(value)
    except ValueError as error:
        raise UnfitError(f"cannot be bound: {error}") from None
    if not isinstance(plain, str | int | float | bool):
        raise UnfitError(f"must be a number, text, or true or false (got {value!r})")
    return plain


def _no_input(node: Node, input: str, inputs: Iterable[str]) -> str:
    known = dict.fromkeys([*inputs, *(name for name, _ in node.literals())])
    names = ", ".join(known) or "none"
    return f"node {node.label} has no input {input!r}{nearest(input, known)}; its inputs are {names}"


def _times(count: int) -> str:
    if count == 2:
        return "twice"
    return f"{count} times"
