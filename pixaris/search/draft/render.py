"""A draft as the text of a search file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pixaris.search.draft.default_domains import RULE
from pixaris.search.draft.inputs import Draft, DraftInput
from pixaris.search.file.yaml_file import scalar
from pixaris.search.objectives import Aim

_PLAIN = re.compile(r"(\.{0,2}/)*[A-Za-z_][A-Za-z0-9_./()-]*( [A-Za-z0-9_./()-]+)*")
_WIDTH = 120
_SETS = 12
_FEWEST_IMAGES = 150
"""A budget: images of so many whole sets, and as many as find the best set of a small eval set."""


@dataclass(frozen=True)
class Frame:
    """What a search file says besides its parameters.

    Attributes:
        name: Of the search.
        project: It belongs to.
        dataset: The eval set: its name, or its path from the file's folder.
        references: Folders of it that only metrics see.
        workflow: Path from the file's folder.
        endpoints: URLs; none for the endpoint that comes with Pixaris.
        aim: What scores the images, and what is optimised.
        head: Sentences for the file's head.
        items: Of the eval set.
    """

    name: str
    project: str
    dataset: Mapping[str, str]
    references: Sequence[str]
    workflow: str
    endpoints: Sequence[str]
    aim: Aim
    head: Sequence[str]
    items: int


def render(draft: Draft, frame: Frame) -> str:
    """The file's text."""
    dataset: dict[str, object] = {
        **frame.dataset,
        **({"references": list(frame.references)} if frame.references else {}),
    }
    generator = {"type": "comfyui", "workflow": frame.workflow}
    generator |= {"output_node": draft.output_node} if draft.output_node else {}
    metrics = [{"type": name, **options} for name, options in frame.aim.metrics.items()]
    lines = [*map(_comment, [*frame.head, *draft.notes, "", *RULE.splitlines()]), ""]
    lines += [f"name: {flow(frame.name)}", f"project: {flow(frame.project)}", f"dataset: {flow(dataset)}"]
    lines += [f"generator: {flow(generator)}"]
    lines += [f"endpoints: {flow(list(frame.endpoints) if frame.endpoints else {'embedded': 2})}"]
    if draft.fixed:
        lines.append("generation_params:")
        lines += [
            f"  - {flow({'node_name': p.node_name, 'input': p.input, 'value': p.value})}" for p in draft.fixed
        ]
    lines.append("parameters:")
    for group in draft.groups:
        lines.append(f"  {_comment(group.heading)}")
        lines += [f"  {line}" for row in group.rows for line in _parameter(row)]
    lines += [*map(_comment, frame.aim.about), f"metrics: {flow(metrics)}"]
    lines += [f"objective: {flow({'metric': frame.aim.objective})}"] if frame.aim.objective else []
    lines += ["# in all: sets without a chance are stopped after a few images"]
    lines += [f"budget: {flow({'images': max(_FEWEST_IMAGES, _SETS * frame.items)})}"]
    return "\n".join([*lines, "search: {seed: 7}", ""])


def _parameter(row: DraftInput) -> list[str]:
    """A parameter's line, commented out where it does not stand in, and what there is to know about it."""
    found, about = row.suggestion, row.about
    if found is None:
        return [_comment(f"{row.input}: no domain can be proposed ({about})")]
    entry = {"node_name": row.node_name, "input": row.input, found.kind: found.arguments}
    if row.when is not None:
        name, options = row.when
        entry["when"] = {name: options[0] if len(options) == 1 else list(options)}
    text = f"{'' if found.active else '# '}{row.name}: {flow(entry)}"
    note = _comment(f"{about}; {found.note}" if found.note else about)
    if len(text) + len(note) < _WIDTH:
        return [f"{text}  {note}"]
    return [note, text]


def _comment(text: str) -> str:
    return f"# {_printable(text)}".rstrip()


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def flow(value: object) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow(key)}: {flow(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and scalar(text) == (text, ""):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_printable(quoted)}"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"
