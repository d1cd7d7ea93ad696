"""``comparison.png``: a picture to paste into a chat, of the items that show the difference best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pixaris.exceptions import ImageError
from pixaris.files import write_bytes
from pixaris.images import decode, encode_png, read_image_file
from pixaris.report.model import Report, SetRow
from pixaris.report.sheet import Column, contact_sheet
from pixaris.report.telling import Pair, pair_of
from pixaris.report.thumbnails import tiled

_MOST_ITEMS = 4
_PACKED = 4
"""How hard the PNG is packed: of photographs, less makes it a tenth larger, and more no smaller."""


def write_comparison(report: Report) -> Path | None:
    """Draw inputs, baseline, winner and references side by side into the search's folder.

    Args:
        report: Of a single search.

    Returns:
        The picture; None while there is nothing to compare.

    Raises:
        OSError: It cannot be written.
    """
    pair = pair_of(report)
    if pair is None or not pair.shown:
        return None
    places, rule = pair.chosen(_MOST_ITEMS)
    columns = [
        *_given(report, places, "input"),
        *(_made(report, pair, row, places) for row in _in_order(pair)),
        *_given(report, places, "reference"),
    ]
    heading = [report.first.verdict.sentence, *([rule] if rule else [])]
    names = [report.items[place] for place in places]
    prompts = {item.name: item.prompt for item in report.first.pictures.items}
    sheet = contact_sheet(columns, names, heading, [prompts.get(name, "") for name in names])
    file = report.first.paths.comparison
    write_bytes(file, encode_png(sheet, _PACKED), make_folder=False)
    return file


def _in_order(pair: Pair) -> tuple[SetRow, SetRow]:
    """The winner comes second, or first where the baseline won."""
    if pair.runner_up:
        return (pair.after, pair.before)
    return (pair.before, pair.after)


def _given(report: Report, places: Sequence[int], role: str) -> list[Column]:
    part = report.first
    pictures = {item.name: item.pictures for item in part.pictures.items}
    columns = []
    for folder, of in report.folders.items():
        if of != role:
            continue
        images: list[Image.Image | None] = []
        for place in places:
            picture = pictures.get(report.items[place], {}).get(folder)
            if picture is None:
                file = None
            else:
                file = part.pictures.file(part.paths, picture)
            images.append(None if file is None else _image([file]))
        columns.append(Column(folder, role, images))
    return columns


def _made(report: Report, pair: Pair, row: SetRow, places: Sequence[int]) -> Column:
    metric = report.metrics[0]
    scores, images = report.scores(row, metric), []
    for place in places:
        source = row.cells[place].source
        images.append(None if source is None else _image(source.files))
    notes = [_score(metric, scores[place]) for place in places]
    subtitle = f"{row.trial.name} · {_score(metric, row.trial.objective)}"
    return Column(pair.role(row).capitalize(), subtitle, images, notes)


def _score(metric: str, score: float | None) -> str:
    if score is None:
        return "no score"
    return f"{metric} {score:.4f}"


def _image(files: Sequence[Path]) -> Image.Image | None:
    """The images of a cell in one; None where one is missing or damaged."""
    try:
        return tiled([decode(read_image_file(file), file.name) for file in files])
    except ImageError:
        return None  # the cell says that there is no image
