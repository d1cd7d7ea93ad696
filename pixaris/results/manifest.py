"""``manifest.json``: what a search was made from, kept beside what it finds, and what another one differs in.

What decides which images are made and how they are judged must stay the same when a search is resumed: the
eval set, the generator and its workflow, ``generation_params``, ``parameters``, ``metrics``, ``objective``,
and under ``search`` all but ``num_samples`` and ``max_concurrent``. Where and how much is generated may
change: ``endpoints``, ``limits``, ``budget``, ``search.num_samples``, ``search.max_concurrent``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pixaris.files import plain, read_json, write_json
from pixaris.results.paths import SearchPaths
from pixaris.types import EvalSet

MAY_CHANGE = "endpoints, limits, budget, cache, search.num_samples and search.max_concurrent"
FIXED = {
    "generator": "generator",
    "workflow": "workflow",
    "generation_params": "generation_params",
    "space": "parameters",
    "baseline": "the workflow's own value of",
    "metrics": "metrics",
    "objectives": "objective",
    "failures": "objective.failures",
    "algorithm": "search.algorithm",
    "algorithm_options": "search.algorithm",
    "scheduler": "search.scheduler",
    "scheduler_options": "search.scheduler",
    "points_to_evaluate": "search.points_to_evaluate",
    "seeds": "seeds",
    "columns": "dataset.columns",
    "seed": "search.seed",
    "step": "search.step",
    "holdout": "holdout",
    "first_seed": "recheck, the first seed",
    "guided_images": "budget.images, which gp plans by,",
    "guaranteed_sets": "the number of sets, which share the guarantee,",
}
"""Key of a manifest that must stay the same, and the words for it in a search file."""

_JOINTS = {"baseline": " ", "workflow": ": "}
"""What stands between the words for a key and what is inside of it; a dot for all others."""

GENERATORS, WORKFLOW = "generators", "workflow"
"""Keys of a choice of generators: name to each, and of each its workflow."""

_SECRET = ("key", "token", "secret", "password")
_WHERE = ("api_host", "host", "url")
_TEXTS = "texts"
"""Key of an item's row that has its texts, beside the folders of its images."""
_SHOWN = 3
_LONG = 60


def write_manifest(paths: SearchPaths, manifest: Mapping[str, object]) -> None:
    """Keep a manifest."""
    write_json(paths.manifest, manifest)


def read_manifest(paths: SearchPaths) -> dict[str, Any]:
    """A search's manifest; empty if there is none, and without what somebody has made something else of."""
    found = read_json(paths.manifest) or read_json(paths.folder / paths.OLD_MANIFEST) or {}
    for key in ("space", "workflow", "items"):
        if found.get(key) is not None and not _is_table(found[key]):
            del found[key]
    # As the first versions wrote a search without parameters.
    if found.get("space", {}) is None:
        del found["space"]
    return found


def workflow_of(manifest: Mapping[str, Any], chosen: str) -> dict[str, Any]:
    """A search's own workflow; of several generators the chosen one's. Empty where there is none."""
    generators = (manifest.get("generator") or {}).get(GENERATORS) or {}
    found: dict[str, Any] = manifest.get("workflow") or (generators.get(chosen) or {}).get(WORKFLOW) or {}
    return found


def _is_table(value: object) -> bool:
    """Whether it maps names to mappings."""
    return isinstance(value, Mapping) and all(isinstance(row, Mapping) for row in value.values())


def component(made: object) -> dict[str, object]:
    """A generator's or metric's class and its plain public attributes, without secrets and addresses."""
    facts = {name: value for name, value in vars(made).items() if not name.startswith("_")}
    return {"type": type(made).__name__, **plain_facts(facts)}


def plain_facts(given: Mapping[str, object]) -> dict[str, object]:
    """What of it is plain JSON, without secrets and addresses."""
    facts = {}
    for name, value in given.items():
        is_secret = any(word in name.lower() for word in _SECRET)
        if name not in _WHERE and not is_secret and _is_plain(value):
            facts[name] = value
    return facts


def items(eval_set: EvalSet) -> dict[str, dict[str, Any]]:
    """Item name to the digests of its images and to its texts, in the eval set's order."""
    found: dict[str, dict[str, Any]] = {}
    for item in eval_set.items:
        images = {**item.inputs, **item.references}
        # 16 hex digits tell millions of images apart, and keep the file readable.
        row: dict[str, Any] = {folder: image.digest[:16] for folder, image in images.items()}
        if item.texts:
            row[_TEXTS] = dict(item.texts)
        found[item.name] = row
    return found


