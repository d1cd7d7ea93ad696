"""The search file's ``generation_params`` and ``parameters``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.search.file.conditions import read_conditions
from pixaris.search.file.reader import Reader, shown
from pixaris.search.file.schema.keys import FIXED, PARAMETER, TARGET, names
from pixaris.search.file.values import read_domain, read_images, read_pairs
from pixaris.search.file.yaml_file import join
from pixaris.search.space.conditions import condition_faults
from pixaris.search.space.domain import KINDS, Domain
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.space import Space, Target, idle
from pixaris.search.space.template import Template
from pixaris.types import GenerationParam

_NAME = re.compile(r"[\w-]{1,100}")
_TARGET = names(TARGET)
_WORDS = names(PARAMETER)
_EXAMPLE = "radius: {node_name: Blur, input: blur_radius, randint: [1, 6]}"
_EXAMPLE_WITHOUT_NODES = "guidance: {uniform: [20, 80]}"
_IMAGE = "image"


def read_generation_params(
    reader: Reader, path: str, value: object, *, nodes: bool = True
) -> tuple[GenerationParam, ...]:
    """Fixed values: a list of ``{node_name, input, value}``.

    Args:
        reader: Collects the problems.
        path: Where it stands.
        value: What stands there.
        nodes: Whether inputs belong to nodes. If not, a node name may be left out, and ``{input: value,
            ...}`` will do.
    """
    params: dict[Target, GenerationParam] = {}
    reader.fixed_at.clear()
    if not nodes and isinstance(value, dict):
        value = _unfolded(reader, path, value)
    for index, entry in enumerate(
        reader.items(path, value, "write - {node_name: KSampler, input: steps, value: 20}")
    ):
        where = join(path, index)
        if not nodes:
            entry = _with_node(entry, "")
        fields = reader.section(where, entry, names(FIXED))
        target = _target(reader, where, entry)
        if not isinstance(entry, dict) or not reader.required(
            where, fields, "value", "give the value it has in every trial"
        ):
            continue
        fixed = fields["value"]
        if isinstance(fixed, dict | list):
            reader.add_problem(
                join(where, "value"),
                f"must be text, a number or a boolean (got {shown(fixed)}); to try several, use parameters",
            )
            continue
        if isinstance(fixed, float) and reader.number(join(where, "value"), fixed) is None:
            continue
        if target in params:
            reader.add_problem(where, f"{target} is set twice; keep one of them")
        elif target:
            params[target] = GenerationParam(target.node_name, target.input, fixed)
            reader.fixed_at.append(index)
    return tuple(params.values())


@dataclass
class _Found:
    """What has been read of the parameters; conditions come last, when every name is known.

    Attributes:
        taken: Inputs that have a value, and what gives it.
        parameters: By name.
        templates: By name.
        when: Conditions as they are written, by the name of the parameter that has them.
        whole: Whether all could be read.
    """

    taken: dict[Target, str]
    parameters: dict[str, Parameter] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    when: dict[str, object] = field(default_factory=dict)
    whole: bool = True

    def add(self, reader: Reader, where: str, one: Parameter | Template, when: object) -> None:
        """Add one, without the inputs that another one sets; those are problems."""
        free = []
        for target in one.targets:
            if target in self.taken:
                reader.add_problem(where, f"{target} is also set by {self.taken[target]}; keep one of them")
            else:
                free.append(target)
                self.taken[target] = f"parameter {one.name!r}"
        is_whole = len(free) == len(one.targets)
        self.whole = self.whole and is_whole
        if isinstance(one, Template):
            self.templates[one.name] = replace(one, targets=tuple(free))
        elif is_whole:
            self.parameters[one.name] = one
        elif free and not one.gives:  # what it gives has a value for each of its targets
            self.parameters[one.name] = replace(one, targets=tuple(free))
        if when is not None:
            self.when[one.name] = when


def read_parameters(
    reader: Reader,
    path: str,
    value: object,
    fixed: tuple[GenerationParam, ...],
    folder: Path | None = None,
    *,
    nodes: bool = True,
    any_name: bool = False,
) -> Space:
    """The search space: parameter name to target and domain.

    Args:
        reader: Collects the problems; the space is whole only if nothing is.
        path: Where the mapping stands.
        value: The mapping.
        fixed: The fixed values beside it.
        folder: Where paths of images start; the current folder by default.
        nodes: Whether inputs belong to nodes. If not, a node name may be left out, and an input is the
            parameter's own name, if that does not stand in a template.
        any_name: Whether a parameter's name may hold any character, as in Python.
    """
    taken = {Target(param.node_name, param.input): "the fixed value" for param in fixed}
    found = _Found(taken)
    texts = "" if nodes else " ".join(_template_texts(value))
    for name, entry in reader.mapping(path, value).items():
        where = join(path, name)
        if not any_name and not _NAME.fullmatch(name):
            reader.add_problem(where, f"a parameter's name has letters, digits, _ and - (got {shown(name)})")
        if not isinstance(entry, dict):
            example = _EXAMPLE if nodes else _EXAMPLE_WITHOUT_NODES
            reader.add_problem(
                where, f"must say where it is set and its domain (got {shown(entry)}); for example {example}"
            )
            found.whole = False
            continue
        if not nodes and not re.search(rf"{{{re.escape(name)}[:}}]", texts):
            entry = _with_node(entry, name)
        one = _entry(reader, where, name, entry, folder or Path())
        if one is None:
            reader.unbound += [(where, target) for target in _named_targets(entry)]
            found.whole = False
        else:
            found.add(reader, where, one, entry.get("when"))
    return _space(reader, path, found)


def _named_targets(entry: dict[str, object]) -> list[tuple[str, str]]:
    """Node and input that a faulty entry names, as far as they can be read."""
    targets = entry.get("targets")
    rows: list[object] = [entry]
    if isinstance(targets, dict):
        rows += targets.values()
    elif isinstance(targets, list):
        rows += targets
    found = []
    for row in rows:
        if isinstance(row, dict):
            node, name = (row.get(key) for key in _TARGET)
            if isinstance(node, str) and isinstance(name, str) and node and name:
                found.append((node, name))
    return found


def _with_node(entry: object, name: str) -> Any:  # noqa: ANN401  (an entry as it was written)
    """An entry whose input is the parameter's name, and whose node is called as the input, where they are
    left out.
    """
    if not isinstance(entry, dict):
        return entry
    if "targets" in entry:
        targets = entry["targets"]
        if isinstance(targets, dict):
            return {**entry, "targets": {part: _with_node(one, part) for part, one in targets.items()}}
        if isinstance(targets, list):
            return {**entry, "targets": [_with_node(one, "") for one in targets]}
        return entry
    given = entry if entry.get("input") is not None or not name else {**entry, "input": name}
    field = given.get("input")
    if given.get("node_name") is not None or not isinstance(field, str):
        return given
    return {**given, "node_name": field}


def _unfolded(reader: Reader, path: str, value: dict[str, object]) -> list[object]:
    """``{input: value, ...}`` as a list; problems keep their places by the reader's lines."""
    for index, name in enumerate(value):
        reader.alias(join(path, index), join(path, name))
    return [{"node_name": name, "input": name, "value": inner} for name, inner in value.items()]


