"""The schema of ``endpoints``, of what each source declares of itself."""

from __future__ import annotations

from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import SOURCES
from pixaris.endpoints.sources.options import (
    MOST,
    Number,
    Option,
    Seconds,
    Secret,
    Texts,
    Variables,
    Whole,
    Words,
)
from pixaris.search.file.schema.classes import NUMERIC, Schema
from pixaris.search.file.schema.shapes import CLASS, NUMBER, TEXT, any_of, listed

_VARIABLE: Schema = {
    "type": "object",
    "properties": {"env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
    "required": ["env"],
    "additionalProperties": False,
}
_WORD: Schema = {"type": ["string", "number"]}


def endpoints() -> Schema:
    """An address, a mapping, or a list that mixes them."""
    one = _entry()
    return any_of(TEXT, one, {"type": "array", "items": any_of(TEXT, one), "minItems": 1})


def _entry() -> Schema:
    properties: dict[str, Schema] = {}
    for key, source in SOURCES.items():
        if source.addressed:
            properties[key] = TEXT
        else:
            properties[key] = _source(source)
    properties["depth"] = {**_whole(1, MOST), "description": "requests it is given at once"}
    properties["headers"] = {
        "type": "object",
        "additionalProperties": _VARIABLE,
        "description": "header to the environment variable that holds its value",
    }
    properties["basic_auth"] = {
        **_VARIABLE,
        "description": "the environment variable that holds user:password",
    }
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {CLASS: {}},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _source(source: type[EndpointSource]) -> Schema:
    options = {option.key: _option(option) for option in source.options}
    needed = [option.key for option in source.options if option.required]
    whole: Schema = {"type": "object", "properties": options, "additionalProperties": False}
    if needed:
        whole["required"] = needed
    shapes = [whole]
    if source.short:
        shapes.append(options[source.short])
    if source.several:
        shapes.append(listed(whole))
    if len(shapes) > 1:
        return any_of(*shapes)
    return whole


def _option(option: Option) -> Schema:
    match option:
        case Whole():
            return _whole(option.least, option.most)
        case Seconds():
            return {**NUMBER, "exclusiveMinimum": 0}
        case Number():
            return NUMBER
        case Texts():
            return any_of(TEXT, {**listed(TEXT), "minItems": 1})
        case Words():
            return any_of(TEXT, {**listed(_WORD), "minItems": 1})
        case Variables():
            return {"type": "object", "additionalProperties": _WORD}
        case Secret():
            return _VARIABLE
        case _:
            return TEXT


def _whole(least: int, most: int) -> Schema:
    return {"type": ["integer", "string"], "pattern": NUMERIC, "minimum": least, "maximum": most}
