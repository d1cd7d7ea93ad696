"""The values that a workflow, or a generator without one, has of its own: the baseline of a search."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.search.space.conditions import met
from pixaris.search.space.fit import Target
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.template import Template
from pixaris.types import ParamValue


def of_workflow(
    parameters: Sequence[Parameter],
    templates: Sequence[Template],
    workflow: Workflow,
    object_info: ObjectInfo | None,
) -> dict[str, ParamValue]:
    """Parameter name to the workflow's own value, where it has one; see `Space.baseline`.

    Args:
        parameters: Each after those it depends on.
        templates: Texts with parameters in them.
        workflow: It has the values.
        object_info: What a server says of its nodes.

    Raises:
        WorkflowError: A node or input does not exist, or is linked to another node.
    """
    found: dict[str, ParamValue] = {}
    domains = {parameter.name: parameter.domain for parameter in parameters}
    conditional = {parameter.name for parameter in parameters if parameter.when}
    for template in templates:
        own = _own_value(template.targets[0], workflow, object_info)
        if isinstance(own, str) and not conditional.intersection(template.placeholders):
            found.update(template.read(own, domains) or {})
    for parameter in parameters:
        if not met(parameter.when, found):
            continue  # what does not count need not have a value
        if parameter.domain.kind == "constant":
            found[parameter.name] = parameter.domain.options[0]
        elif parameter.targets and (value := _own_of(parameter, workflow, object_info)) is not None:
            found[parameter.name] = parameter.domain.clean(value)
    return found


def _own_of(parameter: Parameter, workflow: Workflow, object_info: ObjectInfo | None) -> ParamValue | None:
    if not parameter.gives:
        return _own_value(parameter.targets[0], workflow, object_info)
    if not parameter.parts:
        name = workflow.node(parameter.targets[0].node_name).inputs.get(
            workflow.image_input(parameter.targets[0].node_name)
        )
        for option in parameter.domain.options:
            if str(option).rpartition("/")[2] == str(name).rpartition("/")[2]:
                return option
        return parameter.domain.options[0]
    loads = [parameter.loads(index) for index in range(len(parameter.targets))]
    own = [
        None if loaded else _own_value(target, workflow, object_info)
        for target, loaded in zip(parameter.targets, loads, strict=True)
    ]
    label = parameter.label_of(tuple(own))
    if label is None and any(loads):
        return parameter.domain.options[0]
    return label


def _own_value(target: Target, workflow: Workflow, object_info: ObjectInfo | None) -> ParamValue:
    node = workflow.node(target.node_name)
    if object_info:
        spec = object_info.input(node.class_type, target.input, node.inputs)
    else:
        spec = None
    own = None
    if spec is None or node.place(target.input) is not None:
        own = workflow.value(target.node_name, target.input)
    if own is None and spec is not None:
        if spec.required:
            own = spec.initial
        else:
            own = spec.default
    if own is None:
        raise WorkflowError(
            f"{target} has no value in the workflow and no default on the server; give it one in the workflow"
        )
    return own