def _template_texts(value: object) -> list[str]:
    entries = value.values() if isinstance(value, dict) else ()
    return [str(entry["template"]) for entry in entries if isinstance(entry, dict) and "template" in entry]


def _space(reader: Reader, path: str, found: _Found) -> Space:
    """The space with its conditions, if those make sense; a part of it is not asked what is missing."""
    before = len(reader.problems)
    for name, given in found.when.items():
        when = read_conditions(reader, join(join(path, name), "when"), given, found.parameters)
        if name in found.parameters:
            found.parameters[name] = replace(found.parameters[name], when=when)
        elif name in found.templates:
            found.templates[name] = replace(found.templates[name], when=when)
    parameters, templates = tuple(found.parameters.values()), tuple(found.templates.values())
    if found.whole and len(reader.problems) == before:
        for fault in condition_faults(parameters, [(template.name, template.when) for template in templates]):
            reader.add_problem(join(join(join(path, fault.owner), "when"), fault.parameter), fault.message)
        domains = {parameter.name: parameter.domain for parameter in parameters}
        for template in templates:
            for message in template.faults(domains):
                reader.add_problem(join(join(path, template.name), "template"), message)
        for name, message in idle(parameters, templates):
            reader.add_problem(join(path, name), message)
    if len(reader.problems) > before or not found.whole:
        free = [replace(parameter, when=()) for parameter in parameters if parameter.targets]
        return Space(tuple(free))  # good for finding more problems, and for nothing else
    return Space(parameters, templates)


def _entry(
    reader: Reader, path: str, name: str, entry: dict[str, object], folder: Path
) -> Parameter | Template | None:
    fields = reader.section(path, entry, (*_WORDS, *KINDS))
    kinds = [word for word in (*KINDS, "images", "template") if word in fields]
    if not kinds:
        if all(key in _WORDS for key in entry):  # else an unknown key, most likely a typo, has been told
            reader.add_problem(
                path,
                f"has no domain; give one of {', '.join(f'{kind} {KINDS[kind].form}' for kind in KINDS)}",
            )
        _targets(reader, path, entry, fields)
        return None
    if len(kinds) > 1:
        what = "domains" if "template" not in kinds else "kinds of value"
        reader.add_problem(path, f"has {len(kinds)} {what} ({' and '.join(kinds)}); keep one of them")
        return None
    kind = kinds[0]
    if isinstance(fields.get("targets"), dict):
        return _moving(reader, path, name, fields, kind, folder)
    if kind == "images":
        return _choosing(reader, path, name, entry, fields, folder)
    if kind == "template" or any(key in entry for key in (*_TARGET, "targets")):
        targets = _targets(reader, path, entry, fields)
        if targets is None:
            return None
    else:
        targets = ()  # a template or a condition knows it
    if kind == "template":
        return _template(reader, path, name, fields, targets)
    domain = read_domain(reader, path, kind, fields[kind])
    if domain is not None:
        return Parameter(name, targets, domain)
    return None


