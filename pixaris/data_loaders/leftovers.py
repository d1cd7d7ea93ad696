"""What lies in an eval set and is not used, told in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from PIL import Image

from pixaris.exceptions import ImageError
from pixaris.images import HEIC_SUFFIXES, EncodedImage, has_image_suffix, reads_heic

PLACEHOLDER = "placeholder"
"""Name of the picture that stands in for an eval set until its owner puts images there."""
_SYSTEM = frozenset(("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir"))
_OTHER_IMAGES = (
    *(".gif", ".jp2", ".j2k", ".jpx", ".jxl", ".svg", ".psd", ".exr", ".hdr", ".tga", ".ico", ".ppm", ".pgm"),
    *(".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".pdf", ".mp4", ".mov", ".webm"),
)
_NAMED = 3
"""How many files a sentence names before it says how many more there are."""


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden or an operating system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM


def is_used(file: str) -> bool:
    """Whether a file of a folder of images is one of them."""
    return "/" not in file and not is_system(file) and has_image_suffix(file)


@cache
def placeholder() -> EncodedImage:
    """The picture that stands in for an eval set."""
    return EncodedImage.of(Image.radial_gradient("L").convert("RGB"))


def is_placeholder(stem: str, source: Path | bytes) -> bool:
    """Whether an image is the picture that stood in for an eval set."""
    if stem != PLACEHOLDER:
        return False
    try:
        if isinstance(source, Path):
            image = EncodedImage.from_file(source)
        else:
            image = EncodedImage.from_bytes(source)
    except ImageError:  # told with the others that cannot be read
        return False
    return image == placeholder()


def passed_over(
    folders: Mapping[str, Iterable[str]], beside: Sequence[str] = (), forgotten: Sequence[str] = ()
) -> tuple[str, ...]:
    """What is not used, a sentence for each reason.

    Args:
        folders: Folder name to the names of its files, those of folders inside it as ``night/a.png``.
        beside: What lies beside the folders.
        forgotten: Placeholders that are left out.
    """
    inside = [(folder, file) for folder, files in folders.items() for file in files if not is_used(file)]
    apart = [("", name) for name in beside if is_system(name) or has_image_suffix(name)]
    reasons: dict[str, list[str]] = {}
    for folder, file in [*inside, *apart]:
        if folder:
            name = f"{folder}/{file}"
        else:
            name = file
        reasons.setdefault(_reason(folder, file), []).append(name)
    if forgotten:
        reasons["the placeholder of pixaris space; remove it"] = list(forgotten)
    return tuple(f"{_counted(names)}: {reason}" for reason, names in reasons.items())


def _reason(folder: str, file: str) -> str:
    suffix = PurePosixPath(file).suffix.lower()
    if any(map(is_system, PurePosixPath(file).parts)):
        return "hidden, or an operating system's own"
    if not folder:
        return "beside the folders; images belong into a folder, such as 'Input'"
    if "/" in file and has_image_suffix(file):
        return f"in a folder inside {folder!r}; images belong directly into {folder!r}"
    if suffix in HEIC_SUFFIXES and not reads_heic():
        return "HEIC; install pixaris[heic] to have them read, or save them as PNG"
    if suffix in _OTHER_IMAGES:
        return "in a format that is not read; save them as PNG"
    return "no image"


def _counted(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    if len(names) > _NAMED:
        more = f" and {len(names) - _NAMED} more"
    else:
        more = ""
    return f"{len(names)} {'file' if len(names) == 1 else 'files'} ({shown}{more})"
