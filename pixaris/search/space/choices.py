"""What a node has chosen while a parameter counts: what hangs on an option is typed by that option."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pixaris.comfyui.graph.branches import lacking_for
from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import InputSpec, NodeClass, ObjectInfo
from pixaris.search.space.conditions import Condition
from pixaris.search.space.domain import same
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.template import Template
from pixaris.types import GenerationParam, ParamValue

_MOST_SETTINGS = 64
"""Combinations of options that are looked at for one input."""


@dataclass(frozen=True)
class Choices:
    """Everything that a space, and the fixed values beside it, set on a workflow's nodes.

    Attributes:
        info: What a server says of its nodes.
        parameters: The space's.
        templates: Likewise.
        fixed: The fixed values.
    """

    info: ObjectInfo
    parameters: tuple[Parameter, ...] = ()
    templates: tuple[Template, ...] = ()
    fixed: tuple[GenerationParam, ...] = ()

    def specs(self, node: Node, name: str) -> tuple[list[InputSpec], list[str]]:
        """What an input may be while its parameter counts, and why it may not be there at all."""
        known = self.info.node_class(node.class_type)
        if known is None:
            around = []
        else:
            around = _around(name, known)
        if known is None or not around:
            spec = self.info.input(node.class_type, name, node.inputs)
            return ([] if spec is None else [spec]), []
        found: list[InputSpec] = []
        faults: list[str] = []
        for given in self._settings(node, name, around):
            spec = known.inputs_with({**node.inputs, **given}).get(name)
            if spec is None:
                faults.append(self._why_not(node, name, known, given))
            elif spec not in found:
                found.append(spec)
        return found, list(dict.fromkeys(faults))

    def lacking(self, node: Node, name: str, option: ParamValue) -> list[str]:
        """What a node does not have that an option of a dynamic combo needs."""
        known = self.info.node_class(node.class_type)
        if known is None:
            return []
        owner = self._owner(node, name)
        given = {**node.inputs, **self._fixed(node), name: option}
        for one in self._setters:
            if owner is None:
                allowed = True
            else:
                labels = [label for label, value in _values(owner, node, name) if same(value, option)]
                allowed = any(_allows(one.when, owner.name, label) for label in labels)
            if allowed:
                given |= {target.input: one.name for target in one.targets if _is_of(target.node_name, node)}
        return lacking_for(name, option, known, {**given, name: option})

    def _settings(self, node: Node, name: str, around: Sequence[str]) -> Iterator[Mapping[str, object]]:
        """The options that may be chosen around an input while its parameter counts."""
        own = self._owner(node, name)
        when = self._conditions(own.when if own is not None else ())
        options = [self._options(node, choice, when) for choice in around]
        # Cut off: nested options multiply, and a fault shows in the first combinations already.
        for chosen in itertools.islice(itertools.product(*options), _MOST_SETTINGS):
            yield dict(zip(around, chosen, strict=True))

    def _options(self, node: Node, choice: str, when: Sequence[Condition]) -> list[object]:
        setter = self._owner(node, choice)
        if not isinstance(setter, Parameter):
            return [self._fixed(node).get(choice, node.get(choice))]
        values = _values(setter, node, choice)
        found = [value for label, value in values if _allows(when, setter.name, label)]
        always = not setter.when or any(condition.parameter == setter.name for condition in when)
        if always:
            return found
        # Where the setter does not count, the workflow's own value stands.
        return [*found, node.get(choice)]

    def _conditions(self, when: Iterable[Condition]) -> list[Condition]:
        """Conditions, and those of the parameters that they ask about: these must count, too."""
        found, ahead = [], list(when)
        asked: set[str] = set()
        while ahead:
            condition = ahead.pop()
            found.append(condition)
            if condition.parameter not in asked:
                asked.add(condition.parameter)
                ahead += [c for one in self.parameters if one.name == condition.parameter for c in one.when]
        return found

    @property
    def _setters(self) -> tuple[Parameter | Template, ...]:
        return (*self.parameters, *self.templates)

    def _owner(self, node: Node, name: str) -> Parameter | Template | None:
        """What sets an input, besides the fixed values."""
        for one in self._setters:
            if any(target.input == name and _is_of(target.node_name, node) for target in one.targets):
                return one
        return None

    def _fixed(self, node: Node) -> dict[str, ParamValue]:
        return {one.input: one.value for one in self.fixed if _is_of(one.node_name, node)}

    def _why_not(self, node: Node, name: str, known: NodeClass, given: Mapping[str, Any]) -> str:
        """Why an input is not there with these options, and the way out."""
        for choice, option in given.items():
            spec = known.inputs_with({**node.inputs, **given}).get(choice)
            below = name.removeprefix(f"{choice}.")
            if spec:
                with_it = [key for key, inputs in spec.branches if _has(inputs, below)]
            else:
                with_it = []
            if not with_it or any(same(option, one) for one in with_it):
                continue
            setter = self._owner(node, choice)
            if len(with_it) > 1:
                one_of = f"[{', '.join(map(str, with_it))}]"
            else:
                one_of = str(with_it[0])
            if setter:
                way_out = f"add when: {{{setter.name}: {one_of}}}"
            else:
                way_out = f"give {choice!r} such a value"
            shown = " or ".join(map(repr, with_it))
            return f"is there only while `{choice}` is {shown}, and not while it is {option!r}; {way_out}"
        return "hangs on no option that is chosen"


def _around(name: str, known: NodeClass) -> list[str]:
    """The dynamic combos on whose options an input hangs, the outermost first."""
    if "." not in name:
        return []
    specs = known.every_input()
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(1, len(parts)))
    # Names with dots stand for nesting only where the part before the dot is a choice.
    return [prefix for prefix in prefixes if prefix in specs and specs[prefix].branches]


def _values(setter: Parameter | Template, node: Node, name: str) -> list[tuple[ParamValue, Any]]:
    """Each option of a parameter, and what it gives an input."""
    if not isinstance(setter, Parameter):
        return []
    for index, target in enumerate(setter.targets):
        if target.input == name and _is_of(target.node_name, node):
            gives = setter.gives or tuple((option,) * len(setter.targets) for option in setter.domain.options)
            return [
                (option, given[index]) for option, given in zip(setter.domain.options, gives, strict=True)
            ]
    return []


def _allows(when: Iterable[Condition], parameter: str, value: ParamValue) -> bool:
    """Whether conditions can hold while a parameter has a value."""
    return all(condition.holds(value) for condition in when if condition.parameter == parameter)


def _has(inputs: Mapping[str, InputSpec], below: str) -> bool:
    """Whether an input, or what hangs on one, is called so."""
    return any(below == key or below.startswith(f"{key}.") for key in inputs)


def _is_of(node_name: str, node: Node) -> bool:
    return node_name in (node.title, node.id)
