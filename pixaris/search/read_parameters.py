"""The search file's ``generation_params`` and ``parameters``."""

from __future__ import annotations

import re
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.search.domain import KINDS, Domain
from pixaris.search.read import Reader, shown
from pixaris.search.space import Parameter, Space, Target
from pixaris.search.yaml_file import join
from pixaris.types import GenerationParam

_NAME = re.compile(r"[\w-]{1,100}")
_TARGET = ("node_name", "input")
_EXAMPLE = "radius: {node_name: Blur, input: blur_radius, randint: [1, 6]}"
_EXAMPLE_WITHOUT_NODES = "guidance: {uniform: [20, 80]}"


def read_generation_params(reader: Reader, path: str, value: object, *, nodes: bool = True) -> tuple[GenerationParam, ...]:
    """Fixed values: a list of ``{node_name, input, value}``.

    Args:
        reader: Is told what is wrong.
        path: Where it stands.
        value: What stands there.
        nodes: Whether inputs belong to nodes. If not, a node name may be left out, and ``{input: value, ...}`` will do.
    """
    params: dict[Target, GenerationParam] = {}
    if not nodes and isinstance(value, dict):
        value = _unfolded(reader, path, value)
    for index, entry in enumerate(reader.items(path, value, "write - {node_name: KSampler, input: steps, value: 20}")):
        where = join(path, index)
        if not nodes:
            entry = _with_node(entry, "")
        fields = reader.section(where, entry, (*_TARGET, "value"))
        target = _target(reader, where, entry)
        if not isinstance(entry, dict) or not reader.required(where, fields, "value", "give the value it has in every trial"):
            continue
        fixed = fields["value"]
        if isinstance(fixed, dict | list):
            reader.tell(
                join(where, "value"), f"must be text, a number or a boolean (got {shown(fixed)}); to try several, use parameters"
            )
            continue
        if isinstance(fixed, float) and reader.number(join(where, "value"), fixed) is None:
            continue
        if target in params:
            reader.tell(where, f"{target} is set twice; keep one of them")
        elif target:
            params[target] = GenerationParam(target.node_name, target.input, fixed)
    return tuple(params.values())


def read_parameters(reader: Reader, path: str, value: object, fixed: tuple[GenerationParam, ...], *, nodes: bool = True) -> Space:
    """The search space: parameter name to target and domain.

    Args:
        reader: Is told what is wrong.
        path: Where it stands.
        value: What stands there.
        fixed: The fixed values.
        nodes: Whether inputs belong to nodes. If not, a node name may be left out, and an input is the parameter's own name.
    """
    taken = {Target(param.node_name, param.input): "generation_params" for param in fixed}
    parameters = []
    for name, entry in reader.mapping(path, value).items():
        where = join(path, name)
        if not _NAME.fullmatch(name):
            reader.tell(where, f"a parameter's name has letters, digits, _ and - (got {shown(name)})")
        if not isinstance(entry, dict):
            example = _EXAMPLE if nodes else _EXAMPLE_WITHOUT_NODES
            reader.tell(where, f"must say where it is set and its domain (got {shown(entry)}); for example {example}")
            continue
        if not nodes:
            entry = _with_node(entry, name)
        fields = reader.section(where, entry, (*_TARGET, "targets", *KINDS))
        targets = _targets(reader, where, entry, fields)
        domain = _domain(reader, where, entry, fields)
        free = []
        for target in targets:
            if target in taken:
                other = "the fixed value" if taken[target] == "generation_params" else f"parameter {taken[target]!r}"
                reader.tell(where, f"{target} is also set by {other}; keep one of them")
            else:
                free.append(target)
                taken[target] = name
        if domain is not None and free:
            parameters.append(Parameter(name, tuple(free), domain))
    return Space(tuple(parameters))


