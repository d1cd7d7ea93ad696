"""The eval set of a run: loaded, and held against the generator that it feeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace

from pixaris.comfyui.graph.texts import TextPlace, text_places
from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import DatasetError, Problem, WorkflowError
from pixaris.generation.base import ImageGenerator, load_node
from pixaris.types import EvalItem, EvalSet, GenerationParam, NodeInput, ParamValue

_WANTED = frozenset(("prompt", "positive", "positive_prompt", "text", "caption"))
_UNWANTED = frozenset(("negative", "negative_prompt"))
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PHOTOS = frozenset(("photo", "photos", "photographs", "image", "images", "pictures", "input", "inputs"))
_MASKS = frozenset(("mask", "masks"))
_EXAMPLE = "columns: {%s: {node_name: Positive Prompt, input: text}}"


def placed(eval_set: EvalSet, generator: ImageGenerator) -> EvalSet:
    """The eval set with its folders and columns going to the nodes of a generator.

    A folder feeds the node of its title, a column the inputs that were said; where nothing was said and there
    is one obvious place, that is taken and told in ``remarks``.

    Args:
        eval_set: As it was loaded.
        generator: What it feeds.

    Raises:
        DatasetError: It cannot be told where a column goes, or a column that was named is not there; all
            faults are told at once.
    """
    found = _renamed(eval_set, generator)
    if not found.columns:
        return found
    problems = _unknown(found)
    feeds = dict(found.feeds)
    remarks = list(found.remarks)
    if problems:
        guesses = {}
    else:
        guesses = _guessed_of_all(found, generator, problems)
    for column, (places, why) in guesses.items():
        feeds[column] = places
        remarks.append(f"column {column!r} feeds {_shown(places)}: {why}")
    fed = any(column in feeds for column in found.columns) or bool(found.input_folders)
    given = any(item.params for item in found.items) or not _needs_places(generator)
    if not fed and not given and not problems:
        columns = ", ".join(map(repr, found.columns))
        rule = f"no column feeds the workflow, so every item would be the same; there are {columns}"
        problems.append(Problem("", f"{rule}; name one: {_EXAMPLE % found.columns[0]}", "dataset.columns"))
    if problems:
        raise DatasetError(problems, f"eval set {found.name!r}")
    unfed = [column for column in found.columns if column not in feeds]
    if unfed and _needs_places(generator):
        remarks.append(f"only metrics can read {', '.join(map(repr, unfed))}: no node is fed with it")
    items = tuple(_with_params(item, feeds, generator) for item in found.items)
    return replace(found, items=items, feeds=feeds, remarks=tuple(remarks))


def _needs_places(generator: ImageGenerator) -> bool:
    """Whether texts reach it by parameters alone: a generator of the user's own reads ``args``."""
    return generator.workflow is not None or generator.uses_endpoints


def _unknown(eval_set: EvalSet) -> list[Problem]:
    there = ", ".join(map(repr, eval_set.columns))
    return [
        Problem("", f"there is no column {column!r}; there are {there}", f"dataset.columns.{column}")
        for column in eval_set.feeds
        if column not in eval_set.columns
    ]


def _guessed_of_all(
    eval_set: EvalSet, generator: ImageGenerator, problems: list[Problem]
) -> dict[str, tuple[tuple[NodeInput, ...], str]]:
    """As `_guessed`; of several generators for each, its inputs under its name."""
    if generator.choice is None:
        return _guessed(eval_set, generator, problems)
    found: dict[str, tuple[tuple[NodeInput, ...], str]] = {}
    for name, one in generator.choice.generators.items():
        own = _guessed(generator.choice.eval_set(name, eval_set), one, problems)
        for column, (places, why) in own.items():
            named = tuple((f"{name}/{node}" if node else name, input) for node, input in places)
            known, reason = found.get(column, ((), why))
            found[column] = ((*known, *named), reason)
    return found


def _guessed(
    eval_set: EvalSet, generator: ImageGenerator, problems: list[Problem]
) -> dict[str, tuple[tuple[NodeInput, ...], str]]:
    """Column to where it goes and why, of those of which nobody has said it."""
    unsaid = [column for column in eval_set.columns if column not in eval_set.feeds]
    workflow = generator.workflow
    if workflow is None:
        first = eval_set.items[0]
        return {
            column: ((("", column),), "the field of its name")
            for column in unsaid
            if not generator.has_nodes and _is_field(generator, column, first.texts[column])
        }
    taken = {place for places in eval_set.feeds.values() for place in places}
    places = [one for one in text_places(workflow.nodes) if (one.node.title, one.input) not in taken]
    found: dict[str, tuple[tuple[NodeInput, ...], str]] = {}
    for column in unsaid:
        candidates, why = _candidates(column, places)
        if len(candidates) == 1:
            found[column] = (((_name(candidates[0], workflow), candidates[0].input),), why)
        elif candidates:
            listed = ", ".join(f"{one.node.label} {one.input}" for one in candidates)
            rule = f"column {column!r} could feed {listed}; name one: {_EXAMPLE % column}"
            problems.append(Problem("", rule, f"dataset.columns.{column}"))
    return found


