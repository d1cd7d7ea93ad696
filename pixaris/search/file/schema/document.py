"""The search file's JSON Schema, made of what the reader goes by.

It says what an editor can tell while a file is written: keys, kinds of values, limits, names. What depends on
several places or on files, ``pixaris check`` tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixaris.images import SUFFIXES
from pixaris.search.algorithms.catalog import ALGORITHMS, ALIASES, SAMPLERS, SCHEDULERS, AlgorithmInfo
from pixaris.search.file.schema.classes import Schema, options_of, required_options
from pixaris.search.file.schema.keys import (
    BUDGET,
    DATASET,
    EARLIER,
    FILE,
    FIXED,
    LIMIT,
    OBJECTIVE,
    PARAMETER,
    RECHECK,
    SEARCH,
    TARGET,
)
from pixaris.search.file.schema.places import endpoints
from pixaris.search.file.schema.shapes import (
    CLASS,
    NUMBER,
    TEXT,
    VALUE,
    any_of,
    listed,
    named,
    of_option,
    ref,
    section,
)
from pixaris.search.space.domain import KINDS, Kind

FILE_NAME = "search-file.schema.json"
"""Its name beside the search files that come with Pixaris."""
MODELINE = "# yaml-language-server: $schema="
"""How a search file's first line begins that names its schema."""


def search_file_schema(metrics: Mapping[str, type], generators: Mapping[str, type]) -> Schema:
    """The schema.

    Args:
        metrics: Name to class of the metrics that come with Pixaris.
        generators: The same of generators.

    Returns:
        A JSON Schema, draft 2020-12.
    """
    of_keys: dict[str, Schema] = {
        "dataset": _dataset(),
        "generator": ref("generator"),
        "endpoints": endpoints(),
        "generation_params": any_of(listed(ref("fixed")), {"type": "object", "additionalProperties": VALUE}),
        "parameters": any_of(
            {"type": "object", "additionalProperties": ref("parameter")},
            {"type": "string", "pattern": r"\.py$"},
        ),
        "metrics": {**listed(ref("metric")), "minItems": 1},
        "objective": any_of(ref("objective"), {**listed(ref("objective")), "minItems": 1}),
        "search": section(SEARCH, _search()),
        "budget": section(BUDGET),
        "limits": section(LIMIT),
        "recheck": any_of({"type": "boolean"}, section(RECHECK)),
        "cache": any_of({"type": "boolean"}, {"type": "string", "pattern": "^gs://"}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pixaris search file",
        "description": "What is generated, where, which parameters vary, and what counts as better.",
        **section(FILE, of_keys, required=["project", "dataset", "generator"]),
        "$defs": {
            "target": section(TARGET, required=["input"]),
            "fixed": section(FIXED, {"value": VALUE}, required=["value"]),
            "parameter": _parameter(),
            "generator": _generator(generators),
            "metric": named({name: _takes(cls) for name, cls in metrics.items()}, other=CLASS),
            "objective": any_of(TEXT, section(OBJECTIVE, _objective(), required=["metric"])),
        },
    }


def _dataset() -> Schema:
    place = any_of(TEXT, ref("target"))
    columns = {"type": "object", "additionalProperties": any_of(place, listed(place))}
    return any_of(TEXT, section(DATASET, {"columns": columns, "references": listed(TEXT)}))


def _generator(generators: Mapping[str, type]) -> Schema:
    takes: dict[str, Schema] = {}
    for name, cls in generators.items():
        takes[name] = {"type": "object", "properties": {}, "additionalProperties": False}
        if name == "comfyui":
            options = options_of(cls)
            options.pop("workflow_apiformat_json")
            workflow = {**TEXT, "description": "the workflow in API format, from the file's folder"}
            takes[name]["properties"] = {"workflow": workflow, **options}
            takes[name]["required"] = ["workflow"]
    one = named(takes, other=CLASS)
    choice = {"type": "object", "additionalProperties": one, "minProperties": 1}
    several = {
        "type": "object",
        "properties": {"choice": choice},
        "required": ["choice"],
        "additionalProperties": False,
    }
    return any_of(*one["anyOf"], several)


def _takes(cls: type) -> Schema:
    """What a metric's section has besides its type."""
    takes: Schema = {"type": "object", "properties": options_of(cls), "additionalProperties": False}
    needed = required_options(cls)
    if needed:
        return {**takes, "required": needed}
    return takes


def _parameter() -> Schema:
    """A parameter: where it is set, and one domain."""
    several = any_of(listed(ref("target")), {"type": "object", "additionalProperties": ref("target")})
    # an object: limits, or values of parameters that move together, whose names stand elsewhere
    condition = any_of(VALUE, listed(any_of(VALUE, {"type": "object"})), {"type": "object"})
    images = any_of({**listed(TEXT), "minItems": 1}, TEXT)
    images = {**images, "examples": [[f"inspiration/dawn{SUFFIXES[0]}"], "inspiration"]}
    when = {"type": "object", "additionalProperties": condition, "minProperties": 1}
    found = section(PARAMETER, {"targets": several, "when": when, "images": images})
    for name, kind in KINDS.items():
        found["properties"][name] = {**_domain(name, kind), "description": f"a domain: {name} {kind.form}"}
    given = [*KINDS, "template", "images"]
    return {**found, "oneOf": [{"required": [name]} for name in given]}


def _domain(name: str, kind: Kind) -> Schema:
    if name == "constant":
        return dict(VALUE)
    if kind.listed:
        return {**listed(any_of(VALUE, {"type": "object"})), "minItems": 1}
    numbers = kind.names
    by_name = {
        "type": "object",
        "properties": dict.fromkeys(numbers, NUMBER),
        "required": list(numbers),
        "additionalProperties": False,
    }
    in_order = {**listed(NUMBER), "minItems": len(numbers), "maxItems": len(numbers)}
    return any_of(in_order, by_name)


def _objective() -> dict[str, Schema]:
    return {"direction": {"enum": ["max", "min"]}, "failures": {"enum": ["skip", "worst"]}}


def _search() -> dict[str, Schema]:
    points = any_of(
        listed({"type": "object", "additionalProperties": VALUE}), section(EARLIER, required=["from"])
    )
    return {
        "algorithm": _strategy(ALGORITHMS),
        "scheduler": _strategy(SCHEDULERS),
        "points_to_evaluate": points,
    }


def _strategy(known: Mapping[str, AlgorithmInfo]) -> Schema:
    """One of a catalog, with the options that the catalog says; what a foreign package's class takes is
    known only where it is installed.
    """
    takes: dict[str, Schema] = {}
    for name, info in known.items():
        options = {option: of_option(form) for option, form in info.options.items()}
        if name == "optuna":
            options["sampler"] = {"type": "string", "examples": _short(SAMPLERS)}
        foreign = bool(info.homes) or name == "optuna"
        takes[name] = {"type": "object", "properties": options, "additionalProperties": foreign}
    aliases = [alias for alias, name in ALIASES.items() if name in known]
    return named(takes, also=aliases)


def _short(samplers: Sequence[str]) -> list[str]:
    return [name.removesuffix("Sampler") for name in samplers]
