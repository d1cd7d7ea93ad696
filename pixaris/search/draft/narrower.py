"""A search file around the best sets of a search, from the copy of its file that the search keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.files import JsonMapping
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.search.draft.render import flow
from pixaris.search.file.spec import read_search_file
from pixaris.search.file.yaml_file import read_yaml
from pixaris.search.space.around import around
from pixaris.search.space.domain import KINDS
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.space import Space
from pixaris.search.space.template import Template
from pixaris.types import ParamValue


def file_of(result: SearchResult) -> Path:
    """Where the search file of a search lies.

    Raises:
        ConfigurationError: It was made in Python, or by an early version.
    """
    kept = read_manifest(SearchPaths(result.folder)).get("file")
    if not isinstance(kept, str) or Path(kept).suffix == ".py":
        raise ConfigurationError(
            f"{result.folder} was made in Python, so there is no search file to write anew; give"
            " points_to_evaluate of SearchResult.load(folder).ranking() to the next Search"
        )
    return Path(kept)


def best_sets(result: SearchResult, top: int) -> list[TrialResult]:
    """The best sets of a search besides the baseline.

    Raises:
        ConfigurationError: None has a score.
    """
    found = [trial for trial in result.ranking() if trial.number != 0][:top]
    if not found:
        raise ConfigurationError(f"no set of {result.folder} has a score besides the baseline")
    return found


def narrower(result: SearchResult, sets: Sequence[TrialResult], home: Path) -> tuple[str, list[str]]:
    """The text of a narrower search file.

    Args:
        result: The search.
        sets: What it is narrowed around.
        home: The folder that the file is written to, which paths in it start from.

    Returns:
        The text, and for each parameter what became of its domain.

    Raises:
        ConfigurationError: The copy cannot be read, or its parameters stand in a Python module.
    """
    copy = SearchPaths(result.folder).source(".yaml")
    fields = dict(read_yaml(copy).value)
    if not isinstance(fields.get("parameters"), Mapping):
        raise ConfigurationError("its parameters stand in a Python module; narrow them there", str(copy))
    spec, _ = read_search_file(copy, need_parameters=False)
    entries = dict(fields["parameters"])
    deciding = _deciding(spec.space)
    said = []
    for parameter in spec.space.parameters:
        if parameter.name not in entries or parameter.name in deciding:
            said.append(f"{parameter.name}: as it was, because others depend on it")
            continue
        values = [trial.values[parameter.name] for trial in sets if parameter.name in trial.values]
        entries[parameter.name], words = _entry(entries[parameter.name], parameter, values)
        said.append(words)
    fields["parameters"] = entries
    fields["name"] = f"{fields.get('name', result.name)}_around"
    if spec.search.algorithm.type != "grid":
        begun = _first_points(result, sets, home)
        fields["search"] = {**(fields.get("search") or {}), "points_to_evaluate": begun}
    return _text(result, sets, fields), said


def _first_points(result: SearchResult, sets: Sequence[TrialResult], home: Path) -> object:
    """What the new search begins with: by name where these are the best sets, else value by value."""
    ranked = [trial for trial in result.ranking() if trial.number != 0]
    if list(sets) == ranked[: len(sets)]:
        return {"from": _relative(result.folder, home), "top": len(sets)}
    return [dict(trial.values) for trial in sets]


def _deciding(space: Space) -> set[str]:
    """Parameters that conditions name: without some of their values, others could never count."""
    everything: tuple[Parameter | Template, ...] = (*space.parameters, *space.templates)
    return {condition.parameter for one in everything for condition in one.when}


def _entry(entry: Any, parameter: Parameter, values: Sequence[ParamValue]) -> tuple[Any, str]:  # noqa: ANN401  (of a file)
    """A parameter's entry with its narrower domain, and what became of it in words."""
    kind = parameter.domain.kind
    plain = isinstance(entry, Mapping) and kind in entry and not parameter.gives
    if not values or not plain or kind not in KINDS or kind == "constant":
        return entry, f"{parameter.name}: as it was"
    if KINDS[kind].listed and len(values) == 1:  # one set says nothing of the other values
        return entry, f"{parameter.name}: as it was, {parameter.describe()}"
    found = around(parameter.domain, values)
    if found == parameter.domain:
        return entry, f"{parameter.name}: as it was, {parameter.describe()}"
    if len(found.options) == 1:
        rest = {key: value for key, value in entry.items() if key != kind}
        return {**rest, "constant": found.options[0]}, f"{parameter.name}: {found.options[0]} in all of them"
    words = f"{parameter.name}: {parameter.domain.describe()} → {found.describe()}"
    return {**entry, kind: found.arguments()}, words


def _text(result: SearchResult, sets: Sequence[TrialResult], fields: JsonMapping) -> str:
    names = ", ".join(trial.name for trial in sets)
    lines = [f"# Around sets of {result.name}: {names}."]
    for key, value in fields.items():
        if key == "parameters":
            lines.append("parameters:")
            lines += [f"  {flow(str(name))}: {flow(entry)}" for name, entry in value.items()]
        elif key == "metrics":
            lines.append("metrics:")
            lines += [f"  - {flow(one)}" for one in value]
        else:
            lines.append(f"{key}: {flow(value)}")
    return "\n".join([*lines, ""])


def _relative(folder: Path, home: Path) -> str:
    """A path from a file's folder; as it is where it does not lie below."""
    whole, start = folder.resolve(), home.resolve()
    if whole.is_relative_to(start):
        return f"./{whole.relative_to(start).as_posix()}"
    return str(whole)
