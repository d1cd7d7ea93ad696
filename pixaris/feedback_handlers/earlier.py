"""Feedback that the first Pixaris wrote: ``<project>/feedback_iterations/feedback_tracking.jsonl``.

Each line is a like, a dislike or neither, of nobody in particular, on an image that lies in
``<project>/feedback_iterations/<iteration>/``; lines with the comment ``upload`` say only that it is there.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixaris.feedback_handlers.base import Feedback, FeedbackImage, Iteration, IterationKey, Verdict
from pixaris.files import read_json_lines

FOLDER, FILE = "feedback_iterations", "feedback_tracking.jsonl"
_UPLOAD = "upload"


@dataclass(frozen=True)
class Earlier:
    """An iteration of the first Pixaris.

    Attributes:
        iteration: Its images.
        entries: What was said of them. Nobody knows who said it, so that each line counts as somebody's own.
    """

    iteration: Iteration
    entries: tuple[Feedback, ...]


def files_of(root: Path) -> list[Path]:
    """The files there are in a folder of results."""
    return sorted(root.glob(f"*/{FOLDER}/{FILE}"))


def read_earlier(file: Path) -> Iterator[Earlier]:
    """The iterations of a file; lines of something else are passed over."""
    project = file.parent.parent.name
    rows: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, row in enumerate(read_json_lines(file)):
        if _is_file_name(row.get("feedback_iteration")) and _is_file_name(row.get("image_name")):
            rows.setdefault(row["feedback_iteration"], []).append((number, row))
    for name, lines in rows.items():
        images = {row["image_name"]: _image(file.parent / name, row) for _, row in reversed(lines)}
        said = [_entry(project, number, row) for number, row in lines if _says_something(row)]
        key = IterationKey(project, name)
        created = min(_when(row.get("date")) for _, row in lines)
        yield Earlier(Iteration(key, tuple(images[image] for image in sorted(images)), created), tuple(said))


def _is_file_name(value: object) -> bool:
    """Whether it names a file in a folder, and cannot lead out of it."""
    return isinstance(value, str) and Path(value).name == value and "\\" not in value and "\0" not in value


def _when(text: object) -> float:
    """A date as Unix time; 0 where there is none."""
    try:
        return datetime.datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _says_something(row: dict[str, Any]) -> bool:
    comment = row.get("comment") or ""
    return bool(row.get("likes") or row.get("dislikes") or (comment and comment != _UPLOAD))


def _image(folder: Path, row: dict[str, Any]) -> FeedbackImage:
    name = row["image_name"]
    run, dataset = str(row.get("experiment_name") or ""), str(row.get("dataset") or "")
    return FeedbackImage(name, folder / name, Path(name).stem, run, dataset)


def _entry(project: str, number: int, row: dict[str, Any]) -> Feedback:
    verdict: Verdict = "neither"
    if row.get("likes"):
        verdict = "like"
    elif row.get("dislikes"):
        verdict = "dislike"
    return Feedback(
        rater=f"earlier feedback {number + 1}",
        at=_when(row.get("date")),
        id=f"{project}/{FILE}:{number}",
        image=row["image_name"],
        verdict=verdict,
        comment=str(row.get("comment") or ""),
    )
