"""What a server says, read into values: websocket frames, queue, history. Pure, and distrustful of every
field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pixaris.comfyui.outputs import Came, read_came

PromptStatus: TypeAlias = Literal["success", "error", "interrupted"]

_FOLDERS = ("output", "temp", "input")
_TAG_KEY = "pixaris"


@dataclass(frozen=True)
class Event:
    """A websocket message that names a prompt.

    Attributes:
        kind: The message's type, e.g. ``execution_start``.
        prompt_id: The prompt it is about.
        ended: Whether it is the last one of its prompt (``executing`` without a node).
    """

    kind: str
    prompt_id: str
    ended: bool


@dataclass(frozen=True)
class ImageRef:
    """Where a server keeps an image. Only ever passed back to it, never used as a path."""

    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True)
class Tag:
    """Whose a prompt is. It travels in the prompt's ``extra_data``, which a server keeps in its queue and
    history and in no file.

    Attributes:
        session: The pool (or single client) that submitted it.
        request: The generation request it is for; "" for a prompt that only tries the server out.
    """

    session: str
    request: str = ""

    def extra_data(self) -> dict[str, object]:
        """What is sent along with the prompt."""
        return {_TAG_KEY: {"session": self.session, "request": self.request}}


@dataclass(frozen=True)
class QueueState:
    """A server's queue.

    Attributes:
        running: Prompt ids being executed (a ComfyUI runs one at a time).
        pending: Prompt ids that wait, in the order they will run.
        tags: Prompt id to its tag; prompts that Pixaris did not submit have none.
    """

    running: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    tags: Mapping[str, Tag] = field(default_factory=dict)

    def __contains__(self, prompt_id: object) -> bool:
        return prompt_id in self.running or prompt_id in self.pending

    @property
    def stands_still(self) -> bool:
        """Whether prompts wait and none runs: normal for milliseconds, a dead worker thread if it lasts."""
        return bool(self.pending) and not self.running

    def of(self, session: str) -> dict[str, str]:
        """Prompt id to request id of a session's prompts: what runs first, then what waits, in order."""
        ours = [prompt_id for prompt_id in (*self.running, *self.pending) if prompt_id in self.tags]
        return {
            prompt_id: self.tags[prompt_id].request
            for prompt_id in ours
            if self.tags[prompt_id].session == session
        }


@dataclass(frozen=True)
class PromptRecord:
    """How a prompt ended, from the server's history.

    Attributes:
        status: "interrupted" is told from "error" by the last status message.
        images: Output node id to its images.
        seconds: Time the server ran for it, or None if it does not say.
        error: The ``execution_error`` message's fields, if there is one.
        came: Output node id to all that it gave, in words.
    """

    status: PromptStatus
    images: Mapping[str, tuple[ImageRef, ...]] = field(default_factory=dict)
    seconds: float | None = None
    error: Mapping[str, object] = field(default_factory=dict)
    came: Mapping[str, Came] = field(default_factory=dict)


