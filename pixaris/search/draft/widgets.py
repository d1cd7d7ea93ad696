"""The inputs of a node that a search may vary: what they hold, and what they take."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from pixaris.comfyui.graph.branches import lacking_for
from pixaris.comfyui.graph.intake import Intake, intake
from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.graph.values import UnfitError, check, fit
from pixaris.comfyui.object_info import WIDGET_TYPES, InputSpec, NodeClass, ObjectInfo, is_model_file
from pixaris.search.draft.default_domains import USUAL, is_real
from pixaris.search.draft.standard_nodes import STANDARD_NODES
from pixaris.types import ParamValue

UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
_LARGEST = 1e90  # a search file's numbers have a hundred digits at most
_MADE_BY_TYPE = {bool: "BOOLEAN", int: "INT", float: "FLOAT", str: "STRING"}


@dataclass(frozen=True)
class Widget:
    """An input that holds, or may hold, a value of its own.

    Attributes:
        name: The input, or the literal in a structure.
        spec: What it takes.
        own: The workflow's value; of what is not there, what the user interface fills in.
        there: Whether the workflow has it.
        choice: The dynamic combo on whose options it hangs, "" for none.
        options: Those options.
        left_out: Options of this dynamic combo that the workflow's node cannot have.
    """

    name: str
    spec: InputSpec
    own: ParamValue
    there: bool = True
    choice: str = ""
    options: tuple[ParamValue, ...] = ()
    left_out: tuple[ParamValue, ...] = ()

    @property
    def dynamic(self) -> bool:
        """Whether it decides about other inputs, or hangs on one that does."""
        return bool(self.choice or self.spec.branches)


def loads(node: Node, info: ObjectInfo | None = None) -> bool:
    """Whether a node loads an image that it is given."""
    named = "loadimage" in re.sub(r"[^A-Za-z]", "", node.class_type).lower()
    return named and isinstance(intake(node, info), Intake)


def widgets(node: Node, info: ObjectInfo) -> Iterator[Widget]:
    """The inputs of a node that hold or may hold a value of their own."""
    known = info.node_class(node.class_type)
    specs = _specs(node, known)
    seen: set[str] = set()
    for name, own in [*node.literals(), *((name, None) for name in specs if name not in node.inputs)]:
        if name in seen or not name.strip() or name.rpartition(".")[2] == "filename_prefix":
            continue
        seen.add(name)
        widget = _widget(node, name, own, specs.get(name), info)
        if widget is not None and not widget.choice and not widget.spec.branches:
            yield widget
        elif widget is not None and known is not None:
            yield from _with_choice(widget, node, known)


def usable(own: ParamValue, spec: InputSpec) -> tuple[ParamValue | None, str]:
    """The workflow's value as the input takes it; else the nearest that it takes, or None, and what is
    wrong.
    """
    try:
        return fit(own, spec, own), ""
    except UnfitError as error:
        fault = str(error)
    try:
        check(own, spec)  # servers convert: 2.9 is 2 to them
        value: ParamValue | None = None
        if spec.type == "INT":
            value = int(float(own))
        elif spec.type == "FLOAT":
            value = float(own)
    except (UnfitError, ValueError, OverflowError):
        value = _nearest(own, spec)
    return value, fault


def _specs(node: Node, known: NodeClass | None) -> Mapping[str, InputSpec]:
    """What is known of a node's inputs, those that hang on options not chosen too."""
    if known is None:
        return STANDARD_NODES.get(node.class_type, {})
    return {**known.every_input(), **known.inputs_with(node.inputs)}


def _widget(node: Node, name: str, own: object, spec: InputSpec | None, info: ObjectInfo) -> Widget | None:
    if spec is not None and spec.upload:
        return None
    if name == "image" and loads(node, info):
        return None
    if name not in node.inputs and spec is not None and node.place(name) is None:
        own = spec.default
        if spec.required:
            hangs = "." in name
            own = spec.initial if hangs else None
    if not isinstance(own, str | int | float) or not _writable(own) or not _writable(name):
        return None
    if spec is None:
        spec = _guessed(node, name, own, info)
    elif spec.type == "COMBO" and spec.remote:
        spec = replace(spec, options=tuple(dict.fromkeys([own, *USUAL.get(name, ())])))
    if spec is None or spec.type not in WIDGET_TYPES:
        return None
    options = tuple(option for option in spec.options if _writable(option))
    there = node.place(name) is not None
    return Widget(name, replace(spec, options=options), own, there, _choice_of(node, name, info))


