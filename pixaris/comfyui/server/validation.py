"""Checks a graph before it is queued, as ComfyUI 0.27 does: from every output node upstream, driven by the
declarations.

Literals are converted to their inputs' types on the way, in the graph itself: ``"0.3"`` becomes 0.3, 2.9
becomes 2 for an INT. Branches that reach no output node are not checked, except that every class must exist.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from pixaris.comfyui.object_info import types_match
from pixaris.comfyui.server import dynamic
from pixaris.comfyui.server.declarations import declarations
from pixaris.comfyui.server.nodes import registry
from pixaris.comfyui.server.storage import Folders
from pixaris.files import JsonObject


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check found.

    Attributes:
        outputs: The output nodes that can run.
        node_errors: Errors by node, of outputs that cannot.
        error: Set if nothing can run: ``{"type", "message", "details", "extra_info"}``.
    """

    outputs: list[str] = field(default_factory=list)
    node_errors: JsonObject = field(default_factory=dict)
    error: JsonObject | None = None


def problem(kind: str, message: str, details: str = "", extra_info: JsonObject | None = None) -> JsonObject:
    """Make one error as ComfyUI words them."""
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info or {}}


def check(prompt: JsonObject, folders: Folders, targets: Collection[str] | None = None) -> Verdict:
    """Check a graph and convert its literals in place.

    Args:
        prompt: API-format graph.
        folders: Where loaders look for files.
        targets: Only these output nodes, if given (``partial_execution_targets``).

    Raises:
        TypeError, AttributeError: The graph is not an object of objects; ComfyUI answers this with a 500.
    """
    outputs = []
    for node_id, node in prompt.items():
        error = _unknown_class(node_id, node)
        if error:
            return Verdict(error=error)
        if declarations()[node["class_type"]]["output_node"] and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict(error=problem("prompt_no_outputs", "Prompt has no outputs"))
    return _Check(prompt, folders).outputs(outputs)


def _unknown_class(node_id: str, node: JsonObject) -> JsonObject | None:
    if not isinstance(node, dict):
        raise TypeError(f"node {node_id!r} is not an object")
    class_type = node.get("class_type")
    if class_type is not None and class_type in declarations():
        return None
    title = (node.get("_meta") or {}).get("title") or class_type
    if "class_type" not in node:
        message = (
            f"Node '{title or f'ID #{node_id}'}' has no class_type. The workflow may be corrupted or a custom"
            " node is missing."
        )
    else:
        message = f"Node '{title}' not found. The custom node may not be installed."
    extra = {"node_id": node_id, "class_type": class_type, "node_title": title}
    return problem("missing_node_type", message, f"Node ID '#{node_id}'", extra)