def _is_field(generator: ImageGenerator, column: str, text: str) -> bool:
    fault = generator.fault(GenerationParam("", column, text))
    return fault is None or not fault.of_target


def _candidates(column: str, places: list[TextPlace]) -> tuple[list[TextPlace], str]:
    """Where a column could go by its name, and the reason."""
    word = _word(column)
    titled = [one for one in places if _word(one.node.title) == word]
    if titled:
        return titled, "the node of its title"
    if word in _WANTED:
        wanted = [one for one in places if one.side == "positive"]
        if wanted:
            return wanted, "the text that leads to a sampler's 'positive'"
        return [one for one in places if one.side != "negative"], "the only prompt of the workflow"
    if word in _UNWANTED:
        return [
            one for one in places if one.side == "negative"
        ], "the text that leads to a sampler's 'negative'"
    return [], ""


def _word(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text.strip().casefold())


def _name(place: TextPlace, workflow: Workflow) -> str:
    """A node's title, or its id where another node has the same title."""
    try:
        alone = workflow.find(place.node.title) is place.node
    except WorkflowError:
        alone = False
    if alone:
        return place.node.title
    return place.node.id


def _shown(places: tuple[NodeInput, ...]) -> str:
    return " and ".join(f"`{name}` of {node!r}" if node else f"`{name}`" for node, name in places)


def _with_params(
    item: EvalItem, feeds: Mapping[str, tuple[NodeInput, ...]], generator: ImageGenerator
) -> EvalItem:
    params = list(item.params)
    for column, places in feeds.items():
        for node_name, name in places:
            own = _own_value(generator, node_name, name)
            value = _value(item.texts[column], own)
            if value is None:
                continue
            param = GenerationParam(node_name, name, value)
            if isinstance(value, str):
                number = _number(value)
            else:
                number = None
            if generator.workflow is None and number is not None and generator.fault(param) is not None:
                param = replace(param, value=number)  # a field that takes no text
            params.append(param)
    return replace(item, params=tuple(params))


def _own_value(generator: ImageGenerator, node_name: str, name: str) -> ParamValue | None:
    if generator.workflow is None:
        return generator.own_value(node_name, name)
    try:
        return generator.workflow.value(node_name, name)
    except WorkflowError:
        return None  # told with the rest of what does not fit the workflow


def _value(text: str, own: ParamValue | None) -> ParamValue | None:
    """A cell as what the workflow has in its place; None where an empty one leaves the workflow's own."""
    if own is None or isinstance(own, str):
        return text
    if not text.strip():
        return None
    if isinstance(own, bool):
        return _TRUTHS.get(text.strip().lower(), text)
    number = _number(text)
    if number is None:
        return text  # refused with the rule when it is bound
    if isinstance(own, float):
        return float(number)
    return number


def _number(text: str) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    if number.is_integer():
        return int(number)
    return number


def _renamed(eval_set: EvalSet, generator: ImageGenerator) -> EvalSet:
    """The eval set with folders called ``Input`` and ``Mask`` where their own names feed nothing and are
    plain.
    """
    names: dict[str, str] = {}
    for wanted, words in (("Input", _PHOTOS), ("Mask", _MASKS)):
        names.update(_renaming(eval_set, generator, wanted, words))
    if not names:
        return eval_set
    remarks = [
        f"folder {old!r} feeds {load_node(new)!r}: the only one of its kind" for old, new in names.items()
    ]

    def renamed(item: EvalItem) -> EvalItem:
        return replace(
            item, inputs={names.get(folder, folder): image for folder, image in item.inputs.items()}
        )

    items = tuple(map(renamed, eval_set.items))
    return replace(eval_set, items=items, remarks=(*eval_set.remarks, *remarks))


def _renaming(
    eval_set: EvalSet, generator: ImageGenerator, wanted: str, words: frozenset[str]
) -> list[tuple[str, str]]:
    folders = eval_set.input_folders
    if wanted in folders or not generator.loads(load_node(wanted)):
        return []
    plain = [one for one in folders if one.casefold() in words and not generator.loads(load_node(one))]
    if len(plain) == 1:
        return [(plain[0], wanted)]
    return []