def _template(
    reader: Reader, path: str, name: str, fields: dict[str, object], targets: tuple[Target, ...]
) -> Template | None:
    where = join(path, "template")
    text = reader.text(where, fields["template"])
    if not text or not targets:
        return None
    try:
        return Template(name, targets, text)
    except ConfigurationError as error:
        for problem in error.problems:
            reader.add_problem(where, problem.message)
        return None


def _choosing(
    reader: Reader, path: str, name: str, entry: dict[str, object], fields: dict[str, object], folder: Path
) -> Parameter | None:
    """A parameter whose values are images."""
    if "targets" in fields:
        reader.add_problem(join(path, "targets"), "images are loaded by one node; name it as node_name")
        return None
    target = _target(
        reader,
        path,
        {_TARGET[1]: _IMAGE, **{key: value for key, value in entry.items() if value is not None}},
    )
    images = read_images(reader, join(path, "images"), fields["images"], folder)
    if target is None or not images:
        return None
    return Parameter(name, (target,), _labels(images), gives=tuple((image,) for image in images.values()))


def _moving(
    reader: Reader, path: str, name: str, fields: dict[str, object], kind: str, folder: Path
) -> Parameter | None:
    """A parameter whose options each give a value to several named targets."""
    if doubled := [key for key in _TARGET if key in fields]:
        reader.add_problem(join(path, doubled[0]), "stands beside targets; move it into the mapping")
    where = join(path, "targets")
    named = reader.mapping(where, fields["targets"])
    if kind not in ("choice", "grid_search"):
        reader.add_problem(
            where, f"has names, for the values of a choice of mappings; with {kind} write a list of targets"
        )
        return None
    if not named:
        reader.add_problem(where, "needs at least one name: {node_name: ..., input: ...}")
        return None
    targets: dict[str, Target | None] = {}
    for part, inner in named.items():
        reader.section(join(where, part), inner, _TARGET)
        targets[part] = _target(reader, join(where, part), inner)
    options = read_pairs(reader, join(path, kind), fields[kind], tuple(targets), folder)
    found = tuple(target for target in targets.values() if target is not None)
    for again in sorted({str(target) for target in found if found.count(target) > 1}):
        reader.add_problem(where, f"{again} stands twice; keep one of them")
        return None
    if options is None or len(found) < len(targets):
        return None
    domain = read_domain(reader, path, kind, list(options))
    if domain is not None:
        return Parameter(name, found, domain, gives=tuple(options.values()), parts=tuple(targets))
    return None


def _labels(images: Mapping[str, object]) -> Domain:
    return Domain("choice", options=tuple(images))


def _targets(
    reader: Reader, path: str, entry: dict[str, object], fields: dict[str, object]
) -> tuple[Target, ...] | None:
    """The inputs a parameter sets, or None if something is wrong with one."""
    if "targets" not in fields:
        target = _target(reader, path, entry)
        if target:
            return (target,)
        return None
    if doubled := [key for key in _TARGET if key in fields]:
        reader.add_problem(join(path, doubled[0]), "stands beside targets; move it into the list")
    where = join(path, "targets")
    entries = reader.items(where, fields["targets"], "write [{node_name: Blur, input: sigma}, ...]")
    if fields["targets"] == []:
        reader.add_problem(where, "needs at least one {node_name: ..., input: ...}")
    found = []
    for index, inner in enumerate(entries):
        reader.section(join(where, index), inner, _TARGET)
        found.append(_target(reader, join(where, index), inner))
    targets = tuple(target for target in found if target is not None)
    if targets and len(targets) == len(found):
        return targets
    return None


def _target(reader: Reader, path: str, entry: object) -> Target | None:
    if not isinstance(entry, dict):
        return None
    given = {key: entry[key] for key in _TARGET if entry.get(key) is not None}
    present = [
        reader.required(path, given, "node_name", "give the node's title in the workflow"),
        reader.required(path, given, "input", "give the name of the node's input"),
    ]
    words = [reader.text(join(path, key), word) for key, word in given.items()]
    if all(present) and all(words):
        return Target(*words)
    return None
