"""Of a space with a choice of generators, what is one generator's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from pixaris.comfyui.graph.alternatives import CHOOSER, CHOSEN
from pixaris.generation.base import Choice
from pixaris.search.space.conditions import Condition
from pixaris.search.space.domain import Domain
from pixaris.search.space.fit import Target
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.space import Space
from pixaris.search.space.template import Template

_Setting = TypeVar("_Setting", Parameter, Template)


def space_of_one(space: Space, choice: Choice, name: str) -> Space:
    """The space as it is while a generator is chosen: without what can then not count, and without what sets
    inputs of other generators alone; nodes are called as the generator knows them.

    Args:
        space: Its parameter that chooses becomes a constant.
        choice: The generators.
        name: The one that is chosen.

    Raises:
        ConfigurationError: Two parameters set one input of the generator.
    """
    choosers = {one.name for one in space.parameters if Target(CHOOSER, CHOSEN) in one.targets}
    impossible: set[str] = set()
    counting: dict[str, Parameter] = {}
    for parameter in space.order:
        if _is_possible(parameter.when, impossible, choosers, name):
            counting[parameter.name] = _of_one(parameter, choice, name)
        else:
            impossible.add(parameter.name)
    possible = [one for one in space.templates if _is_possible(one.when, impossible, choosers, name)]
    templates = [_retargeted(one, choice, name) for one in possible]
    templates = [one for one in templates if one.targets]
    for chooser in choosers & counting.keys():
        counting[chooser] = replace(counting[chooser], domain=Domain("constant", options=(name,)))
    needed = {key for key, one in counting.items() if one.targets}
    needed |= {key for one in templates for key in one.placeholders}
    needed |= {condition.parameter for one in templates for condition in one.when}
    for parameter in reversed(list(counting.values())):
        if parameter.name in needed:
            needed |= {condition.parameter for condition in parameter.when}
    kept = [counting[key] for key in space.names if key in needed and key in counting]
    return Space(tuple(kept), tuple(templates))


def _is_possible(when: Iterable[Condition], impossible: set[str], choosers: set[str], name: str) -> bool:
    """Whether conditions can hold while a generator is chosen."""
    for condition in when:
        excluded = condition.parameter in choosers and not condition.holds(name)
        if excluded or condition.parameter in impossible:
            return False
    return True


def _of_one(parameter: Parameter, choice: Choice, name: str) -> Parameter:
    """A parameter with the targets that are a generator's."""
    kept = [index for index, one in enumerate(parameter.targets) if _target(one, choice, name)]
    gives = []
    for given in parameter.gives:
        gives.append(tuple(given[index] for index in kept))
    parts = tuple(parameter.parts[index] for index in kept if parameter.parts)
    if not kept:
        gives = []
    return replace(_retargeted(parameter, choice, name), gives=tuple(gives), parts=parts)


def _retargeted(setting: _Setting, choice: Choice, name: str) -> _Setting:
    found = [_target(one, choice, name) for one in setting.targets]
    return replace(setting, targets=tuple(one for one in found if one is not None))


def _target(target: Target, choice: Choice, name: str) -> Target | None:
    node_name = choice.target(name, target.node_name, target.input)
    if node_name is None:
        return None
    return Target(node_name, target.input)