def parse_event(text: bytes) -> Event | None:
    """Read a text frame; None if it names no prompt or is not what the protocol sends."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(message, dict):
        data = message.get("data")
    else:
        data = None
    if isinstance(message, dict):
        kind = message.get("type")
    else:
        kind = None
    if isinstance(data, dict):
        prompt_id = data.get("prompt_id")
    else:
        prompt_id = None
    if not isinstance(kind, str) or not isinstance(data, dict) or not isinstance(prompt_id, str):
        return None
    return Event(kind, prompt_id, ended=kind == "executing" and data.get("node", "") is None)


def parse_queue(body: object) -> QueueState:
    """Read the reply of ``GET /queue``.

    Raises:
        ValueError: It is not one.
    """
    if not isinstance(body, dict) or not {"queue_running", "queue_pending"} <= body.keys():
        raise ValueError("it has no queue_running and queue_pending")
    running, pending = (list(_queue_items(body[key])) for key in ("queue_running", "queue_pending"))
    tags = {key: tag for _, key, tag in (*running, *pending) if tag is not None}
    runs = tuple(key for _, key, _ in running)
    # By number: the server sends its heap as it lies in memory.
    waiting = sorted((number, key) for number, key, _ in pending)
    return QueueState(runs, tuple(key for _, key in waiting), tags)


def _queue_items(raw: object) -> Iterator[tuple[float, str, Tag | None]]:
    for item in raw if isinstance(raw, list) else []:
        if isinstance(item, list) and len(item) > 1 and isinstance(item[1], str):
            yield (item[0] if isinstance(item[0], int | float) else 0.0), item[1], _tag(item)


def _tag(item: Sequence[object]) -> Tag | None:
    """The tag of a row ``[number, prompt id, graph, extra_data, …]``, as queue and history have it."""
    if len(item) > 3:
        extra_data = item[3]
    else:
        extra_data = None
    if isinstance(extra_data, dict):
        tag = extra_data.get(_TAG_KEY)
    else:
        tag = None
    if isinstance(tag, dict):
        session, request = (tag.get("session"), tag.get("request"))
    else:
        session, request = (None, None)
    if isinstance(session, str) and isinstance(request, str):
        return Tag(session, request)
    return None


def parse_made(body: object, session: str) -> dict[str, str]:
    """Read the reply of ``GET /history``: request id to prompt id of a session's prompts that ended well; the
    newest one counts.

    Raises:
        ValueError: It is not such a reply.
    """
    if not isinstance(body, dict):
        raise ValueError("it is not an object")
    made = {}
    for prompt_id, row in body.items():
        if isinstance(row, dict):
            item = row.get("prompt")
        else:
            item = None
        if isinstance(item, list):
            tag = _tag(item)
        else:
            tag = None
        if tag is not None and tag.session == session:
            record = parse_history(body, prompt_id)
        else:
            record = None
        if tag is not None and record is not None and record.status == "success":
            made[tag.request] = str(prompt_id)
    return made


def parse_history(body: object, prompt_id: str) -> PromptRecord | None:
    """Read the reply of ``GET /history/{id}``; None if it has no row, which means not ended yet or not known.

    Raises:
        ValueError: It is not such a reply.
    """
    if not isinstance(body, dict):
        raise ValueError("it is not an object")
    row = body.get(prompt_id)
    if row is None:
        return None
    if not isinstance(row, dict):
        raise ValueError("the prompt's row is not an object")
    raw_status = row.get("status")
    if isinstance(raw_status, dict):
        status = raw_status
    else:
        status = {}
    messages = dict(_status_messages(status.get("messages")))
    if messages:
        last = list(messages)[-1]
    else:
        last = ""
    return PromptRecord(
        status=_verdict(status.get("status_str"), last),
        images=_images(row.get("outputs")),
        seconds=_seconds(messages),
        error=messages.get("execution_error", {}),
        came=read_came(row.get("outputs")),
    )


def _status_messages(raw: object) -> Iterator[tuple[str, dict[str, object]]]:
    for message in raw if isinstance(raw, list) else []:
        if isinstance(message, list) and len(message) == 2 and isinstance(message[0], str):
            yield message[0], message[1] if isinstance(message[1], dict) else {}


def _verdict(status: object, last_message: str) -> PromptStatus:
    if last_message == "execution_interrupted":
        return "interrupted"
    if status == "error" or last_message == "execution_error":
        return "error"
    return "success"  # old servers write no status for what went well


def _images(raw: object) -> dict[str, tuple[ImageRef, ...]]:
    found: dict[str, tuple[ImageRef, ...]] = {}
    for node_id, output in raw.items() if isinstance(raw, dict) else ():
        entries = output.get("images") if isinstance(output, dict) else None
        found[node_id] = tuple(_image_refs(entries))
    return found


def _image_refs(entries: object) -> Iterator[ImageRef]:
    if not isinstance(entries, list):
        return
    for entry in entries:
        if isinstance(entry, dict):
            name = _text(entry.get("filename"))
            folder = _text(entry.get("subfolder", ""))
            yield ImageRef(name, folder, _text(entry.get("type", "output")))


def _seconds(messages: Mapping[str, Mapping[str, object]]) -> float | None:
    start = messages.get("execution_start", {}).get("timestamp")
    end = messages.get("execution_success", {}).get("timestamp")
    if isinstance(start, int | float) and isinstance(end, int | float) and end >= start:
        return (end - start) / 1000
    return None


def is_sane(ref: ImageRef) -> bool:
    """Whether an image reference can be a ComfyUI's: a file name, a folder below the known ones.

    A name may hold what ``filename_prefix`` holds, colons, backslashes and dots too: it only goes back to the
    server.
    """
    if ref.filename in ("", ".", "..") or "/" in ref.filename or "\0" in ref.filename + ref.subfolder:
        return False
    if ref.subfolder:
        folders = re.split(r"[/\\]", ref.subfolder)
    else:
        folders = []
    return ref.type in _FOLDERS and not {"", ".", ".."} & set(folders)


def _text(raw: object) -> str:
    return raw if isinstance(raw, str) else "\0"  # which `is_sane` refuses