def _guessed(node: Node, name: str, own: ParamValue, info: ObjectInfo) -> InputSpec | None:
    """What an input takes of which nothing is known but its name and its value."""
    if name not in node.inputs and isinstance(own, str):  # in a structure, where most texts are no values
        files = sorted(info.model_files(name.rpartition(".")[2]))
        options = tuple(dict.fromkeys([*files, own]))
        if is_model_file(own):
            return InputSpec("COMBO", True, options=options)
        return None
    if own == "" and node.class_type in info:  # a button of the user interface
        return None
    kind = _MADE_BY_TYPE[type(own)]
    if kind == "INT" and is_real(node.class_type, name):  # 1.0 is exported as 1
        kind = "FLOAT"
    return InputSpec(kind, True)


def _choice_of(node: Node, name: str, info: ObjectInfo) -> str:
    """The dynamic combo on whose options an input hangs."""
    known = info.node_class(node.class_type)
    around = name.rpartition(".")[0]
    if known is not None and around:
        specs = known.every_input()
    else:
        specs = {}
    if around in specs and specs[around].branches:
        return around
    return ""


def _with_choice(widget: Widget, node: Node, known: NodeClass) -> Iterator[Widget]:
    """A dynamic combo without the options that the node cannot have, or what hangs on the others."""
    specs = known.every_input()
    if widget.spec.branches:
        able = [option for option in widget.spec.options if _can(widget.name, option, known, node)]
        left_out = tuple(option for option in widget.spec.options if option not in able)
        spec = replace(widget.spec, options=tuple(able))
        widget = replace(widget, spec=spec, left_out=left_out)
    if not widget.choice:
        yield widget
        return
    choice, below = specs[widget.choice], widget.name.removeprefix(f"{widget.choice}.")
    own = node.get(widget.choice)
    first = [option for option in choice.options if option == own]
    wanted = known.inputs_with(node.inputs).get(widget.name, specs[widget.name])
    alike = []
    for option in dict.fromkeys([*first, *choice.options]):
        same = _alike(choice.branch(option).get(below), wanted)
        if same and _can(widget.choice, option, known, node):
            alike.append(option)
    if alike:
        yield replace(widget, options=tuple(alike))


def _can(choice: str, option: ParamValue, known: NodeClass, node: Node) -> bool:
    return not lacking_for(choice, option, known, node.inputs)


def _alike(spec: InputSpec | None, wanted: InputSpec) -> bool:
    """Whether an option has the input as another one has it: then one parameter serves them both."""
    if spec is None:
        return False
    facts = (wanted.type, wanted.min, wanted.max, wanted.options)
    return (spec.type, spec.min, spec.max, spec.options) == facts


def _writable(value: object) -> bool:
    """Whether a search file can hold a value."""
    if isinstance(value, str):
        return not UNWRITABLE.search(value)
    return isinstance(value, int | float) and abs(value) < _LARGEST


def _nearest(own: ParamValue, spec: InputSpec) -> ParamValue | None:
    if spec.type == "COMBO":
        words = [option for option in spec.options if isinstance(option, str)]
        close = get_close_matches(str(own), words, 1, 0.0)
        if close:
            return close[0]
        return next(iter(spec.options), None)
    if spec.type in ("INT", "FLOAT") and isinstance(own, int | float) and not isinstance(own, bool):
        if spec.min is not None:
            inside = max(own, spec.min)
        else:
            inside = own
        if spec.max is not None:
            inside = min(inside, spec.max)
        if spec.type == "INT":
            return int(inside)
        return float(inside)
    return spec.default
