"""Inputs that depend on other inputs: dynamic combos, as ComfyUI 0.27 declares, checks and passes them.

A dynamic combo's options bring inputs of their own, which stand in a prompt under both names:
``resize_type.width``. They count while their option is chosen. A choice that is absent, linked or none of the
options is no fault before the node runs; then the node lacks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pixaris.comfyui.server.declarations import declarations
from pixaris.files import JsonMapping, JsonObject

TYPE = "COMFY_DYNAMICCOMBO_V3"


def declared(class_type: str, given: Mapping[str, object]) -> list[tuple[str, bool, list[object]]]:
    """List name, required and specification of the inputs that a node has.

    Args:
        class_type: Its class.
        given: Its inputs in the prompt.
    """
    return list(_declared("", declarations()[class_type]["input"], given))


def _declared(
    prefix: str, sections: JsonMapping, given: JsonMapping
) -> Iterator[tuple[str, bool, list[Any]]]:
    for section in ("required", "optional"):
        for key, spec in sections.get(section, {}).items():
            name = f"{prefix}{key}"
            if spec[0] != TYPE:
                yield name, section == "required", [*spec, {}][:2]
                continue
            chosen = next((one for one in spec[1]["options"] if one["key"] == given.get(name)), None)
            if chosen is not None:
                yield name, section == "required", spec
                yield from _declared(f"{name}.", chosen["inputs"], given)


def nested(inputs: JsonMapping) -> JsonObject:
    """Inputs as a node is given them: those of a dynamic combo as one mapping, the choice under its own
    name.
    """
    found: JsonObject = {}
    for name, value in inputs.items():
        *around, last = name.split(".")
        place = found
        for key in around:
            inside = place.get(key)
            if not isinstance(inside, dict):
                inside = place[key] = {key: inside}
            place = inside
        place[last] = value
    return found
