"""The search space: from parameter names and values to what is bound into the workflow. Pure, and it
pickles.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError, nearest
from pixaris.generation.base import ImageGenerator, ItemArgs, has_own_values
from pixaris.images import EncodedImage
from pixaris.search.space.conditions import Condition, condition_faults, in_order, met
from pixaris.search.space.domain import Domain
from pixaris.search.space.fit import Target
from pixaris.search.space.own_values import of_workflow
from pixaris.search.space.parameter import Parameter, written_conditions, written_targets
from pixaris.search.space.size import count
from pixaris.search.space.template import Template
from pixaris.types import GenerationParam, ParamValue

__all__ = ["Condition", "Domain", "Parameter", "Space", "Target", "Template"]


@dataclass(frozen=True)
class Space:
    """All parameters of a search.

    A parameter set has the values of the parameters that count: whose conditions hold. Where a parameter does
    not count, the workflow's own value stands, so sets that differ only there are one set.

    Attributes:
        parameters: In the file's order.
        templates: Texts with parameters in them.

    Raises:
        ConfigurationError: Two parameters have one name or set one node input, one sets nothing, a condition
            can never hold, a template has an unknown placeholder.
    """

    parameters: tuple[Parameter, ...] = ()
    templates: tuple[Template, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        object.__setattr__(self, "templates", tuple(self.templates))
        everything: tuple[Parameter | Template, ...] = (*self.parameters, *self.templates)
        names = [one.name for one in everything]
        problems = [f"parameter {name!r} exists twice" for name in _repeated(names)]
        targets = (target for one in everything for target in one.targets)
        problems += [f"{target} is set twice; one parameter must set it" for target in _repeated(targets)]
        if not problems:
            problems += [
                f"parameter {name!r} {message}" for name, message in idle(self.parameters, self.templates)
            ]
            problems += [
                f"template {template.name!r} {message}"
                for template in self.templates
                for message in template.faults(self.domains)
            ]
            others = [(template.name, template.when) for template in self.templates]
            problems += [
                f"parameter {fault.owner!r}, when {fault.parameter!r}: {fault.message}"
                for fault in condition_faults(self.parameters, others)
            ]
        if problems:
            raise ConfigurationError(problems)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def domains(self) -> dict[str, Domain]:
        """Parameter name to domain."""
        return {parameter.name: parameter.domain for parameter in self.parameters}

    @cached_property
    def images(self) -> tuple[EncodedImage, ...]:
        """Every image that some parameter may choose."""
        found = (one for parameter in self.parameters for gives in parameter.gives for one in gives)
        return tuple(dict.fromkeys(one for one in found if isinstance(one, EncodedImage)))

    @cached_property
    def image_nodes(self) -> tuple[tuple[str, str], ...]:
        """Name of the parameter and title of the node, for every node that loads a chosen image."""
        return tuple(
            (parameter.name, target.node_name)
            for parameter in self.parameters
            for target in _loaders(parameter)
        )

    @property
    def varying(self) -> tuple[Parameter, ...]:
        """The parameters that are no constants."""
        return tuple(parameter for parameter in self.parameters if parameter.domain.kind != "constant")

    @property
    def shape(self) -> Space:
        """The same without templates and images: all that proposing parameter sets needs, and small."""
        inputs = (Target("", parameter.name) for parameter in self.parameters)
        # Under its own name as the target, because a parameter without one is a fault.
        bare = (
            Parameter(p.name, (target,), p.domain, p.when)
            for p, target in zip(self.parameters, inputs, strict=True)
        )
        return Space(tuple(bare))

    def contains(self, values: Mapping[str, ParamValue]) -> bool:
        """Whether a parameter set could be drawn: every parameter that counts has a value of its domain, and
        no other has one.
        """
        return (
            self.active(values).keys() == values.keys()
            and not self.lacking(values)
            and all(
                parameter.domain.contains(values[parameter.name])
                for parameter in self.parameters
                if parameter.name in values
            )
        )

    @cached_property
    def order(self) -> tuple[Parameter, ...]:
        """The parameters, each after those it depends on."""
        return tuple(self.parameters[index] for index in in_order(self.parameters)[0])

    def counts(self, parameter: Parameter, values: Mapping[str, object]) -> bool:
        """Whether a parameter counts, given the values of those it depends on that count themselves."""
        return met(parameter.when, values)

    def lacking(self, values: Mapping[str, object]) -> list[str]:
        """Names of parameters that count and have no value."""
        counting = self.active(values)
        return [p.name for p in self.parameters if p.name not in counting and met(p.when, counting)]

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters that count, in the space's order; constants are filled in.

        Args:
            values: Parameter name to value, of all parameters or some; one without a value does not count.
        """
        found: dict[str, Any] = {}
        for parameter in self.order:
            if met(parameter.when, found):
                if parameter.domain.kind == "constant":
                    # The given value first: an earlier search may have had another constant.
                    found[parameter.name] = values.get(parameter.name, parameter.domain.options[0])
                elif parameter.name in values:
                    found[parameter.name] = values[parameter.name]
        return {name: found[name] for name in self.names if name in found}

    def bind(self, values: Mapping[str, object], *, partial: bool = False) -> tuple[GenerationParam, ...]:
        """Turn a parameter set into generation params.

        The values need not lie in their domains: the workflow's own often do not.

        Args:
            values: Parameter name to value; numpy scalars become Python numbers. Those of parameters that do
                not count are passed over.
            partial: Bind just these values, whatever counts, and no template: what has no value keeps the
                workflow's own, as in the baseline.

        Raises:
            ConfigurationError: A name is unknown or missing, or a value is no text, finite number or boolean.
        """
        plain = self._read(values, partial=partial)
        params = [
            GenerationParam(target.node_name, target.input, given)
            for target, given in self._given(plain)
            if not isinstance(given, EncodedImage)
        ]
        for template in self.templates:
            if not partial and met(template.when, plain):
                text = template.render(plain)
                params += [
                    GenerationParam(target.node_name, target.input, text) for target in template.targets
                ]
        return tuple(params)

    def bind_images(self, values: Mapping[str, object]) -> dict[str, EncodedImage]:
        """The images that a parameter set loads: title of the node to image.

        Raises:
            ConfigurationError: As `bind`.
        """
        plain = self._read(values, partial=True)
        images = {}
        for target, given in self._given(plain):
            if isinstance(given, EncodedImage):
                images[target.node_name] = given
        return images

    def _given(self, plain: Mapping[str, ParamValue]) -> Iterator[tuple[Target, ParamValue | EncodedImage]]:
        """What every input gets of a parameter that has a value; none where it keeps the workflow's own."""
        for parameter in self.parameters:
            if parameter.name in plain:
                given = parameter.given(plain[parameter.name]) or ()
                yield from zip(parameter.targets, given, strict=False)

    def _read(self, values: Mapping[str, object], *, partial: bool) -> dict[str, ParamValue]:
        problems = [
            f"{name!r} is no parameter of the space{nearest(str(name), self.names)}; it has"
            f" {', '.join(self.names) or 'none'}"
            for name in values
            if name not in self.domains
        ]
        plain: dict[str, ParamValue] = {}
        # In the order of dependence, so that conditions see the values they ask about.
        for parameter in self.parameters if partial else self.order:
            if not partial and not met(parameter.when, plain):
                continue
            if parameter.name not in values:
                if parameter.domain.kind == "constant" and not partial:
                    plain[parameter.name] = parameter.domain.options[0]
                elif not partial:
                    problems.append(f"parameter {parameter.name!r} has no value")
                continue
            value = _plain(values[parameter.name])
            if value is None:
                problems.append(
                    f"parameter {parameter.name!r} must be text, a finite number or a boolean (got"
                    f" {values[parameter.name]!r})"
                )
            elif parameter.given(value) is None:
                known = [str(option) for option in parameter.domain.options]
                problems.append(
                    f"parameter {parameter.name!r} has no option {value!r}{nearest(str(value), known)}"
                )
            else:
                plain[parameter.name] = parameter.domain.clean(value)
        if problems:
            raise ConfigurationError(problems)
        return plain

    def baseline(self, workflow: Workflow, object_info: ObjectInfo | None = None) -> dict[str, ParamValue]:
        """The workflow's own values, against which the others are compared.

        A constant is the same here as in every set. An image parameter has the image that the workflow names,
        or its first. Values that move together, and a template's, have a value here only where the workflow's
        own is one of theirs; else the workflow's own stands as it is.

        Args:
            workflow: It has them; of a parameter with several targets the first one's counts.
            object_info: What the server says of its nodes: an optional input that the workflow leaves out has
                a default.

        Raises:
            WorkflowError: A node or input does not exist, or is linked to another node.
        """
        found = of_workflow(self.order, self.templates, workflow, object_info)
        return self.active(found)

    @cached_property
    def _size(self) -> int | None:
        # Before counting, which goes through the sets one by one where conditions are.
        if any(parameter.domain.size() is None for parameter in self.parameters):
            return None
        return count(self.order)

    def own_values(self, generator: ImageGenerator) -> dict[str, ParamValue]:
        """As `baseline`, of a generator without a workflow.

        Where it does not say what an input is that no parameter sets, one that makes its images itself keeps
        its own; others must be asked for something, and a parameter's first or lowest value counts.
        """
        values = {}
        for parameter in self.parameters:
            own = None
            if parameter.targets and not parameter.gives and parameter.domain.kind != "constant":
                own = generator.own_value(parameter.targets[0].node_name, parameter.targets[0].input)
            # Left out, so that the generator's own stands.
            if own is None and has_own_values(generator) and parameter.domain.kind != "constant":
                continue
            values[parameter.name] = parameter.domain.clean(parameter.domain.first if own is None else own)
        return self.active(values)

    def with_params(self, args: ItemArgs) -> ItemArgs:
        """Arguments with one value for every parameter, to see what is still missing."""
        first = {parameter.name: parameter.domain.first for parameter in self.parameters}
        return args.with_params(self.bind(first)).with_images(self.bind_images(self.active(first)))

    def size(self) -> int | None:
        """How many parameter sets there are, or None if a domain is continuous."""
        return self._size

    def grid(self) -> Iterator[dict[str, ParamValue]]:
        """Every parameter set once; the last parameter changes fastest.

        Raises:
            ConfigurationError: A domain is continuous.
        """
        values = {parameter.name: parameter.domain.values() for parameter in self.parameters}

        def extend(at: int, chosen: dict[str, ParamValue]) -> Iterator[dict[str, ParamValue]]:
            # What does not count in this set is passed over, so that no set comes twice.
            while at < len(self.order) and not met(self.order[at].when, chosen):
                at += 1
            if at == len(self.order):
                yield {name: chosen[name] for name in self.names if name in chosen}
                return
            for value in values[self.order[at].name]:
                yield from extend(at + 1, {**chosen, self.order[at].name: value})

        return extend(0, {})

    def as_dict(self) -> dict[str, object]:
        """The space in the search file's form, for result files."""
        described: dict[str, object] = {parameter.name: parameter.as_dict() for parameter in self.parameters}
        for template in self.templates:
            where = written_targets(template.targets)
            described[template.name] = {
                **where,
                "template": template.text,
                **written_conditions(template.when),
            }
        return described


def idle(parameters: Iterable[Parameter], templates: Iterable[Template]) -> list[tuple[str, str]]:
    """Names of parameters that set nothing, and what to do about it."""
    used = {name for template in templates for name in template.placeholders}
    settings: list[Parameter | Template] = [*parameters, *templates]
    for setting in settings:
        used |= {condition.parameter for condition in setting.when}
    return [
        (
            parameter.name,
            f"sets nothing; give node_name and input, or write {{{parameter.name}}} into a template",
        )
        for parameter in parameters
        if not parameter.targets and parameter.name not in used
    ]


def _plain(value: object) -> ParamValue | None:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return None
    if isinstance(value, str | int | bool):
        return value
    return None


def _loaders(parameter: Parameter) -> list[Target]:
    return [target for index, target in enumerate(parameter.targets) if parameter.loads(index)]


def _repeated(items: Iterable[object]) -> list[object]:
    return [item for item, count in Counter(items).items() if count > 1]
