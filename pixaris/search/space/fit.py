"""Whether a domain's values fit the node input they are for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.graph.values import UnfitError, fit
from pixaris.comfyui.object_info import WIDGET_TYPES, InputSpec
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.generation.base import Fault
from pixaris.search.space.domain import SPREAD, Domain
from pixaris.types import GenerationParam, ParamValue

_IMAGE_LOADERS = ("LoadImage", "LoadImageMask", "LoadImageOutput")
_MOST_TOLD = 5
_MOST_TRIED = 256
_BETWEEN = (0.618034, 0.271828, 0.112358)
"""Where in a domain values are tried besides its bounds, as parts of its width; round numbers would pass
where others do not.
"""


@dataclass(frozen=True, order=True)
class Target:
    """One input of one node, found by its title."""

    node_name: str
    input: str

    def __str__(self) -> str:
        if self.node_name == self.input:
            return f"`{self.input}`"
        return f"`{self.input}` of node {self.node_name!r}"


class Surroundings(Protocol):
    """What is chosen around an input while a value is bound to it."""

    def specs(self, node: Node, name: str) -> tuple[list[InputSpec], list[str]]:
        """What the input may be then, and why it may not be there at all."""

    def lacking(self, node: Node, name: str, option: ParamValue) -> list[str]:
        """What the node does not have that an option of a dynamic combo needs."""


def faults_of_domain(
    target: Target, domain: Domain, workflow: Workflow, around: Surroundings | None
) -> list[Fault]:
    """Everything that keeps a domain's values from being bound to an input.

    Args:
        target: The input.
        domain: The values; a fixed value is a choice of one.
        workflow: It must have the node and the input.
        around: What the server says of its nodes; without, only the workflow's own value tells the type.
    """
    try:
        node = workflow.node(target.node_name)
    except WorkflowError as error:
        return [Fault(str(problem), of_target=True) for problem in error.problems]
    if around is not None:
        specs, faults = around.specs(node, target.input)
    else:
        specs, faults = ([], [])
    found = [Fault(f"{target} {message}", of_target=True) for message in faults]
    possible: list[InputSpec | None] = list(specs)
    for spec in possible or ([] if found else [None]):
        found += _faults(target, domain, workflow, spec)
        if spec is not None and spec.branches and around is not None and not found:
            found += _unable(target, domain, node, around)
    return list(dict.fromkeys(found))


def _unable(target: Target, domain: Domain, node: Node, around: Surroundings) -> list[Fault]:
    """Options of a dynamic combo that need what the node does not have."""
    found = []
    for option in domain.options:
        if lacking := around.lacking(node, target.input, option):
            found.append(
                Fault(
                    f"{target} cannot be {option!r}: the node then needs {', '.join(lacking)}, which the"
                    " workflow does not have; leave it out"
                )
            )
    return found


def _faults(target: Target, domain: Domain, workflow: Workflow, spec: InputSpec | None) -> list[Fault]:
    try:
        node = workflow.node(target.node_name)
        if (spec and spec.upload) or (node.class_type in _IMAGE_LOADERS and target.input == "image"):
            message = (
                f"{target} is an image file, which the eval set provides; to try several files, list them"
                " under images"
            )
            return [Fault(message, of_target=True)]
        # an optional input that the workflow leaves out is known from the server alone
        absent = spec is not None and node.place(target.input) is None
        if absent:
            own = None
        else:
            own = workflow.value(target.node_name, target.input)
    except WorkflowError as error:
        return [Fault(str(problem), of_target=True) for problem in error.problems]
    if spec is not None and spec.type not in WIDGET_TYPES:
        return [Fault(f"{target} takes a link ({spec.type}), not a value", of_target=True)]
    if domain.bounds is not None and (wanted := _wanted_instead_of_numbers(spec, own)):
        return [Fault(f"{target} is {wanted}, so {domain.kind} cannot set it; use choice")]
    if domain.bounds is not None and not domain.whole and spec is not None and spec.type == "INT":
        return [
            Fault(
                f"{target} takes whole numbers, but {domain.describe()} draws fractions;"
                f" {_whole_instead(domain)}"
            )
        ]
    values: tuple[ParamValue, ...] = domain.bounds or domain.options
    unfit = [reason for value in values if (reason := _unfit(value, spec, own))]
    if domain.bounds:
        drawn = f", drawn by {domain.describe()}"
    else:
        drawn = ""
    drawn += f", which reaches {SPREAD:g} standard deviations" if domain.sd is not None else ""
    faults = [Fault(f"{target} {message}{drawn}") for message in unfit[:_MOST_TOLD]]
    if len(unfit) > _MOST_TOLD:
        faults.append(Fault(f"{target}: … and {len(unfit) - _MOST_TOLD} more values do not fit"))
    return faults


def faults_by_trying(
    target: Target, domain: Domain, fault: Callable[[GenerationParam], Fault | None]
) -> list[Fault]:
    """Everything that keeps a domain's values from being set, for generators without a workflow.

    Args:
        target: The input.
        domain: The values; a fixed value is a choice of one.
        fault: Says why one value cannot be set.
    """

    def tried(values: Sequence[ParamValue]) -> list[Fault]:
        found = (fault(GenerationParam(target.node_name, target.input, value)) for value in values)
        return [one for one in found if one is not None]

    if domain.bounds is None:
        faults = tried(domain.options)
    else:
        faults = tried(domain.bounds) or tried(_between(domain))[:1]
    of_target = [one for one in faults if one.of_target]
    if of_target:
        return of_target[:1]
    if domain.bounds is None:
        if len(faults) > _MOST_TOLD:
            more = [Fault(f"{target}: … and {len(faults) - _MOST_TOLD} more values do not fit")]
        else:
            more = []
        return [*faults[:_MOST_TOLD], *more]
    return [
        Fault(f"{one.message}, drawn by {domain.describe()}{_fewer(domain, one.message)}") for one in faults
    ]


def _between(domain: Domain) -> Sequence[ParamValue]:
    """Values that a domain draws, besides its bounds."""
    assert domain.bounds is not None
    size = domain.size()
    if size is not None and size <= _MOST_TRIED:
        return domain.values()
    low, high = domain.bounds
    values = [low + part * (high - low) for part in _BETWEEN]
    if domain.whole:
        return [int(value) for value in values]
    return values


def _fewer(domain: Domain, message: str) -> str:
    if "whole number" in message and not domain.whole:
        return f"; {_whole_instead(domain)}"
    if "multiple of" in message:
        return "; use quniform with that step"
    return ""


def faults_of_image(target: Target, workflow: Workflow) -> list[Fault]:
    """Everything that keeps images from being loaded by an input's node."""
    try:
        name = workflow.image_input(target.node_name)
    except WorkflowError as error:
        return [Fault(str(problem), of_target=True) for problem in error.problems]
    if name != target.input:
        return [Fault(f"{target} loads no image file; its input {name!r} does", of_target=True)]
    return []


def _wanted_instead_of_numbers(spec: InputSpec | None, own: ParamValue | None) -> str:
    if spec is not None:
        return {"BOOLEAN": "true or false", "STRING": "text", "COMBO": "one of the server's options"}.get(
            spec.type, ""
        )
    if isinstance(own, bool):
        return "true or false"
    if isinstance(own, str):
        return "text"
    return ""


def _unfit(value: ParamValue, spec: InputSpec | None, own: ParamValue | None) -> str:
    try:
        fit(value, spec, own)
    except UnfitError as error:
        return str(error)
    return ""


def _whole_instead(domain: Domain) -> str:
    if domain.sd is not None:
        return "use qrandn with q = 1"
    if domain.kind in ("loguniform", "qloguniform"):
        return f"use {domain.kind.replace('uniform', 'randint')}"
    if domain.q is not None:
        return "use a whole step q and whole bounds"
    return "use randint, or quniform with q = 1"
