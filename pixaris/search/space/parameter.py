"""A parameter: a named dimension of the space, and what its values set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pixaris.images import EncodedImage
from pixaris.search.space.conditions import Condition
from pixaris.search.space.domain import Domain, same
from pixaris.search.space.fit import Target
from pixaris.types import ParamValue

Given: TypeAlias = ParamValue | EncodedImage
"""What a target is given: a value, or an image to load."""


@dataclass(frozen=True)
class Parameter:
    """A named dimension of the space.

    Attributes:
        name: Unique in its space.
        targets: The node inputs that it sets; one, as a rule. None: only templates and conditions know it.
        domain: The values it may take.
        when: It counts only while all of these hold; else its targets keep the workflow's own values.
        gives: For each of the domain's options, what each target is given; empty: each is given the value
            itself. The options are then labels: ``width=512, height=768``, or an image's file name.
        parts: Names of the targets in a search file, for values that move together.
    """

    name: str
    targets: tuple[Target, ...]
    domain: Domain
    when: tuple[Condition, ...] = ()
    gives: tuple[tuple[Given, ...], ...] = ()
    parts: tuple[str, ...] = ()

    def given(self, value: ParamValue) -> tuple[Given, ...] | None:
        """What each target is given for a value; None for a label that is none of the domain's."""
        if not self.gives:
            return (value,) * len(self.targets)
        for option, given in zip(self.domain.options, self.gives, strict=True):
            if same(option, value):
                return given
        return None

    def domain_of(self, index: int) -> Domain:
        """The values of one target that are no images."""
        if not self.gives:
            return self.domain
        # By value and by whether it is a boolean, which Python takes for 0 or 1.
        options: dict[tuple[bool, ParamValue], ParamValue] = {}
        for gives in self.gives:
            value = gives[index]
            if not isinstance(value, EncodedImage):
                options.setdefault((isinstance(value, bool), value), value)
        return Domain("choice", options=tuple(options.values()))

    def loads(self, index: int) -> bool:
        """Whether a target is given images."""
        return any(isinstance(given[index], EncodedImage) for given in self.gives)

    def label_of(self, own: tuple[Given | None, ...]) -> ParamValue | None:
        """The option that gives the targets these values (of images, the file's name counts), or None."""
        for option, given in zip(self.domain.options, self.gives, strict=True):
            pairs = [(g, o) for g, o in zip(given, own, strict=True) if not isinstance(g, EncodedImage)]
            if all(o is not None and not isinstance(o, EncodedImage) and same(g, o) for g, o in pairs):
                return option
        return None

    def describe(self) -> str:
        """Its values as a person would write them: ``randint [1, 6]``."""
        if not self.gives:
            return self.domain.describe()
        if self.parts:
            separator = " | "
        else:
            separator = ", "
        if self.parts:
            what = self.domain.kind
        else:
            what = "images"
        return f"{what} [{separator.join(map(str, self.domain.options))}]"

    def as_dict(self) -> dict[str, object]:
        """It in the search file's form, for result files; an image is told by its digest."""
        where = written_targets(self.targets)
        values: object = self.domain.arguments()
        kind = self.domain.kind
        if self.parts:
            where = {
                "targets": {
                    part: _target(target) for part, target in zip(self.parts, self.targets, strict=True)
                }
            }
            values = [dict(zip(self.parts, map(_written, gives), strict=True)) for gives in self.gives]
        elif self.gives:
            where, kind = {"node_name": self.targets[0].node_name}, "images"
            values = {
                option: _written(given)
                for option, (given,) in zip(self.domain.options, self.gives, strict=True)
            }
        return {**where, kind: values, **written_conditions(self.when)}


def written_targets(targets: tuple[Target, ...]) -> dict[str, object]:
    """Targets as a search file has them."""
    if not targets:
        return {}
    if len(targets) == 1:
        return _target(targets[0])
    return {"targets": [_target(target) for target in targets]}


def written_conditions(when: tuple[Condition, ...]) -> dict[str, object]:
    """Conditions as a search file has them."""
    found: Mapping[str, object] = {condition.parameter: condition.written() for condition in when}
    if found:
        return {"when": found}
    return {}


def _target(target: Target) -> dict[str, object]:
    return {"node_name": target.node_name, "input": target.input}


def _written(given: Given) -> object:
    if isinstance(given, EncodedImage):
        return {"image": given.digest}
    return given
