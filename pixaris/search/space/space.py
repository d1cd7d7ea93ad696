"""The search space: from parameter names and values to what is bound into the workflow. Pure, and it
pickles.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError, Problem, WorkflowError, nearest
from pixaris.generation.base import Fault, ImageGenerator, ItemArgs
from pixaris.images import EncodedImage
from pixaris.search.file.yaml_file import place
from pixaris.search.space.choices import Choices
from pixaris.search.space.conditions import Condition, condition_faults, in_order
from pixaris.search.space.domain import Domain
from pixaris.search.space.fit import Target, faults_by_trying, faults_of_domain, faults_of_image
from pixaris.search.space.parameter import Parameter, written_conditions, written_targets
from pixaris.search.space.template import Template
from pixaris.types import GenerationParam, ParamValue

__all__ = ["Condition", "Domain", "Parameter", "Space", "Target", "Template"]

_COUNTED = 1_000_000
"""A parameter that others depend on is counted value by value up to so many values."""


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
        problems = [f"parameter {name!r} exists twice" for name in _repeated(one.name for one in everything)]
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

    def counts(self, parameter: Parameter, values: Mapping[str, Any]) -> bool:
        """Whether a parameter counts, given the values of those it depends on that count themselves."""
        return _met(parameter.when, values)

    def lacking(self, values: Mapping[str, Any]) -> list[str]:
        """Names of parameters that count and have no value."""
        counting = self.active(values)
        return [p.name for p in self.parameters if p.name not in counting and _met(p.when, counting)]

    def active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the parameters that count, in the space's order; constants are filled in.

        Args:
            values: Parameter name to value, of all parameters or some; one without a value does not count.
        """
        found: dict[str, Any] = {}
        for parameter in self.order:
            if _met(parameter.when, found):
                if parameter.domain.kind == "constant":
                    found[parameter.name] = values.get(parameter.name, parameter.domain.options[0])
                elif parameter.name in values:
                    found[parameter.name] = values[parameter.name]
        return {name: found[name] for name in self.names if name in found}

    def bind(self, values: Mapping[str, Any], *, partial: bool = False) -> tuple[GenerationParam, ...]:
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
            for parameter in self.parameters
            if parameter.name in plain
            for target, given in zip(
                parameter.targets, parameter.given(plain[parameter.name]) or (), strict=False
            )
            if not isinstance(given, EncodedImage)
        ]
        for template in self.templates:
            if not partial and _met(template.when, plain):
                text = template.render(plain)
                params += [
                    GenerationParam(target.node_name, target.input, text) for target in template.targets
                ]
        return tuple(params)

    def bind_images(self, values: Mapping[str, Any]) -> dict[str, EncodedImage]:
        """The images that a parameter set loads: title of the node to image.

        Raises:
            ConfigurationError: As `bind`.
        """
        plain = self._read(values, partial=True)
        return {
            target.node_name: given
            for parameter in self.parameters
            if parameter.name in plain
            for target, given in zip(
                parameter.targets, parameter.given(plain[parameter.name]) or (), strict=False
            )
            if isinstance(given, EncodedImage)
        }

    def _read(self, values: Mapping[str, Any], *, partial: bool) -> dict[str, ParamValue]:
        problems = [
            f"{name!r} is no parameter of the space{nearest(str(name), self.names)}; it has"
            f" {', '.join(self.names) or 'none'}"
            for name in values
            if name not in self.domains
        ]
        plain: dict[str, ParamValue] = {}
        for parameter in self.parameters if partial else self.order:
            if not partial and not _met(parameter.when, plain):
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
        found: dict[str, ParamValue] = {}
        for template in self.templates:
            own = _own_value(template.targets[0], workflow, object_info)
            if not any(self.parameters[self.names.index(name)].when for name in template.placeholders):
                found.update((isinstance(own, str) and template.read(own, self.domains)) or {})
        for parameter in self.order:
            if not _met(parameter.when, found):  # what does not count need not have a value
                continue
            if parameter.domain.kind == "constant":
                found[parameter.name] = parameter.domain.options[0]
            elif parameter.targets and (value := _own_of(parameter, workflow, object_info)) is not None:
                found[parameter.name] = parameter.domain.clean(value)
        return self.active(found)

    @cached_property
    def _size(self) -> int | None:
        if any(parameter.domain.size() is None for parameter in self.parameters):
            return None
        return _count(self.order)

    def own_values(self, generator: ImageGenerator) -> dict[str, ParamValue]:
        """As `baseline`, of a generator without a workflow; where it says nothing, a parameter's first or
        lowest value counts.
        """
        values = {}
        for parameter in self.parameters:
            own = None
            if parameter.targets and not parameter.gives and parameter.domain.kind != "constant":
                own = generator.own_value(parameter.targets[0].node_name, parameter.targets[0].input)
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
            while at < len(self.order) and not _met(self.order[at].when, chosen):
                at += 1
            if at == len(self.order):
                yield {name: chosen[name] for name in self.names if name in chosen}
                return
            for value in values[self.order[at].name]:
                yield from extend(at + 1, {**chosen, self.order[at].name: value})

        return extend(0, {})

    def problems(
        self,
        workflow: Workflow,
        object_info: ObjectInfo | None = None,
        lines: Mapping[str, int] | None = None,
        fixed: Sequence[GenerationParam] = (),
        fixed_at: Sequence[int] = (),
        unbound: Sequence[tuple[str, tuple[str, str]]] = (),
    ) -> list[Problem]:
        """Everything that keeps the space, and the fixed values beside it, from fitting the workflow.

        Args:
            workflow: What the values are bound into.
            object_info: What a server says of its nodes.
            lines: The search file's lines, for the problems' places; without, they have none.
            fixed: The file's generation params.
            fixed_at: Their places in its list; by default 0, 1, 2, ….
            unbound: Path, node and input of the file's parameters that have no domain.
        """
        around = None
        if object_info is not None:
            around = Choices(object_info, self.parameters, self.templates, tuple(fixed))
        return self._problems(
            lambda target, domain: (
                faults_of_image(target, workflow)
                if domain is None
                else faults_of_domain(target, domain, workflow, around)
            ),
            lambda target: (workflow.node(target.node_name).id, target.input),
            lines,
            _placed(fixed, fixed_at),
            unbound,
        )

    def problems_without_workflow(
        self,
        generator: ImageGenerator,
        lines: Mapping[str, int] | None = None,
        fixed: Sequence[GenerationParam] = (),
        fixed_at: Sequence[int] = (),
        unbound: Sequence[tuple[str, tuple[str, str]]] = (),
    ) -> list[Problem]:
        """As `problems`, for a generator that says itself what can be set."""
        return self._problems(
            lambda target, domain: (
                [] if domain is None else faults_by_trying(target, domain, generator.fault)
            ),
            lambda target: (target.node_name if generator.has_nodes else "", target.input),
            lines,
            _placed(fixed, fixed_at),
            unbound,
        )

    def _problems(
        self,
        judge: Callable[[Target, Domain | None], list[Fault]],
        place_of: Callable[[Target], tuple[str, str]],
        lines: Mapping[str, int] | None,
        fixed: Sequence[tuple[int, GenerationParam]],
        unbound: Sequence[tuple[str, tuple[str, str]]],
    ) -> list[Problem]:
        rows: list[tuple[str, str, Target, Domain | None]] = [
            (
                f"generation_params.{index}",
                "value",
                Target(param.node_name, param.input),
                Domain("choice", options=(param.value,)),
            )
            for index, param in fixed
        ]
        for parameter in self.parameters:
            for index, target in enumerate(parameter.targets):
                key = "images" if parameter.gives and not parameter.parts else parameter.domain.kind
                domain = None if parameter.loads(index) else parameter.domain_of(index)
                rows.append((f"parameters.{parameter.name}", key, target, domain))
        for template in self.templates:
            texts = Domain("choice", options=tuple(template.texts(self.domains)))
            rows += [
                (f"parameters.{template.name}", "template", target, texts) for target in template.targets
            ]
        problems = []
        taken: dict[tuple[str, str], Target] = {}
        for path, key, target, domain in rows:
            faults = judge(target, domain)
            if not any(
                fault.of_target for fault in faults
            ):  # a node's title and its id may stand for one input
                other = taken.setdefault(place_of(target), target)
                faults += (
                    [Fault(f"{target} and {other} are one input; keep one of them", True)]
                    if other is not target
                    else []
                )
            for fault in faults:
                if not lines:
                    problems.append(Problem("", fault.message))
                elif fault.of_target:
                    problems.append(Problem(place(path, lines), fault.message))
                else:
                    problems.append(
                        Problem(place(f"{path}.{key}", lines), f"{fault.message}; change {path}.{key}")
                    )
        for path, words in unbound:  # any text will do: only what is wrong with node and input counts
            faults = judge(Target(*words), Domain("choice", options=("",)))
            problems += [
                Problem(place(path, lines or {}), fault.message) for fault in faults if fault.of_target
            ]
        return problems

    def as_dict(self) -> dict[str, Any]:
        """The space in the search file's form, for result files."""
        described: dict[str, Any] = {parameter.name: parameter.as_dict() for parameter in self.parameters}
        for template in self.templates:
            where = written_targets(template.targets)
            described[template.name] = {
                **where,
                "template": template.text,
                **written_conditions(template.when),
            }
        return described

    @classmethod
    def from_hyperparameters(cls, hyperparameters: Sequence[Mapping[str, Any]]) -> Space:
        """The space of ``[{node_name, input, value: [...]}, ...]``: the grid over all lists; a name is
        ``node_name.input``.

        Raises:
            ConfigurationError: All that is wrong with the list.
        """
        problems: list[Problem] = []
        parameters: dict[Target, Parameter] = {}
        for index, entry in enumerate(hyperparameters):
            where = f"hyperparameters[{index}]"
            if not isinstance(entry, Mapping) or set(entry) != {"node_name", "input", "value"}:
                got = sorted(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
                problems.append(
                    Problem(where, f"must have exactly the keys node_name, input and value (got {got})")
                )
                continue
            node_name, name, values = entry["node_name"], entry["input"], entry["value"]
            if not (isinstance(node_name, str) and node_name and isinstance(name, str) and name):
                problems.append(
                    Problem(where, f"node_name and input must be text (got {node_name!r} and {name!r})")
                )
                continue
            target = Target(node_name, name)
            values = (
                values.tolist()
                if hasattr(values, "tolist")
                else list(values)
                if isinstance(values, range)
                else values
            )
            if target in parameters:
                problems.append(
                    Problem(where, f"{target} is listed twice; write all its values into one list")
                )
            elif not isinstance(values, list | tuple):
                problems.append(
                    Problem(
                        where, f"value must be a list of values to try (got {values!r}); write [{values!r}]"
                    )
                )
            else:
                try:
                    domain = Domain("grid_search", options=tuple(values))
                    parameters[target] = Parameter(f"{node_name}.{name}", (target,), domain)
                except ConfigurationError as error:
                    problems += [
                        Problem(f"{where}, {target}", f"value {fault.message}") for fault in error.problems
                    ]
        if problems:
            raise ConfigurationError(problems, source="hyperparameters")
        return cls(tuple(parameters.values()))


def idle(parameters: Iterable[Parameter], templates: Iterable[Template]) -> list[tuple[str, str]]:
    """Names of parameters that set nothing, and what to do about it."""
    used = {name for template in templates for name in template.placeholders}
    for when in (*(parameter.when for parameter in parameters), *(template.when for template in templates)):
        used |= {condition.parameter for condition in when}
    return [
        (
            parameter.name,
            f"sets nothing; give node_name and input, or write {{{parameter.name}}} into a template",
        )
        for parameter in parameters
        if not parameter.targets and parameter.name not in used
    ]


def _own_of(parameter: Parameter, workflow: Workflow, object_info: ObjectInfo | None) -> ParamValue | None:
    if not parameter.gives:
        return _own_value(parameter.targets[0], workflow, object_info)
    if not parameter.parts:
        name = workflow.node(parameter.targets[0].node_name).inputs.get(
            workflow.image_input(parameter.targets[0].node_name)
        )
        named = (
            option
            for option in parameter.domain.options
            if str(option).rpartition("/")[2] == str(name).rpartition("/")[2]
        )
        return next(named, parameter.domain.options[0])
    loads = [parameter.loads(index) for index in range(len(parameter.targets))]
    own = [
        None if loaded else _own_value(target, workflow, object_info)
        for target, loaded in zip(parameter.targets, loads, strict=True)
    ]
    label = parameter.label_of(tuple(own))
    return parameter.domain.options[0] if label is None and any(loads) else label


def _own_value(target: Target, workflow: Workflow, object_info: ObjectInfo | None) -> ParamValue:
    node = workflow.node(target.node_name)
    spec = object_info.input(node.class_type, target.input, node.inputs) if object_info else None
    own = (
        workflow.value(target.node_name, target.input)
        if spec is None or node.place(target.input) is not None
        else None
    )
    if own is None and spec is not None:
        own = spec.initial if spec.required else spec.default
    if own is None:
        raise WorkflowError(
            f"{target} has no value in the workflow and no default on the server; give it one in the workflow"
        )
    return own


def _plain(value: Any) -> ParamValue | None:  # noqa: ANN401  (numpy scalars come in too)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) else None


def _loaders(parameter: Parameter) -> list[Target]:
    return [target for index, target in enumerate(parameter.targets) if parameter.loads(index)]


def _met(when: Iterable[Condition], values: Mapping[str, Any]) -> bool:
    return all(
        condition.parameter in values and condition.holds(values[condition.parameter]) for condition in when
    )


def _count(order: Sequence[Parameter]) -> int:
    """Parameter sets of listed domains."""
    group = {parameter.name: parameter.name for parameter in order}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for parameter in order:
        for condition in parameter.when:
            group[root(parameter.name)] = root(condition.parameter)
    groups: dict[str, list[Parameter]] = {}
    for parameter in order:
        groups.setdefault(root(parameter.name), []).append(parameter)
    return math.prod(map(_count_group, groups.values()))


def _count_group(order: Sequence[Parameter]) -> int:
    """Sets of parameters that depend on each other: those that others ask about are gone through by what
    their values decide.
    """
    asked: dict[str, list[Condition]] = {}
    for parameter in order:
        for condition in parameter.when:
            asked.setdefault(condition.parameter, []).append(condition)
    states: Counter[frozenset[tuple[str, int]]] = Counter(
        {frozenset(): 1}
    )  # which conditions hold, by name and number
    for parameter in order:
        size, conditions = parameter.domain.size() or 0, asked.get(parameter.name, [])
        outcomes: Counter[frozenset[tuple[str, int]]] = Counter({frozenset(): size})
        if conditions and size <= _COUNTED:  # a larger grid is never run; its size need not be exact
            outcomes = Counter(
                frozenset(
                    (parameter.name, number)
                    for number, condition in enumerate(conditions)
                    if condition.holds(value)
                )
                for value in parameter.domain.values()
            )
        following: Counter[frozenset[tuple[str, int]]] = Counter()
        for state, count in states.items():
            needed = {
                (c.parameter, number)
                for c in parameter.when
                for number, one in enumerate(asked[c.parameter])
                if one is c
            }
            if needed <= state:
                for outcome, times in outcomes.items():
                    following[state | outcome] += count * times
            else:
                following[state] += count
        states = following
    return sum(states.values())


def _repeated(items: Iterable[Any]) -> list[Any]:
    return [item for item, count in Counter(items).items() if count > 1]


def _placed(fixed: Sequence[GenerationParam], places: Sequence[int]) -> list[tuple[int, GenerationParam]]:
    """The fixed values with their places in the file's list, where they are the file's."""
    return list(zip(places if len(places) == len(fixed) else range(len(fixed)), fixed, strict=True))
