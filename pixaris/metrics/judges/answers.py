"""What a judge is asked for and what it answered, held against the JSON schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from pixaris.exceptions import ConfigurationError, Problem
from pixaris.metrics.judges.base import NoVerdictError, Schema

_SHOWN = 120
_MOST_TRIED = 200
"""Braces of one text at which an object is looked for: enough for any answer, and a bound for the others."""
_THOUGHTS = r"(?:think|thinking|thoughts?|reasoning|scratchpad)"
_BEGIN_OF_THOUGHTS = re.compile(rf"<{_THOUGHTS}>", re.IGNORECASE)
_END_OF_THOUGHTS = re.compile(rf"</{_THOUGHTS}>", re.IGNORECASE)


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


def read_answer(texts: Sequence[str], schema: Schema) -> dict[str, object]:
    """Find the answer in what the model wrote: the first object that follows the schema.

    Models write their thoughts first, sentences around the JSON, fences around it of several kinds, or a list
    of one. Thoughts that are marked do not count. The whole text is tried as it is, then each part from the
    last to the first, then the parts together.

    Args:
        texts: The parts of the model's answer.
        schema: What the answer must be.

    Raises:
        NoVerdictError: There is no JSON object, or none follows the schema.
    """
    validator = Draft202012Validator(dict(schema))
    unfit: dict[str, object] | None = None
    for found in _objects(texts):
        if validator.is_valid(found):
            return found
        if unfit is None:
            unfit = found
    if unfit is None:
        text = "".join(texts).strip()
        if text:
            said = f"it wrote {_short(text)!r}"
        else:
            said = "it is empty"
        raise NoVerdictError(f"the judge's answer is no JSON object: {said}")
    error = best_match(validator.iter_errors(unfit))
    path = "".join(f"{step}: " for step in error.absolute_path)
    raise NoVerdictError(f"the judge's answer does not follow the schema: {path}{_short(error.message)}")


def _objects(texts: Sequence[str]) -> Iterator[dict[str, object]]:
    """The JSON objects in a model's answer, the likeliest first."""
    whole = "".join(texts)
    try:
        value = json.loads(whole, parse_constant=_no_number, strict=False)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        yield value
    if len(texts) > 1:
        parts = [*reversed(texts), whole]
    else:
        parts = [whole]
    for text in parts:
        for said in _without_thoughts(text):
            yield from _inside(said)


def _inside(text: str) -> Iterator[dict[str, object]]:
    """The JSON objects in a text, whatever stands around them; those inside others come after these."""
    decoder = json.JSONDecoder(parse_constant=_no_number, strict=False)  # models break lines in their texts
    inner: list[dict[str, object]] = []
    end = 0
    for brace in [match.start() for match in re.finditer(r"\{", text)][:_MOST_TRIED]:
        try:
            value, stop = decoder.raw_decode(text, brace)
        except (ValueError, RecursionError):
            continue
        if brace < end:
            inner.append(value)
            continue
        end = stop
        yield value
    yield from inner


def _without_thoughts(text: str) -> list[str]:
    """What a model wrote after its thoughts, and before them, where it marks them as such.

    Some leave out where they begin; some never come to their end.
    """
    ends = list(_END_OF_THOUGHTS.finditer(text))
    begin = _BEGIN_OF_THOUGHTS.search(text)
    if begin:
        before = [text[: begin.start()]]
    else:
        before = []
    if ends:
        return [text[ends[-1].end() :], *before]
    return before or [text]


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _short(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}…"


def simplified(schema: Schema) -> dict[str, object]:
    """What google-generativeai knows of JSON schema: types, properties, items, required, enums of text,
    descriptions.

    The rest (limits of numbers above all) is left out here, and held against the answer by `read_answer`.
    """
    simple: dict[str, object] = {}
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
