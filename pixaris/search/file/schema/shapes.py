"""The pieces that the schema is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixaris.search.algorithms.options import Option
from pixaris.search.file.schema.classes import NUMERIC, Schema
from pixaris.search.file.schema.keys import Key

TEXT: Schema = {"type": "string", "minLength": 1}
NUMBER: Schema = {"type": ["number", "string"], "pattern": NUMERIC}
VALUE: Schema = {"type": ["string", "number", "boolean"]}
CLASS = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""``module:Class``."""


def ref(name: str) -> Schema:
    """One of the definitions."""
    return {"$ref": f"#/$defs/{name}"}


def listed(inner: Schema) -> Schema:
    """A list of something."""
    return {"type": "array", "items": inner}


def any_of(*schemas: Schema) -> Schema:
    """One of several shapes."""
    return {"anyOf": list(schemas)}


def or_nothing(schema: Schema) -> Schema:
    """What may also be left empty, as a key without a value is no key."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if isinstance(schema.get("type"), list):
        return {**schema, "type": [*schema["type"], "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    nothing: Schema = {"type": "null"}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], nothing]}
    return {"anyOf": [schema, nothing]}


def of_option(option: Option) -> Schema:
    """What may stand for a single value; a number in quotes is a number."""
    if option.form == "whole":
        limits = {"minimum": option.at_least or 0}
        if option.at_most is not None:
            limits["maximum"] = option.at_most
        return {"type": ["integer", "string"], "pattern": NUMERIC, **limits}
    if option.form == "number":
        if option.above is None:
            return NUMBER
        return {**NUMBER, "exclusiveMinimum": option.above}
    if option.form == "guards":
        return listed(_guard())
    plain = {"flag": "boolean", "text": "string", "mapping": "object"}
    return {"type": plain[option.form]}


def _guard() -> Schema:
    limit = {**NUMBER, "minimum": 0}
    properties = {"metric": TEXT, "worse_by": limit, "than": {"enum": ["baseline"]}}
    needed = ["metric", "worse_by"]
    return {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}


def section(
    keys: Sequence[Key], shapes: Mapping[str, Schema] | None = None, required: Sequence[str] = ()
) -> Schema:
    """A mapping of known keys.

    Args:
        keys: The keys.
        shapes: What may stand behind those that take more than a single value.
        required: Keys that must be there.
    """
    properties = {}
    for key in keys:
        if shapes is not None and key.name in shapes:
            shape = shapes[key.name]
        else:
            assert key.form is not None, f"nothing says what {key.name} takes"
            shape = of_option(key.form)
        if key.name not in required:
            shape = or_nothing(shape)
        properties[key.name] = {**shape, "description": _described(key)}
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        return {**found, "required": list(required)}
    return found


def _described(key: Key) -> str:
    if not key.default:
        return key.meaning
    if key.default.startswith("required"):
        return f"{key.meaning}; {key.default}"
    return f"{key.meaning}; if left out: {key.default}"


def named(takes: Mapping[str, Schema], *, also: Sequence[str] = (), other: str = "") -> Schema:
    """A name, or a mapping with the name as ``type`` and options beside it.

    Args:
        takes: Name to what stands beside it.
        also: Names that are known, and of which nothing more is.
        other: Pattern of names that are not known here, such as ``module:Class``.
    """
    names: Schema = {"enum": [*takes, *also]}
    if other:
        names = any_of(names, {"type": "string", "pattern": other})
    rules = []
    for name, options in takes.items():
        if options.get("additionalProperties") is not False:
            then = options
        else:
            then = {**options, "properties": {"type": {}, **options["properties"]}}
        rules.append({"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": then})
    whole: Schema = {"type": "object", "properties": {"type": names}, "required": ["type"], "allOf": rules}
    bare = names.get("anyOf", [names])
    return any_of(*bare, whole)
