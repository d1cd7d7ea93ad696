"""What keeps a space, and the fixed values beside it, from fitting the workflow or the generator."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import Problem
from pixaris.generation.base import Fault, ImageGenerator
from pixaris.search.space.choices import Choices
from pixaris.search.space.domain import Domain
from pixaris.search.space.fit import Target, faults_by_trying, faults_of_domain, faults_of_image
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.space import Space
from pixaris.types import EvalSet, GenerationParam

_NO_ITEMS = EvalSet("", ())
Judge: TypeAlias = Callable[[Target, Domain | None], list[Fault]]
"""Finds what keeps a domain's values (None: images) from being given to an input."""


@dataclass(frozen=True)
class _Row:
    """One input that something sets.

    Attributes:
        path: The setting's dotted path.
        key: The key under it that has the values.
        target: The input.
        domain: The values it is given; None for images.
    """

    path: str
    key: str
    target: Target
    domain: Domain | None


def problems_with_workflow(
    space: Space,
    workflow: Workflow,
    object_info: ObjectInfo | None = None,
    fixed: Sequence[GenerationParam] = (),
    eval_set: EvalSet = _NO_ITEMS,
) -> list[Problem]:
    """Everything that keeps the space from fitting a workflow.

    Args:
        space: What varies.
        workflow: What the values are bound into.
        object_info: What a server says of its nodes.
        fixed: Generation params that are the same in every trial.
        eval_set: Its columns feed inputs, too.
    """
    around = None
    if object_info is not None:
        around = Choices(object_info, space.parameters, space.templates, tuple(fixed))
    judge = _judge_of_workflow(workflow, around)
    rows = itertools.chain(_rows(space, fixed), _column_rows(eval_set))
    return _problems(rows, judge, lambda target: _input_of(workflow, target))


def problems_with_generator(
    space: Space,
    generator: ImageGenerator,
    fixed: Sequence[GenerationParam] = (),
    eval_set: EvalSet = _NO_ITEMS,
) -> list[Problem]:
    """As `problems_with_workflow`, for a generator that says itself what can be set."""
    judge = _judge_of_generator(generator)
    rows = itertools.chain(_rows(space, fixed), _column_rows(eval_set))
    return _problems(rows, judge, lambda target: _field_of(generator, target))


def unknown_inputs(
    unbound: Mapping[str, Target],
    generator: ImageGenerator,
    object_info: ObjectInfo | None = None,
) -> list[Problem]:
    """Which inputs do not exist, of parameters whose values are wrong anyway.

    Args:
        unbound: Dotted path to input.
        generator: With a workflow, or without.
        object_info: What a server says of its nodes.
    """
    workflow = generator.workflow
    judge = _judge_of_generator(generator)
    if workflow is not None:
        if object_info is not None:
            around = Choices(object_info)
        else:
            around = None
        judge = _judge_of_workflow(workflow, around)
    problems = []
    for path, target in unbound.items():
        faults = judge(target, Domain("choice", options=("",)))  # any text: only node and input count
        problems += [Problem("", fault.message, path) for fault in faults if fault.of_target]
    return problems


def _judge_of_workflow(workflow: Workflow, around: Choices | None) -> Judge:
    def judge(target: Target, domain: Domain | None) -> list[Fault]:
        if domain is None:
            return faults_of_image(target, workflow)
        return faults_of_domain(target, domain, workflow, around)

    return judge


def _judge_of_generator(generator: ImageGenerator) -> Judge:
    def judge(target: Target, domain: Domain | None) -> list[Fault]:
        if domain is None:
            return []
        return faults_by_trying(target, domain, generator.fault)

    return judge


def _input_of(workflow: Workflow, target: Target) -> tuple[str, str]:
    return workflow.node(target.node_name).id, target.input


def _field_of(generator: ImageGenerator, target: Target) -> tuple[str, str]:
    return target.node_name if generator.has_nodes else "", target.input


def _rows(space: Space, fixed: Sequence[GenerationParam]) -> Iterator[_Row]:
    for index, param in enumerate(fixed):
        target = Target(param.node_name, param.input)
        yield _Row(f"generation_params.{index}", "value", target, Domain("choice", options=(param.value,)))
    for parameter in space.parameters:
        key = _key_of(parameter)
        for index, target in enumerate(parameter.targets):
            if parameter.loads(index):
                domain = None
            else:
                domain = parameter.domain_of(index)
            yield _Row(f"parameters.{parameter.name}", key, target, domain)
    for template in space.templates:
        texts = Domain("choice", options=tuple(template.texts(space.domains)))
        for target in template.targets:
            yield _Row(f"parameters.{template.name}", "template", target, texts)


def _column_rows(eval_set: EvalSet) -> Iterator[_Row]:
    """What the eval set's columns feed, with all that they hold."""
    for column, places in eval_set.feeds.items():
        for place in places:
            params = itertools.chain.from_iterable(item.params for item in eval_set.items)
            given = (param.value for param in params if (param.node_name, param.input) == place)
            values = tuple(dict.fromkeys(given))
            yield _Row(f"dataset.columns.{column}", "", Target(*place), Domain("choice", options=values))


def _key_of(parameter: Parameter) -> str:
    """The key of a search file that has a parameter's values."""
    if parameter.gives and not parameter.parts:
        return "images"
    return parameter.domain.kind


def _problems(
    rows: Iterator[_Row], judge: Judge, input_of: Callable[[Target], tuple[str, str]]
) -> list[Problem]:
    """The faults of every row, and inputs that two of them set.

    Args:
        rows: What is set.
        judge: Finds a row's faults.
        input_of: What tells inputs apart: a node's title and its id may stand for one.
    """
    problems = []
    taken: dict[tuple[str, str], Target] = {}
    for row in rows:
        faults = judge(row.target, row.domain)
        if not any(fault.of_target for fault in faults):
            other = taken.setdefault(input_of(row.target), row.target)
            if other is not row.target:
                faults.append(Fault(f"{row.target} and {other} are one input; keep one of them", True))
        for fault in faults:
            if fault.of_target:
                problems.append(Problem("", fault.message, row.path))
            else:
                if row.key:
                    path = f"{row.path}.{row.key}"
                else:
                    path = row.path
                problems.append(Problem("", f"{fault.message}; change {path}", path))
    return problems
