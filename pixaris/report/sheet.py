"""A contact sheet: the same items side by side under several settings, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_LARGEST = 384
_WIDTH = 1_600
"""Pixels that a sheet may be wide before its cells become smaller."""
# Below that nobody can compare; the sheet grows wider instead.
_SMALLEST = 224
_GAP = 10
_HEAD = 50
_NOTE = 24
_LINE = 22
_PROMPT_LINE, _PROMPT_LINES = 18, 2
_INK, _FAINT, _PAPER, _MISSING = (24, 24, 27), (90, 90, 99), (255, 255, 255), (228, 228, 231)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Column:
    """One column of the sheet.

    Attributes:
        title: What the column shows.
        subtitle: A second, fainter line.
        images: One per item; None where there is none.
        notes: One per item, written under its image; by default the item's name.
    """

    title: str
    subtitle: str
    images: Sequence[Image.Image | None]
    notes: Sequence[str] = ()


def contact_sheet(
    columns: Sequence[Column],
    items: Sequence[str],
    heading: Sequence[str] = (),
    prompts: Sequence[str] = (),
) -> Image.Image:
    """Draw the sheet.

    Args:
        columns: From left to right, each with as many images as there are items.
        items: The items' names, from top to bottom.
        heading: Sentences above all, wrapped where they are long.
        prompts: The items' prompts, each written above its row in at most two lines; none for items without.

    Returns:
        An RGB image; every picture is fitted into a square of at most 384 pixels, fewer where there are many
        columns.
    """
    cell = min(_LARGEST, max(_SMALLEST, (_WIDTH - _GAP) // len(columns) - _GAP))
    width = _GAP + len(columns) * (cell + _GAP)
    title, small = ImageFont.load_default(17), ImageFont.load_default(13)
    lines = [line for sentence in heading for line in _wrapped(sentence, title, width - 2 * _GAP)]
    if lines:
        top = _GAP + len(lines) * _LINE
    else:
        top = 0
    heads = [_head(prompt, small, width - 2 * _GAP) for prompt in prompts] or [[]] * len(items)
    head = max(map(len, heads), default=0) * _PROMPT_LINE
    row = head + cell + _NOTE + _GAP
    sheet = Image.new("RGB", (width, top + _HEAD + len(items) * row + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        pen.text((_GAP, _GAP + number * _LINE), line, _INK, font=title)
    for down, lines in enumerate(heads):
        for number, line in enumerate(lines):
            place = (_GAP, top + _HEAD + down * row + number * _PROMPT_LINE)
            pen.text(place, line, _INK, font=small)
    for across, column in enumerate(columns):
        left = _GAP + across * (cell + _GAP)
        pen.text((left, top + 8), _fitted(column.title, title, cell), _INK, font=title)
        pen.text((left, top + 30), _fitted(column.subtitle, small, cell), _FAINT, font=small)
        for down, name in enumerate(items):
            corner = (left, top + _HEAD + down * row + head)
            _paste(sheet, pen, column.images[down], corner, cell)
            if column.notes:
                note = column.notes[down]
            else:
                note = name
            pen.text((left, corner[1] + cell + 4), _fitted(note, small, cell), _FAINT, font=small)
    return sheet


def _paste(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    image: Image.Image | None,
    corner: tuple[int, int],
    cell: int,
) -> None:
    left, top = corner
    if image is None:
        pen.rectangle((left, top, left + cell - 1, top + cell - 1), fill=_MISSING)
        pen.text((left + 8, top + 8), "no image", _FAINT, font=ImageFont.load_default(13))
        return
    fitted = _square(image, cell)
    sheet.paste(fitted, (left + (cell - fitted.width) // 2, top + (cell - fitted.height) // 2))


def _square(image: Image.Image, cell: int) -> Image.Image:
    scale = cell / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # On paper, as a viewer shows it: without this, transparent pixels would have whatever colour lies under
    # them.
    flat = Image.new("RGB", image.size, _PAPER)
    flat.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return flat.resize(size, Image.Resampling.LANCZOS)


def _fitted(text: str, font: Font, width: int) -> str:
    """The text, cut with an ellipsis where it would run out of its column."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _head(prompt: str, font: Font, width: int) -> list[str]:
    """A prompt in at most so many lines."""
    lines = _wrapped(prompt, font, width)
    if len(lines) > _PROMPT_LINES:
        # The rest goes into the last line, where it is cut with an ellipsis.
        lines = [*lines[: _PROMPT_LINES - 1], " ".join(lines[_PROMPT_LINES - 1 :])]
    return [_fitted(line, font, width) for line in lines]


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    """The text in lines that fit."""
    lines: list[str] = []
    for word in text.split():
        if lines:
            longer = f"{lines[-1]} {word}"
        else:
            longer = word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
