"""What a judge is asked for and what it answered, held against the JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.metrics.judges.base import NoVerdictError, Schema

_SHOWN = 120


def check_schema(schema: object, where: str = "schema") -> None:
    """Hold a schema against what a judge's answer must be.

    Raises:
        ConfigurationError: It is no JSON schema, or not one of an object with properties.
    """
    if not isinstance(schema, Mapping):
        raise ConfigurationError(
            Problem(where, f"must be a JSON schema, a mapping (got {type(schema).__name__})")
        )
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        path = ".".join(map(str, error.absolute_path))
        raise ConfigurationError(Problem(f"{where}.{path}" if path else where, error.message)) from None
    if (
        schema.get("type") != "object"
        or not isinstance(schema.get("properties"), Mapping)
        or not schema["properties"]
    ):
        raise ConfigurationError(
            Problem(
                where,
                "must describe an object: {type: object, properties: {score: {type: number}}, required:"
                " [score]}",
            )
        )


def read_answer(texts: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Find the answer in what the model wrote.

    Some models write their thoughts first, or put the JSON between fences, so the whole text is tried, then
    each part from the last to the first.

    Args:
        texts: The parts of the model's answer.
        schema: What the answer must be.

    Raises:
        NoVerdictError: There is no JSON object, or it does not follow the schema.
    """
    candidates = ["".join(texts), *reversed(texts)]
    found = next((value for text in candidates if (value := _json(text)) is not None), None)
    if found is None:
        text = "".join(texts).strip()
        said = f"it wrote {_short(text)!r}" if text else "it is empty"
        raise NoVerdictError(f"the judge's answer is no JSON object: {said}")
    error = best_match(Draft202012Validator(dict(schema)).iter_errors(found))
    if error is not None:
        path = "".join(f"{step}: " for step in error.absolute_path)
        raise NoVerdictError(f"the judge's answer does not follow the schema: {path}{_short(error.message)}")
    return found


def _json(text: str) -> dict[str, Any] | None:
    fenced = re.search(r"```(?:json)?\s*(.*?)```", text, flags=re.S)
    for candidate in (text, fenced.group(1)) if fenced else (text,):
        try:
            value = json.loads(candidate, parse_constant=_no_number)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def simplified(schema: Schema) -> dict[str, Any]:
    """What google-generativeai knows of JSON schema: types, properties, items, required, enums of text,
    descriptions.

    The rest (limits of numbers above all) is left out here, and held against the answer by `read_answer`.
    """
    simple: dict[str, Any] = {}
    kind = schema.get("type")
    if isinstance(kind, list):
        simple["nullable"] = "null" in kind
        kind = next((one for one in kind if one != "null"), "string")
    simple["type"] = str(kind or "string").upper()
    if isinstance(schema.get("description"), str):
        simple["description"] = schema["description"]
    if simple["type"] == "STRING" and all(isinstance(one, str) for one in schema.get("enum", [None])):
        simple["enum"] = list(schema["enum"])
        simple["format"] = "enum"
    if simple["type"] == "OBJECT":
        simple["properties"] = {
            name: simplified(inner) for name, inner in schema.get("properties", {}).items()
        }
        simple["required"] = list(schema.get("required", []))
    if simple["type"] == "ARRAY":
        simple["items"] = simplified(schema.get("items", {}))
    return simple