class _Check:
    def __init__(self, prompt: JsonObject, folders: Folders) -> None:
        self._prompt = prompt
        self._folders = folders
        # Node id to (valid, errors), in the order in which nodes were settled.
        self._settled: dict[str, tuple[bool, list[JsonObject]]] = {}
        self._path: list[str] = []
        self._cycles: dict[str, JsonObject] = {}

    def outputs(self, outputs: list[str]) -> Verdict:
        good, details = [], []
        node_errors: JsonObject = {}
        for output in outputs:
            try:
                valid, errors = self._node(output)
            except Exception as error:  # noqa: BLE001  (the protocol reports whatever the check of a node raises)
                extra = {
                    "exception_type": type(error).__name__,
                    "traceback": traceback.format_tb(error.__traceback__),
                }
                errors = [
                    problem(
                        "exception_during_validation", "Exception when validating node", str(error), extra
                    )
                ]
                valid = False
                self._settled[output] = (False, errors)
            self._path.clear()
            if valid:
                good.append(output)
                continue
            details += [f"{error['message']}: {error['details']}" for error in errors]
            self._report(output, node_errors)
        if good:
            return Verdict(good, node_errors)
        message = "Prompt outputs failed validation"
        return Verdict(
            node_errors=node_errors,
            error=problem("prompt_outputs_failed_validation", message, "\n".join(details)),
        )

    def _report(self, output: str, node_errors: JsonObject) -> None:
        """Add every node with errors of its own that is known so far; nodes that only lie downstream have
        none.
        """
        for node_id, (valid, errors) in self._settled.items():
            if not valid and errors:
                class_type = self._prompt[node_id]["class_type"]
                entry = node_errors.setdefault(
                    node_id, {"errors": errors, "dependent_outputs": [], "class_type": class_type}
                )
                entry["dependent_outputs"].append(output)

    def _node(self, node_id: str) -> tuple[bool, list[JsonObject]]:
        if node_id in self._settled:
            return self._settled[node_id]
        if node_id in self._path:
            return self._cycle(node_id)
        self._path.append(node_id)
        node = self._prompt[node_id]
        inputs, class_type = node["inputs"], node["class_type"]
        errors: list[JsonObject] = []
        valid = True
        for name, required, spec in dynamic.declared(class_type, inputs):
            if name not in inputs:
                if required:
                    details = name.rpartition(".")[2]  # the input's own name, as ComfyUI words it
                    errors.append(
                        problem(
                            "required_input_missing",
                            "Required input is missing",
                            details,
                            {"input_name": name},
                        )
                    )
            elif isinstance(inputs[name], list):
                upstream_valid, error = self._link(name, spec, inputs[name])
                valid = valid and upstream_valid
                errors += [error] if error else []
            else:
                error = _convert(name, spec, inputs) or _limits(class_type, name, spec, inputs[name])
                errors += [error] if error else []
        objection = registry.refuse(class_type, self._folders, inputs)
        if objection:
            message = "Custom validation failed for node"
            errors.append(
                problem("custom_validation_failed", message, f"image - {objection}", {"input_name": "image"})
            )
        if node_id in self._cycles:
            errors.insert(0, self._cycles[node_id])
        self._path.pop()
        self._settled[node_id] = (valid and not errors, errors)
        return self._settled[node_id]

    def _link(self, name: str, spec: list[Any], link: list[Any]) -> tuple[bool, JsonObject | None]:
        """Check a link and the node it comes from; return whether that node is valid, and an error of the
        link itself.
        """
        extra: JsonObject = {"input_name": name, "input_config": spec}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return True, problem("bad_linked_input", message, name, {**extra, "received_value": link})
        source, slot = link
        received = declarations()[self._prompt[source]["class_type"]]["output"][slot]
        if not types_match(received, spec[0] if isinstance(spec[0], str) else "COMBO"):
            details = f"{name}, received_type({received}) mismatch input_type({spec[0]})"
            more = {**extra, "received_type": received, "linked_node": link}
            return True, problem(
                "return_type_mismatch", "Return type mismatch between linked nodes", details, more
            )
        depth = len(self._path)
        try:
            return self._node(source)[0], None
        except Exception as error:  # noqa: BLE001  (the protocol reports whatever the check of a node raises)
            del self._path[depth:]
            more = {
                **extra,
                "exception_message": str(error),
                "exception_type": type(error).__name__,
                "traceback": traceback.format_tb(error.__traceback__),
                "linked_node": link,
            }
            kind, message = "exception_during_inner_validation", "Exception when validating inner node"
            self._settled[source] = (False, [problem(kind, message, str(error), more)])
            return False, None

    def _cycle(self, node_id: str) -> tuple[bool, list[JsonObject]]:
        nodes = self._path[self._path.index(node_id) :]
        details = " -> ".join(
            f"{member} ({self._prompt[member]['class_type']})" for member in [*nodes, node_id]
        )
        for member in nodes:
            extra = {"node_id": member, "cycle_nodes": nodes}
            self._cycles.setdefault(
                member, problem("dependency_cycle", "Dependency cycle detected", details, extra)
            )
            # Now, so that they are told from the cycle's first node on; each is settled again when its own
            # check ends.
            self._settled[member] = (False, [self._cycles[member]])
        return False, []


_CONVERSIONS = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def _convert(name: str, spec: list[object], inputs: JsonObject) -> JsonObject | None:
    """Convert a literal in place, or tell why it cannot be."""
    value = inputs[name]
    if isinstance(value, dict) and "__value__" in value:
        value = inputs[name] = value["__value__"]
    if isinstance(spec[0], str):
        convert = _CONVERSIONS.get(spec[0])
    else:
        convert = None
    if convert is None:
        return None
    try:
        inputs[name] = convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        extra = {
            "input_name": name,
            "input_config": spec,
            "received_value": value,
            "exception_message": str(error),
        }
        message = f"Failed to convert an input value to a {spec[0]} value"
        return problem("invalid_input_type", message, f"{name}, {value}, {error}", extra)
    return None


def _limits(class_type: str, name: str, spec: list[Any], value: Any) -> JsonObject | None:  # noqa: ANN401  (any JSON value)
    if name == "image" and class_type in ("LoadImage", "LoadImageMask"):
        return None  # its list of files is not what counts: subfolders are allowed too, see `registry.refuse`
    options: JsonObject = spec[1]
    extra = {"input_name": name, "input_config": spec, "received_value": value}
    if "min" in options and value < options["min"]:
        return problem(
            "value_smaller_than_min", f"Value {value} smaller than min of {options['min']}", name, extra
        )
    if "max" in options and value > options["max"]:
        return problem(
            "value_bigger_than_max", f"Value {value} bigger than max of {options['max']}", name, extra
        )
    allowed = None
    if isinstance(spec[0], list):
        allowed = spec[0]
    elif spec[0] == "COMBO":
        allowed = options.get("options", [])
    if allowed is not None and value not in allowed:
        return problem("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {allowed}", extra)
    return None
