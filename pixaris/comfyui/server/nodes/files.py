"""Nodes that read and write image files: LoadImage, LoadImageMask, SaveImage, PreviewImage."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngInfo

from pixaris import images
from pixaris.comfyui.server.nodes.tensors import Bytes, Image, Mask, from_levels, to_levels
from pixaris.comfyui.server.storage import Folders, FolderType

_PNG = b"\x89PNG\r\n\x1a\n"
# Colour types of a PNG header.
_GRAY, _PALETTE, _GRAY_ALPHA = 0, 3, 4


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a node may know beside its inputs.

    Attributes:
        folders: The server's folders.
        prompt: The whole graph, written into saved PNG files.
        extra_pnginfo: Further text chunks for them.
    """

    folders: Folders
    prompt: Mapping[str, object]
    extra_pnginfo: Mapping[str, object]


def load_image(context: RunContext, image: str) -> tuple[Image, Mask]:
    """Read an image, EXIF orientation applied, and its mask: ``1 - alpha``, or zeros.

    The mask of a file without transparency is 64×64, whatever the image's size; a palette file's has the
    image's size. Levels of 8-bit gray files come out one lower, as in ComfyUI 0.27.

    Raises:
        ImageError: The file is not a readable image.
    """
    data = images.read_image_file(context.folders.source(image))
    levels = np.asarray(images.decode(data, image))
    color_type, depth = _png_kind(data)
    colors = levels[..., :3]
    if color_type in (_GRAY, _GRAY_ALPHA) and depth <= 8:
        colors = np.maximum(colors, 1) - 1
    if levels.shape[2] == 4:
        mask = np.subtract(np.float32(1), from_levels(levels[..., 3]))
    else:
        mask = np.zeros(levels.shape[:2] if color_type == _PALETTE else (64, 64), np.float32)
    return from_levels(colors)[None], mask[None]


def load_image_mask(context: RunContext, image: str, channel: str) -> Mask:
    """Read one channel of an image as a mask; ``alpha`` is ``1 - alpha``, zeros where the file has none.

    Raises:
        ImageError: The file is not a readable image.
    """
    data = images.read_image_file(context.folders.source(image))
    levels = np.asarray(images.decode(data, image))
    if channel != "alpha":
        return from_levels(levels[..., ("red", "green", "blue").index(channel)])[None]
    if levels.shape[2] == 4:
        return np.subtract(np.float32(1), from_levels(levels[..., 3]))[None]
    return np.zeros((1, *levels.shape[:2]), np.float32)


def save_image(context: RunContext, images: Image, filename_prefix: str) -> list[dict[str, str]]:
    """Save every image of the batch into ``output`` and return file names, subfolders and types.

    Raises:
        OutsideFolderError: The prefix leads out of the folder.
    """
    return _save(context, images, filename_prefix, "output")


def preview_image(context: RunContext, images: Image) -> list[dict[str, str]]:
    """Save every image of the batch into ``temp`` and return file names, subfolders and types."""
    return _save(context, images, context.folders.preview_prefix, "temp")


def _save(context: RunContext, batch: Image, prefix: str, kind: FolderType) -> list[dict[str, str]]:
    places = context.folders.save_places(prefix, kind, batch.shape[2], batch.shape[1])
    texts = PngInfo()
    texts.add_text("prompt", json.dumps(context.prompt))
    for key, value in context.extra_pnginfo.items():
        texts.add_text(key, json.dumps(value))
    saved = []
    for levels, (path, name, subfolder) in zip(to_levels(batch), places, strict=False):
        context.folders.save(path, _png(levels, texts))
        saved.append({"filename": name, "subfolder": subfolder, "type": kind})
    return saved


def _png(levels: Bytes, texts: PngInfo) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(levels).save(buffer, "PNG", pnginfo=texts, compress_level=1)
    return buffer.getvalue()


def _png_kind(data: bytes) -> tuple[int, int]:
    """Return colour type and bit depth of a PNG file, (-1, 0) of others."""
    if data.startswith(_PNG) and len(data) > 25:
        return (data[25], data[24])
    return (-1, 0)
