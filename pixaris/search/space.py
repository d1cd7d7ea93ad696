"""The search space: from parameter names and values to what is bound into the workflow. Pure, and it pickles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import ConfigurationError, Problem, WorkflowError, nearest
from pixaris.generation.base import Fault, ImageGenerator, ItemArgs
from pixaris.search.domain import Domain
from pixaris.search.fit import Target, faults_by_trying, faults_of_domain
from pixaris.search.yaml_file import place
from pixaris.types import GenerationParam, ParamValue

__all__ = ["Domain", "Parameter", "Space", "Target"]


@dataclass(frozen=True)
class Parameter:
    """A named dimension of the space.

    Attributes:
        name: Unique in its space.
        targets: The node inputs that are given its value; one, as a rule.
        domain: The values it may take.
    """

    name: str
    targets: tuple[Target, ...]
    domain: Domain


@dataclass(frozen=True)
class Space:
    """All parameters of a search.

    Raises:
        ConfigurationError: Two parameters have one name, or set one node input.
    """

    parameters: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(self.parameters))
        names = [parameter.name for parameter in self.parameters]
        targets = [target for parameter in self.parameters for target in parameter.targets]
        problems = [f"parameter {name!r} exists twice" for name in _repeated(names)]
        problems += [f"{target} is set twice; one parameter must set it" for target in _repeated(targets)]
        if problems:
            raise ConfigurationError(problems)

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    def bind(self, values: Mapping[str, Any]) -> tuple[GenerationParam, ...]:
        """Turn one value per parameter into generation params.

        The values need not lie in their domains: the workflow's own often do not.

        Args:
            values: Parameter name to value; numpy scalars become Python numbers.

        Raises:
            ConfigurationError: A name is unknown or missing, or a value is no text, finite number or boolean.
        """
        problems = [
            f"{name!r} is no parameter of the space{nearest(str(name), self.names)}; it has {', '.join(self.names) or 'none'}"
            for name in values
            if name not in self.names
        ]
        params = []
        for parameter in self.parameters:
            if parameter.name not in values:
                problems.append(f"parameter {parameter.name!r} has no value")
                continue
            value = _plain(values[parameter.name])
            if value is None:
                problems.append(
                    f"parameter {parameter.name!r} must be text, a finite number or a boolean (got {values[parameter.name]!r})"
                )
                continue
            value = parameter.domain.clean(value)
            params += [GenerationParam(target.node_name, target.input, value) for target in parameter.targets]
        if problems:
            raise ConfigurationError(problems)
        return tuple(params)

    def baseline(self, workflow: Workflow, object_info: ObjectInfo | None = None) -> dict[str, ParamValue]:
        """The workflow's own values, against which the others are compared.

        Args:
            workflow: It has them; of a parameter with several targets the first one's counts.
            object_info: What the server says of its nodes: an optional input that the workflow leaves out has a default.

        Raises:
            WorkflowError: A node or input does not exist, or is linked to another node.
        """
        return {
            parameter.name: parameter.domain.clean(_own_value(parameter.targets[0], workflow, object_info))
            for parameter in self.parameters
        }

    def own_values(self, generator: ImageGenerator) -> dict[str, ParamValue]:
        """As `baseline`, of a generator without a workflow; where it says nothing, a parameter's first or lowest value counts."""
        values = {}
        for parameter in self.parameters:
            own = generator.own_value(parameter.targets[0].node_name, parameter.targets[0].input)
            values[parameter.name] = parameter.domain.clean(_first(parameter.domain) if own is None else own)
        return values

    def with_params(self, args: ItemArgs) -> ItemArgs:
        """Arguments with one value for every parameter, to see what is still missing."""
        params = [GenerationParam(t.node_name, t.input, _first(p.domain)) for p in self.parameters for t in p.targets]
        return args.with_params(params)

    def size(self) -> int | None:
        """How many parameter sets there are, or None if a domain is continuous."""
        sizes = [size for parameter in self.parameters if (size := parameter.domain.size()) is not None]
        return math.prod(sizes) if len(sizes) == len(self.parameters) else None

    def grid(self) -> Iterator[dict[str, ParamValue]]:
        """Every parameter set once; the last parameter changes fastest.

        Raises:
            ConfigurationError: A domain is continuous.
        """
        values = [parameter.domain.values() for parameter in self.parameters]
        return (dict(zip(self.names, combination, strict=True)) for combination in itertools.product(*values))

    def problems(
        self,
        workflow: Workflow,
        object_info: ObjectInfo | None = None,
        lines: Mapping[str, int] | None = None,
        fixed: Sequence[GenerationParam] = (),
    ) -> list[Problem]:
        """Everything that keeps the space, and the fixed values beside it, from fitting the workflow.

        Args:
            workflow: The parameters' nodes and inputs are looked for in it.
            object_info: What the server says of its nodes: types, limits and options are held against it.
            lines: The search file's lines, for the problems' places; without, they have none.
            fixed: The file's generation params.
        """
        return self._problems(
            lambda target, domain: faults_of_domain(target, domain, workflow, object_info),
            lambda target: (workflow.node(target.node_name).id, target.input),
            lines,
            fixed,
        )

    def problems_without_workflow(
        self, generator: ImageGenerator, lines: Mapping[str, int] | None = None, fixed: Sequence[GenerationParam] = ()
    ) -> list[Problem]:
        """As `problems`, for a generator that says itself what can be set."""
        return self._problems(
            lambda target, domain: faults_by_trying(target, domain, generator.fault),
            lambda target: (target.node_name if generator.has_nodes else "", target.input),
            lines,
            fixed,
        )

    def _problems(
        self,
        judge: Callable[[Target, Domain], list[Fault]],
        place_of: Callable[[Target], tuple[str, str]],
        lines: Mapping[str, int] | None,
        fixed: Sequence[GenerationParam],
    ) -> list[Problem]:
        rows = [
            (
                f"generation_params.{index}",
                "value",
                Target(param.node_name, param.input),
                Domain("choice", options=(param.value,)),
            )
            for index, param in enumerate(fixed)
        ]
        for parameter in self.parameters:
            path, domain = f"parameters.{parameter.name}", parameter.domain
            rows += [(path, domain.kind, target, domain) for target in parameter.targets]
        problems = []
        taken: dict[tuple[str, str], Target] = {}
        for path, key, target, domain in rows:
            faults = judge(target, domain)
            if not any(fault.of_target for fault in faults):  # a node's title and its id may stand for one input
                other = taken.setdefault(place_of(target), target)
                faults += [Fault(f"{target} and {other} are one input; keep one of them", True)] if other is not target else []
            for fault in faults:
                if not lines:
                    problems.append(Problem("", fault.message))
                elif fault.of_target:
                    problems.append(Problem(place(path, lines), fault.message))
                else:
                    problems.append(Problem(place(f"{path}.{key}", lines), f"{fault.message}; change {path}.{key}"))
        return problems

    def as_dict(self) -> dict[str, Any]:
        """The space in the search file's form, for result files."""
        described: dict[str, Any] = {}
        for parameter in self.parameters:
            targets = [{"node_name": target.node_name, "input": target.input} for target in parameter.targets]
            where: dict[str, Any] = dict(targets[0]) if len(targets) == 1 else {"targets": targets}
            described[parameter.name] = {**where, parameter.domain.kind: parameter.domain.arguments()}
        return described

    @classmethod
    def from_hyperparameters(cls, hyperparameters: Sequence[Mapping[str, Any]]) -> Space:
        """The space of ``[{node_name, input, value: [...]}, ...]``: the grid over all lists; a name is ``node_name.input``.

        Raises:
            ConfigurationError: All that is wrong with the list.
        """
        problems: list[Problem] = []
        parameters: dict[Target, Parameter] = {}
        for index, entry in enumerate(hyperparameters):
            where = f"hyperparameters[{index}]"
            if not isinstance(entry, Mapping) or set(entry) != {"node_name", "input", "value"}:
                got = sorted(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
                problems.append(Problem(where, f"must have exactly the keys node_name, input and value (got {got})"))
                continue
            node_name, name, values = entry["node_name"], entry["input"], entry["value"]
            if not (isinstance(node_name, str) and node_name and isinstance(name, str) and name):
                problems.append(Problem(where, f"node_name and input must be text (got {node_name!r} and {name!r})"))
                continue
            target = Target(node_name, name)
            values = values.tolist() if hasattr(values, "tolist") else list(values) if isinstance(values, range) else values
            if target in parameters:
                problems.append(Problem(where, f"{target} is listed twice; write all its values into one list"))
            elif not isinstance(values, list | tuple):
                problems.append(Problem(where, f"value must be a list of values to try (got {values!r}); write [{values!r}]"))
            else:
                try:
                    domain = Domain("grid_search", options=tuple(values))
                    parameters[target] = Parameter(f"{node_name}.{name}", (target,), domain)
                except ConfigurationError as error:
                    problems += [Problem(f"{where}, {target}", f"value {fault.message}") for fault in error.problems]
        if problems:
            raise ConfigurationError(problems, source="hyperparameters")
        return cls(tuple(parameters.values()))


def _own_value(target: Target, workflow: Workflow, object_info: ObjectInfo | None) -> ParamValue:
    node = workflow.node(target.node_name)
    spec = object_info.input(node.class_type, target.input) if object_info else None
    own = workflow.value(target.node_name, target.input) if spec is None or target.input in node.inputs else None
    if own is None and spec is not None:
        own = spec.default
    if own is None:
        raise WorkflowError(f"{target} has no value in the workflow and no default on the server; give it one in the workflow")
    return own


def _first(domain: Domain) -> ParamValue:
    return domain.options[0] if domain.bounds is None else domain.bounds[0]


def _plain(value: Any) -> ParamValue | None:  # noqa: ANN401  (numpy scalars come in too)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) else None


def _repeated(items: Sequence[Any]) -> list[Any]:
    return [item for index, item in enumerate(items) if item in items[:index]]
