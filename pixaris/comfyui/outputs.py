"""What an output node gave: which of its files are images, and in words what else came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pixaris.images import SUFFIXES

_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("image", SUFFIXES),
    ("animation", (".gif", ".apng")),
    ("video", (".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v")),
    ("audio file", (".flac", ".mp3", ".wav", ".ogg", ".opus", ".m4a", ".aac")),
    ("3D model", (".glb", ".gltf", ".obj", ".stl", ".fbx", ".ply", ".usdz", ".splat", ".spz", ".ksplat")),
)
_BY_KEY = {"gifs": "video", "video": "video", "videos": "video", "audio": "audio file", "3d": "3D model"}
_SIGNATURES = (
    (0, b"v/1\x01", "OpenEXR"),
    (0, b"GIF8", "GIF"),
    (4, b"ftyp", "an ISO media file, such as MP4 or HEIC"),
    (0, b"\x1aE\xdf\xa3", "WebM"),
    (0, b"8BPS", "Photoshop"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"<svg", "SVG"),
    (0, b"glTF", "glTF"),
    (0, b"fLaC", "FLAC"),
    (0, b"OggS", "Ogg"),
    (0, b"ID3", "MP3"),
    (8, b"WAVE", "WAV"),
    (8, b"AVI ", "AVI"),
    (0, b"%PDF", "PDF"),
)
_LONGEST = 60


@dataclass(frozen=True)
class Came:
    """What a node gave.

    Attributes:
        words: All of it: "3 images", "a video (x.mp4)", "text ('a caption')".
        animated: Whether its images have frames.
    """

    words: str = "nothing"
    animated: bool = False


def read_came(raw: object) -> dict[str, Came]:
    """Node id to what it gave, of the ``outputs`` of a history's row."""
    rows = raw.items() if isinstance(raw, dict) else ()
    return {str(node_id): _came(output) for node_id, output in rows if isinstance(output, dict)}


def is_image(filename: str) -> bool:
    """Whether a file's name lets expect an image that is read."""
    suffix = PurePosixPath(filename).suffix.lower()
    return not suffix or suffix in SUFFIXES


def foreign_format(data: bytes) -> str:
    """The format of a file that is whole and no image that is read; "" if its first bytes do not tell."""
    for place, signature, name in _SIGNATURES:
        if data[place : place + len(signature)] == signature:
            return name
    return ""


def _came(output: Mapping[object, object]) -> Came:
    found: dict[str, list[str]] = {}
    for kind, name in _things(output):
        found.setdefault(kind, []).append(name)
    words = [_counted(kind, names) for kind, names in found.items()]
    animated = output.get("animated")
    flag = animated[0] if isinstance(animated, list) and animated else animated
    return Came(", ".join(words) or "nothing", flag is True)


def _things(output: Mapping[object, object]) -> Iterator[tuple[str, str]]:
    """Kind and name of everything a node shows."""
    for key, value in output.items():
        if key == "animated":
            continue
        for entry in value if isinstance(value, list) else [value]:
            filename = entry.get("filename") if isinstance(entry, dict) else None
            if isinstance(filename, str):
                yield _kind(str(key), filename), filename
            elif isinstance(entry, str):
                yield "text", entry
            elif entry is not None:
                yield f"{key!s:.{_LONGEST}}", ""


def _kind(key: str, filename: str) -> str:
    suffix = PurePosixPath(filename).suffix.lower()
    for kind, suffixes in _KINDS:
        if suffix in suffixes:
            return kind
    return _BY_KEY.get(key, "file in a format that is not read" if suffix else "image")


def _counted(kind: str, names: Sequence[str]) -> str:
    first = " ".join(names[0].split())[:_LONGEST]
    if kind == "text":
        return f"text ({first!r})"
    if not first:
        return f"{kind!r}"
    if kind == "image" and len(names) > 1:
        return f"{len(names)} images"
    article = "an" if kind[0] in "aio" else "a"
    if len(names) == 1:
        return f"{article} {kind} ({first})"
    return f"{len(names)} times {article} {kind} ({first})"
