"""The workflow in a PNG that ComfyUI saved: its text chunks ``prompt`` (API format) and ``workflow`` (the
editor's own).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pixaris.comfyui.workflow import Workflow
from pixaris.exceptions import WorkflowError
from pixaris.images import read_image_file, text_chunks

_HINT = "give a PNG that ComfyUI saved with its metadata, or export the workflow as API format"


def workflow_of(path: Path) -> Workflow:
    """Read a workflow file in API format, or the workflow in a PNG that ComfyUI saved.

    Raises:
        WorkflowError: It is neither, or the workflow is damaged.
        ImageError: The picture cannot be read.
    """
    if path.suffix.lower() == ".png":
        return _of_picture(path)
    return Workflow.load(path)


def _of_picture(path: Path) -> Workflow:
    source = str(path)
    texts = text_chunks(read_image_file(path), source)
    if "prompt" not in texts:
        if "workflow" in texts:
            only = "holds only the editor's own form of the workflow"
        else:
            only = "holds no workflow"
        raise WorkflowError(f"{only} (it has no text chunk 'prompt'); {_HINT}", source)
    prompt = _json(texts["prompt"], "prompt", source)
    if "workflow" in texts:
        titles = _titles(_json(texts["workflow"], "workflow", source))
    else:
        titles = {}
    nodes = {key: _titled(key, node, titles) for key, node in prompt.items()}
    try:
        return Workflow(Workflow.load(nodes).nodes, source)
    except WorkflowError as error:
        raise WorkflowError(error.problems, source) from None


def _json(text: str, chunk: str, source: str) -> Mapping[str, object]:
    """An object; ComfyUI writes NaN for what it does not know, which becomes null."""
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecursionError):
            reason = "it is nested too deeply"
        else:
            reason = str(error)
        raise WorkflowError(f"its text chunk {chunk!r} is no valid JSON: {reason}; {_HINT}", source) from None
    if not isinstance(value, dict):
        raise WorkflowError(f"its text chunk {chunk!r} holds no object; {_HINT}", source)
    return value


def _titles(editor: Mapping[str, object]) -> dict[str, str]:
    """Node id to title, of those that the editor's user gave one."""
    nodes = editor.get("nodes")
    if isinstance(nodes, list):
        rows = [row for row in nodes if isinstance(row, dict)]
    else:
        rows = []
    return {
        str(row.get("id")): row["title"] for row in rows if isinstance(row.get("title"), str) and row["title"]
    }


def _titled(key: str, node: object, titles: Mapping[str, str]) -> object:
    """A node without the server's own notes, with the editor's title where it has none."""
    if not isinstance(node, dict):
        return node
    kept = {name: value for name, value in node.items() if name != "is_changed"}
    if key in titles and not (isinstance(kept.get("_meta"), dict) and kept["_meta"].get("title")):
        kept["_meta"] = {"title": titles[key]}
    return kept
