"""A contact sheet: the same items side by side under several settings, as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_CELL = 224
_GAP = 8
_HEAD = 44
_NOTE = 22
_INK, _FAINT, _PAPER, _MISSING = (24, 24, 27), (113, 113, 122), (255, 255, 255), (228, 228, 231)


@dataclass(frozen=True)
class Column:
    """One column of the sheet.

    Attributes:
        title: What the column shows.
        subtitle: A second, fainter line.
        images: One per item; None where there is none.
        notes: One per item, written under its image; may be empty.
    """

    title: str
    subtitle: str
    images: Sequence[Image.Image | None]
    notes: Sequence[str] = ()


def tiled(images: Sequence[Image.Image]) -> Image.Image | None:
    """One picture of several of one size, in rows as many as columns; None without any."""
    if len(images) < 2:
        return images[0] if images else None
    across = math.ceil(math.sqrt(len(images)))
    width, height = max(image.width for image in images), max(image.height for image in images)
    whole = Image.new("RGB", (across * width, math.ceil(len(images) / across) * height), _PAPER)
    for number, image in enumerate(images):
        whole.paste(image.convert("RGB"), (number % across * width, number // across * height))
    return whole


def contact_sheet(columns: Sequence[Column], items: Sequence[str]) -> Image.Image:
    """Draw the sheet.

    Args:
        columns: From left to right, each with as many images as there are items.
        items: The items' names, from top to bottom.

    Returns:
        An RGB image; every picture is fitted into a square of 224 pixels.
    """
    row = _CELL + _NOTE + _GAP
    sheet = Image.new("RGB", (_GAP + len(columns) * (_CELL + _GAP), _HEAD + len(items) * row + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    title, small = ImageFont.load_default(16), ImageFont.load_default(12)
    for across, column in enumerate(columns):
        left = _GAP + across * (_CELL + _GAP)
        pen.text((left, 6), _fitted(column.title, title), _INK, font=title)
        pen.text((left, 26), _fitted(column.subtitle, small), _FAINT, font=small)
        for down, name in enumerate(items):
            top = _HEAD + down * row
            image = column.images[down]
            if image is None:
                pen.rectangle((left, top, left + _CELL - 1, top + _CELL - 1), fill=_MISSING)
                pen.text((left + 8, top + 8), "no image", _FAINT, font=small)
            else:
                fitted = _square(image)
                sheet.paste(fitted, (left + (_CELL - fitted.width) // 2, top + (_CELL - fitted.height) // 2))
            note = column.notes[down] if column.notes else (name if across == 0 else "")
            pen.text((left, top + _CELL + 3), _fitted(note, small), _FAINT, font=small)
    return sheet


def _square(image: Image.Image) -> Image.Image:
    scale = _CELL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    flat = Image.new("RGB", image.size, _PAPER)
    flat.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return flat.resize(size, Image.Resampling.LANCZOS)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, cut with an ellipsis where it would run out of its column."""
    if font.getlength(text) <= _CELL:
        return text
    while text and font.getlength(f"{text}…") > _CELL:
        text = text[:-1]
    return f"{text}…"