def workflow_inputs(graph: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow in API format as ``node 'Title', input 'name'`` to value; links and classes too."""
    found: dict[str, Any] = {}
    for node_id, node in graph.items():
        title = str((node.get("_meta") or {}).get("title") or node.get("class_type"))
        words = f"node {title!r}"
        # Titles are not unique in ComfyUI; the first of them keeps the plain words.
        if f"{words}, class" in found:
            words = f"node {title!r} ({node_id})"
        found[f"{words}, class"] = node.get("class_type")
        found.update(
            {f"{words}, input {name!r}": value for name, value in (node.get("inputs") or {}).items()}
        )
    return found


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What must stay the same and does not: one sentence each, in the search file's words.

    Args:
        old: The manifest that is kept. A key that it lacks (an older search) is not compared.
        new: The manifest of the search that is to go on with it.
    """
    # Through JSON, as the old one has gone: tuples have become lists, numpy's numbers plain ones.
    new = json.loads(json.dumps(plain(new)))
    found = item_differences(old.get("items"), new.get("items"))
    for key, words in FIXED.items():
        # An older search lacks keys that came later; one that has its items was written since all these keys
        # exist.
        if key in old or (key in new and "items" in old):
            was, is_ = old.get(key), new.get(key)
            if key == "workflow":
                was, is_ = workflow_inputs(was or {}), workflow_inputs(is_ or {})
            found += _between(words, was, is_, _JOINTS.get(key, "."))
    # Two keys may have the same words, as an algorithm and its options.
    return list(dict.fromkeys(found))


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    """What differs between two workflows in API format, one line for each input."""
    before, after = workflow_inputs(old), workflow_inputs(new)
    found = []
    for words in dict.fromkeys([*before, *after]):
        if before.get(words) != after.get(words):
            was = _whole(before[words]) if words in before else "nothing"
            found.append(f"{words}: {was} → {_whole(after.get(words))}")
    return found


def _between(words: str, was: object, is_: object, joint: str = ".") -> list[str]:
    if _same(was, is_):
        return []
    if isinstance(was, Mapping) and isinstance(is_, Mapping):
        keys = dict.fromkeys([*was, *is_])
        return [line for key in keys for line in _between(f"{words}{joint}{key}", was.get(key), is_.get(key))]
    if (
        isinstance(was, list)
        and isinstance(is_, list)
        and len(was) == len(is_)
        and any(isinstance(one, Mapping) for one in was)
    ):
        pairs = enumerate(zip(was, is_, strict=True))
        return [line for index, (a, b) in pairs for line in _between(f"{words}.{index}", a, b)]
    if was is None:
        return [f"{words} is new ({_shown(is_)})"]
    if is_ is None:
        return [f"{words} is gone (it was {_shown(was)})"]
    return [f"{words} was {_shown(was)} and is {_shown(is_)}"]


def _same(was: object, is_: object) -> bool:
    # text, because 1, 1.0 and True are equal values
    return json.dumps(was, sort_keys=True) == json.dumps(is_, sort_keys=True)


def item_differences(was: Mapping[str, Any] | None, is_: Mapping[str, Any] | None) -> list[str]:
    """What differs between two eval sets, one sentence each; nothing where one is not known.

    Args:
        was: As `items` gives it, of the earlier one.
        is_: Of the later one.
    """
    # As lists, because two mappings are equal whatever their order, and the order decides which items a
    # stopped trial has.
    if was is None or is_ is None or list(was.items()) == list(is_.items()):
        return []
    new = [name for name in is_ if name not in was]
    gone = [name for name in was if name not in is_]
    other = [name for name in is_ if name in was and _images(is_[name]) != _images(was[name])]
    groups = ((new, "new items"), (gone, "items that are gone"), (other, "items with other images"))
    found = [f"dataset: {len(names)} {what} ({_list(names)})" for names, what in groups if names]
    found += [line for name in is_ if name in was for line in _text_changes(name, was[name], is_[name])]
    return found or ["dataset: the order of its items differs"]


def _images(row: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name != _TEXTS}


def _text_changes(name: str, was: Mapping[str, Any], is_: Mapping[str, Any]) -> list[str]:
    """What an item's row of a file of prompts has in other words."""
    before, after = was.get(_TEXTS) or {}, is_.get(_TEXTS) or {}
    columns = dict.fromkeys([*before, *after])
    return [
        line
        for column in columns
        for line in _between(f"dataset: {column!r} of item {name!r}", before.get(column), after.get(column))
    ]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _whole(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shown(value: object) -> str:
    text = _whole(value)
    if len(text) <= _LONG:
        return text
    return f"{text[: _LONG - 1]}…"


def _is_plain(value: object) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