def _with_node(entry: object, name: str) -> object:
    """An entry whose input is the parameter's name, and whose node is called as the input, where they are left out."""
    if not isinstance(entry, dict):
        return entry
    if "targets" in entry:
        targets = entry["targets"]
        return {**entry, "targets": [_with_node(one, "") for one in targets]} if isinstance(targets, list) else entry
    given = entry if entry.get("input") is not None or not name else {**entry, "input": name}
    field = given.get("input")
    return given if given.get("node_name") is not None or not isinstance(field, str) else {**given, "node_name": field}


def _unfolded(reader: Reader, path: str, value: dict[str, object]) -> list[object]:
    """``{input: value, ...}`` as a list; problems keep their places by the reader's lines."""
    for index, name in enumerate(value):
        reader.alias(join(path, index), join(path, name))
    return [{"node_name": name, "input": name, "value": inner} for name, inner in value.items()]


def _targets(reader: Reader, path: str, entry: dict[str, object], fields: dict[str, object]) -> list[Target]:
    if "targets" not in fields:
        target = _target(reader, path, entry)
        return [target] if target else []
    if doubled := [key for key in _TARGET if key in fields]:
        reader.tell(join(path, doubled[0]), "stands beside targets; move it into the list")
    where = join(path, "targets")
    entries = reader.items(where, fields["targets"], "write [{node_name: Blur, input: sigma}, ...]")
    if fields["targets"] == []:
        reader.tell(where, "needs at least one {node_name: ..., input: ...}")
    for index, inner in enumerate(entries):
        reader.section(join(where, index), inner, _TARGET)
    return [target for index, inner in enumerate(entries) if (target := _target(reader, join(where, index), inner))]


def _target(reader: Reader, path: str, entry: object) -> Target | None:
    if not isinstance(entry, dict):
        return None
    given = {key: entry[key] for key in _TARGET if entry.get(key) is not None}
    present = [
        reader.required(path, given, "node_name", "give the node's title in the workflow"),
        reader.required(path, given, "input", "give the name of the node's input"),
    ]
    words = [reader.text(join(path, key), word) for key, word in given.items()]
    return Target(*words) if all(present) and all(words) else None


def _domain(reader: Reader, path: str, entry: dict[str, object], fields: dict[str, object]) -> Domain | None:
    named = [kind for kind in KINDS if kind in fields]
    if not named:
        if all(key in (*_TARGET, "targets") for key in entry):  # else an unknown key, most likely a typo, has been told
            reader.tell(path, f"has no domain; give one of {', '.join(f'{kind} {KINDS[kind].form}' for kind in KINDS)}")
        return None
    if len(named) > 1:
        reader.tell(path, f"has {len(named)} domains ({' and '.join(named)}); keep one of them")
        return None
    kind, where = named[0], join(path, named[0])
    value = fields[kind]
    try:
        if kind == "constant":
            constant: tuple[Any, ...] = (value,)
            return Domain(kind, options=constant)
        if KINDS[kind].listed:
            if not isinstance(value, list):
                reader.tell(where, f"must be a list of values (got {shown(value)}); write {kind}: [{shown(value)}]")
                return None
            return Domain(kind, options=tuple(value))
        numbers = _numbers(reader, where, kind, value)
        by_name: dict[str, Any] = dict(zip(KINDS[kind].names, numbers or (), strict=False))
        return Domain(kind, **by_name) if numbers else None
    except ConfigurationError as error:
        for problem in error.problems:
            reader.tell(where, problem.message)
        return None


def _numbers(reader: Reader, path: str, kind: str, value: object) -> list[float] | None:
    names = KINDS[kind].names
    if isinstance(value, dict):
        fields = reader.section(path, value, names)
        missing = [name for name in names if not reader.required(path, fields, name, f"{kind} takes {KINDS[kind].form}")]
        found = [reader.number(join(path, name), fields[name]) for name in names if name in fields]
        if missing:
            return None
    elif isinstance(value, list) and len(value) == len(names):
        found = [reader.number(join(path, index), inner) for index, inner in enumerate(value)]
    else:
        reader.tell(path, f"{kind} takes {KINDS[kind].form} (got {shown(value)})")
        return None
    numbers = [number for number in found if number is not None]
    return numbers if len(numbers) == len(names) else None
