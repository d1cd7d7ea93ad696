"""How a node takes the image that it loads: as the name of an uploaded file, as text, or not from here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pixaris.comfyui.graph.node import Node
from pixaris.comfyui.object_info import InputSpec, ObjectInfo
from pixaris.exceptions import WorkflowError
from pixaris.images import SUFFIXES
from pixaris.types import SentAs

UPLOADERS = ("LoadImage", "LoadImageMask", "LoadImageOutput")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
_BASE64 = frozenset(("base64", "b64"))
_ADDRESS = frozenset(("url", "urls", "uri", "http", "https", "link"))
_FOLDER = frozenset(("folder", "folders", "dir", "directory", "directories"))
_PATH = frozenset(("path", "paths", "file", "filename", "filepath"))
_SAVES = frozenset(("save", "saver", "preview", "prefix", "output"))
_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM")
_FIRST_CHARACTERS = 64
_NO_IMAGE = "loads no image file"
_WAY_OUT = "; put a LoadImage node in its place, and give that the title"


@dataclass(frozen=True)
class Intake:
    """Where a node takes its image.

    Attributes:
        input: The input.
        sent_as: How it is given there.
    """

    input: str
    sent_as: SentAs


def intake(node: Node, info: ObjectInfo | None = None) -> Intake | str:
    """How a node takes its image; where it takes none that Pixaris can give, why, after "the node …".

    Args:
        node: The node.
        info: What the server says of its nodes; without it, names and the workflow's value tell.
    """
    name = _input(node, info)
    if name is None:
        return _NO_IMAGE
    if info is not None:
        spec = info.input(node.class_type, name, node.inputs)
    else:
        spec = None
    sent_as = _sent_as(node, name, spec)
    if sent_as is not None:
        return Intake(name, sent_as)
    return f"{_wanted(node, name, spec)} in `{name}`, and no image that is uploaded{_WAY_OUT}"


def intake_of(node: Node, among: Mapping[str, Node], source: str, info: ObjectInfo | None = None) -> Intake:
    """How a node of a workflow takes its image.

    Args:
        node: The node.
        among: All nodes of the workflow.
        source: How errors name it.
        info: What the server says of its nodes; without it, names and the workflow's value tell.

    Raises:
        WorkflowError: It loads no image that can be given to it.
    """
    found = intake(node, info)
    if isinstance(found, Intake):
        return found
    loaders = [repr(other.title) for other in among.values() if other.class_type in UPLOADERS]
    if loaders:
        known = f"; nodes that do: {', '.join(loaders)}"
    else:
        known = "; add a LoadImage node"
    raise WorkflowError(f"node {node.label} {found}{known if found == _NO_IMAGE else ''}", source)


def _input(node: Node, info: ObjectInfo | None) -> str | None:
    """The input that names or holds the image."""
    # What the workflow itself has there tells more than any name.
    if isinstance(node.inputs.get("image"), str):
        return "image"
    if node.class_type in UPLOADERS and "image" not in node.inputs:
        return "image"
    if info is not None:
        known = info.node_class(node.class_type)
    else:
        known = None
    uploads = [name for name, spec in (known.inputs if known else {}).items() if spec.upload]
    texts = [name for name, value in node.inputs.items() if isinstance(value, str)]
    files = [name for name in texts if str(node.inputs[name]).lower().endswith(SUFFIXES)]
    named = [
        name
        for name in texts
        if _words(name) & (_BASE64 | _ADDRESS | _FOLDER | _PATH)
        and not _words(node.class_type, name) & _SAVES
    ]
    # The surest sign first; of several of a kind none is chosen, for a wrong one would be silently
    # overwritten.
    for candidates in (uploads, files, named):
        if len(candidates) == 1:
            return candidates[0]
    if node.class_type.startswith("LoadImage") and "image" not in node.inputs:
        return "image"
    return None


def _sent_as(node: Node, name: str, spec: InputSpec | None) -> SentAs | None:
    value = node.inputs.get(name)
    if isinstance(value, str):
        text = value
    else:
        text = ""
    # The server's own word, before what the value looks like.
    if node.class_type in UPLOADERS or (spec is not None and spec.upload):
        return "file"
    if text.startswith("data:image/"):
        return "data url"
    if not _words(node.class_type, name).isdisjoint(_BASE64) or _is_base64(text):
        return "base64"
    foreign = spec is not None or not _words(node.class_type, name).isdisjoint(_ADDRESS | _FOLDER | _PATH)
    if foreign or _is_elsewhere(text):
        return None
    return "file"


def _wanted(node: Node, name: str, spec: InputSpec | None) -> str:
    """What a node takes that Pixaris cannot give, as a verb and its object."""
    value = node.inputs.get(name)
    if isinstance(value, str):
        text = value
    else:
        text = ""
    words = _words(node.class_type, name)
    if text.startswith(("http://", "https://")) or words & _ADDRESS:
        return "takes the address of an image"
    if words & _FOLDER:
        return "takes a folder on the server"
    if spec is not None and spec.type == "COMBO":
        return "takes one of the files that the server lists"
    if _is_elsewhere(text) or words & _PATH:
        return "takes the path of a file on the server"
    return f"takes {'text' if spec is None or spec.type == 'STRING' else spec.type}"


def _words(*names: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _split(*names))


def _split(*names: str) -> Iterator[str]:
    for name in names:
        yield from _WORDS.findall(name)


def _is_elsewhere(text: str) -> bool:
    """Whether a text is an address or an absolute path."""
    return re.match(r"[a-z]+://|/|\\\\|[A-Za-z]:[\\/]", text) is not None


def _is_base64(text: str) -> bool:
    """Whether a text is an image in base64."""
    start = text[:_FIRST_CHARACTERS].strip()
    try:
        # Four characters are three bytes; a cut in between would not decode.
        return base64.b64decode(start[: len(start) // 4 * 4], validate=True).startswith(_SIGNATURES)
    except binascii.Error:
        return False
