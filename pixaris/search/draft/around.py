"""A search file whose domains lie around a set of an earlier search."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from pixaris.exceptions import ConfigurationError
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.search.file.yaml_file import read_yaml
from pixaris.search.space.domain import KINDS
from pixaris.types import ParamValue

_CREDENTIALS = re.compile(r"//[^/@\s\"]+@")
_SHARE = 0.25
"""How much of a domain is searched again, around the set's value."""


def search_around(result: SearchResult, trial: TrialResult) -> str:
    """The text of a search file: the search's own, with domains of numbers a quarter as wide around a set's
    values, which the new search begins with.

    Args:
        result: The search.
        trial: The set.

    Raises:
        ConfigurationError: The search keeps no YAML file, or its parameters are not written in it.
    """
    file = SearchPaths(result.folder).source(".yaml")
    if not file.is_file():
        raise ConfigurationError(f"{result.name} was not made from a YAML file, so there is none to change")
    row = read_yaml(file).value
    parameters = row.get("parameters")
    if not isinstance(parameters, Mapping):
        raise ConfigurationError(f"the parameters of {result.name} do not stand in its search file")
    near = {name: _near(given, trial.values.get(name)) for name, given in parameters.items()}
    search = row.get("search")
    search = dict(search) if isinstance(search, Mapping) else {}
    begun = {name: value for name, value in trial.values.items() if name in near}
    search["points_to_evaluate"] = [begun]
    changed = {**row, "name": f"{result.name}-around", "parameters": near, "search": search}
    head = [
        f"# Around {trial.name} of {result.name}: numbers within a quarter of their domains.",
        "# Relative paths are those of the first search file: put this one beside it.",
    ]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in changed.items()]
    return _CREDENTIALS.sub("//", "\n".join([*head, "", *lines, ""]))


def _near(given: Any, value: ParamValue | None) -> Any:  # noqa: ANN401  (a parameter as a file has it)
    """A parameter with a narrower domain; one that draws no numbers stays as it is."""
    if not isinstance(given, Mapping) or isinstance(value, bool) or not isinstance(value, int | float):
        return given
    changed = dict(given)
    for name, kind in KINDS.items():
        numbers = given.get(name)
        if isinstance(numbers, list) and not kind.listed:
            changed[name] = _around(name, numbers, float(value))
    return changed


def _around(name: str, numbers: list[Any], value: float) -> list[Any]:
    kind = KINDS[name]
    low, high, *rest = numbers
    if kind.normal:
        return [value, high * _SHARE, *rest]
    if kind.log:
        half = math.log(high / low) * _SHARE / 2
        ends = (value * math.exp(-half), value * math.exp(half))
    else:
        half = (high - low) * _SHARE / 2
        ends = (value - half, value + half)
    near_low, near_high = max(low, min(ends[0], high)), min(high, max(ends[1], low))
    if kind.whole:
        near_low, near_high = math.floor(near_low), min(math.ceil(near_high) + 1, high)
    if near_low >= near_high:  # the workflow's own value may lie outside
        return numbers
    return [near_low, near_high, *rest]
