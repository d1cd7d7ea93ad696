"""The one place that writes results: atomic files, append-only JSON lines, safe names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_bytes(path: Path, data: bytes) -> None:
    """Write beside, then replace: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  (any JSON value)
    """Write indented JSON atomically. NaN and infinity become null: JSON has neither."""
    write_text(path, json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a whole JSON-lines file atomically."""
    write_text(path, "".join(_line(row) for row in rows))


def append_json_line(path: Path, row: Mapping[str, Any]) -> None:
    """Append one line with a single write, so that lines of several processes never mix.

    A torn last line (a writer was killed) is closed first, so that it spoils only itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        torn = False
        if size:
            file.seek(size - 1)
            torn = file.read(1) != b"\n"
        file.write((b"\n" if torn else b"") + _line(row).encode())


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSON-lines file that may still be growing: torn or foreign lines are passed over, a missing file is empty."""
    rows = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(plain(row), ensure_ascii=False, separators=(", ", ": ")) + "\n"


def plain(value: Any) -> Any:  # noqa: ANN401  (any JSON-like value in, a JSON value out)
    """Turn numpy scalars, tuples, paths and non-finite numbers into what JSON knows."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        number = float(value)
        return number if number - number == 0 else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if hasattr(value, "item"):  # numpy scalars
        return plain(value.item())
    return str(value)


def safe_name(name: str, limit: int = 120) -> str:
    """Make a file name of any text: no separators, no leading dot, no control characters; different texts stay different.

    >>> safe_name("a/b")
    'a_b-c14cddc0'
    >>> safe_name("photo 1")
    'photo 1'
    """
    cleaned = re.sub(r"[^\w .,+=()\[\]-]", "_", name).strip(" .")[:limit].strip(" .")
    if cleaned == name and cleaned:
        return cleaned
    return f"{cleaned or 'unnamed'}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
