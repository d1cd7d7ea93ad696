"""How to get the same again: command, file, versions, digests, the winner's workflow."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

from pixaris.files import read_json
from pixaris.report.commands import pasteable
from pixaris.report.html import Markup, join, tag
from pixaris.report.model import Report, SearchPart

_MOST_TEXT = 200_000
_DIGITS = 24


def reproduce_section(report: Report) -> Markup:
    """The section."""
    parts: list[Markup] = []
    for part in report.parts:
        if len(report.parts) > 1:
            parts.append(tag("h3", part.title))
        parts.append(_part(part))
    return tag("section", tag("h2", "Reproduce"), join(*parts), id="reproduce")


def _part(part: SearchPart) -> Markup:
    file = next((path for path in map(part.paths.source, (".yaml", ".py")) if path.is_file()), None)
    facts = [(name, text) for name, text in _facts(part.manifest, part.record) if text]
    rows = [join(tag("dt", name), tag("dd", text)) for name, text in facts]
    how: list[Markup] = []
    if file is not None:
        changes = part.manifest.get("changes", ())
        command = pasteable(["search", str(part.manifest.get("file") or file.name), *changes])
        how.append(tag("p", "Command: ", tag("code", command, class_="command")))
    else:
        how.append(tag("p", "The search was made in Python; its folder keeps what it was made from."))
    how.append(tag("dl", *rows, class_="facts"))
    download = _download(part)
    if download is not None:
        how.append(tag("p", download))
    if file is not None:
        # A file with a grid of thousands of sets would be most of the report.
        text = file.read_text(encoding="utf-8", errors="replace")[:_MOST_TEXT]
        listing = tag("pre", tag("code", text), tabindex=0, role="region", aria_label=file.name)
        how.append(tag("details", tag("summary", f"The search file ({file.name})"), listing))
    return join(*how)


def _facts(manifest: Mapping[str, object], record: Mapping[str, object]) -> list[tuple[str, str]]:
    versions = manifest.get("versions")
    if isinstance(versions, Mapping):
        known = versions
    else:
        known = {"Pixaris": record.get("pixaris", "")}
    seeds = manifest.get("seeds")
    proposal = manifest.get("proposal_seed", manifest.get("seed"))
    return [
        ("versions", ", ".join(f"{name} {version}" for name, version in known.items() if version)),
        ("searcher", str(manifest.get("algorithm", ""))),
        ("scheduler", str(manifest.get("scheduler", ""))),
        ("seed of the proposals", "" if proposal is None else str(proposal)),
        ("seeds per item", "" if seeds is None else str(seeds)),
        ("workflow", _digest(manifest.get("workflow"))),
        ("eval set", _digest(manifest.get("items"))),
    ]


def _digest(value: object) -> str:
    """The first digits of the SHA-256 of a value as canonical JSON; "" without one."""
    if not value:
        return ""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256 {hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()[:_DIGITS]}"


def _download(part: SearchPart) -> Markup | None:
    """The winner's workflow, as the file that ComfyUI loads."""
    best = part.best
    if best is None:
        workflow = None
    else:
        workflow = read_json(part.paths.trial(best.number).workflow)
    if best is None or workflow is None:
        return None
    data = base64.b64encode(json.dumps(workflow, indent=2).encode()).decode()
    name = f"{part.title}_{best.name}_apiformat.json"
    address = f"data:application/json;base64,{data}"
    return tag("a", f"Download the winner's workflow ({best.name})", href=address, download=name)
