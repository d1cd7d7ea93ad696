"""How a prompt failed, in the server's own words: refused, ended in an error, interrupted. Pure, and
distrustful of every field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pixaris.comfyui.messages import PromptRecord
from pixaris.exceptions import (
    EndpointError,
    ExecutionError,
    InterruptedPromptError,
    OutOfMemoryError,
    PromptRejectedError,
    RequestError,
)

_OUT_OF_MEMORY = ("outofmemory", "allocation on device", "out of memory")
_TEXT_LIMIT = 1000


class NodeNames:
    """Names the nodes of a prompt in errors: by title where it is known, else by class and id.

    Args:
        payload: The prompt, as JSON text.
        titles: Node id and title.
    """

    def __init__(self, payload: str, titles: Sequence[tuple[str, str]] = ()) -> None:
        self._payload = payload
        self._titles = dict(titles)

    def name(self, node_id: str, class_type: str = "") -> str:
        """The name of a node."""
        if node_id in self._titles:
            return self._titles[node_id]
        node = self._node(node_id)
        meta = node.get("_meta")
        if isinstance(meta, dict):
            title = meta.get("title")
        else:
            title = None
        if title:
            return str(title)
        return f"{node.get('class_type') or class_type or 'node'} (id {node_id})"

    def _node(self, node_id: str) -> dict[str, object]:
        try:
            graph = json.loads(self._payload)  # parsed only when something went wrong
        except (ValueError, RecursionError):
            return {}
        if isinstance(graph, dict):
            node = graph.get(node_id)
        else:
            node = None
        if isinstance(node, dict):
            return node
        return {}


def outcome_error(record: PromptRecord, names: NodeNames, url: str) -> RequestError | EndpointError:
    """The error of a prompt that did not end well."""
    if record.status == "interrupted":
        return InterruptedPromptError(
            "the prompt was interrupted on the server by somebody else", endpoint=url
        )
    kind, message = _line(record.error.get("exception_type")), _line(record.error.get("exception_message"))
    node_id = record.error.get("node_id")
    if node_id is not None:
        node = names.name(str(node_id), _line(record.error.get("node_type")))
    else:
        node = ""
    text = (
        ": ".join(part for part in (kind, message) if part)
        or "the execution failed and the server does not say why"
    )
    if any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        return OutOfMemoryError(f"the server ran out of memory: {text}", endpoint=url, node=node)
    return ExecutionError(text, endpoint=url, node=node)


@dataclass(frozen=True)
class Refusal:
    """Why a server does not run a prompt.

    Attributes:
        error: What to raise.
        missing_file: Whether a file that a node names is not on the server.
    """

    error: PromptRejectedError
    missing_file: bool = False


def refusal(body: object, gist: str, names: NodeNames, url: str) -> Refusal:
    """Read the reply to a refused prompt.

    Args:
        body: The reply's JSON, or None.
        gist: What to say where the reply does not explain itself.
        names: Names of the prompt's nodes.
        url: The server.
    """
    if isinstance(body, dict):
        reply = body
    else:
        reply = {}
    faults = list(_node_faults(reply.get("node_errors")))
    if faults:
        node = names.name(faults[0].node_id, faults[0].class_type)
        texts = [faults[0].text]
        for fault in faults[1:]:
            if fault.node_id == faults[0].node_id:
                other = ""
            else:
                other = f"node {names.name(fault.node_id, fault.class_type)!r}: "
            texts.append(other + fault.text)
        # A node's own check fails so; that of LoadImage is that its file is not there. Where it was another
        # node's, the prompt is sent once more in vain.
        missing = any(fault.kind == "custom_validation_failed" for fault in faults)
        return Refusal(
            PromptRejectedError("; ".join(texts)[: 4 * _TEXT_LIMIT], endpoint=url, node=node), missing
        )
    error = reply.get("error")
    if isinstance(error, dict):
        node_id = _node_id_of(error)
        if node_id:
            details = ""
        else:
            details = _line(error.get("details"))
        text = ": ".join(part for part in (_line(error.get("message")), details) if part)
        return Refusal(
            PromptRejectedError(text or gist, endpoint=url, node=names.name(node_id) if node_id else "")
        )
    if isinstance(error, str):
        text = _line(error)
    else:
        text = ""
    return Refusal(PromptRejectedError(f"the server refused the prompt: {text or gist}", endpoint=url))


@dataclass(frozen=True)
class _Fault:
    node_id: str
    class_type: str
    kind: str
    text: str


def _node_faults(raw: object) -> Iterator[_Fault]:
    for node_id, entry in raw.items() if isinstance(raw, dict) else ():
        if isinstance(entry, dict):
            errors = entry.get("errors")
        else:
            errors = None
        for error in errors if isinstance(errors, list) else []:
            if isinstance(error, dict):
                yield _Fault(
                    str(node_id), _line(entry.get("class_type")), _line(error.get("type")), _fault_text(error)
                )


def _fault_text(error: Mapping[str, object]) -> str:
    extra = error.get("extra_info")
    if isinstance(extra, dict):
        input_name = _line(extra.get("input_name"))
    else:
        input_name = ""
    message, details = _line(error.get("message")), _line(error.get("details"))
    if not input_name and error.get("type") == "required_input_missing":
        input_name = details
    if details and details != input_name:
        if message:
            message = f"{message}: {details}"
        else:
            message = details
    if input_name:
        return f"input {input_name!r}: {message}"
    return message


def _node_id_of(error: Mapping[str, object]) -> str:
    extra = error.get("extra_info")
    if isinstance(extra, dict) and isinstance(extra.get("node_id"), str):
        return str(extra["node_id"])
    match = re.fullmatch(r"Node ID '#(.+)'", _line(error.get("details")))
    if match:
        return match[1]
    return ""


def _line(raw: object) -> str:
    """Text of a server as one line of bounded length."""
    if isinstance(raw, str | int | float):
        return " ".join(str(raw).split())[:_TEXT_LIMIT]
    return ""
