"""The one place that writes results: atomic files, append-only JSON lines, safe names."""

from __future__ import annotations

import errno
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
    write_bytes(path, _utf8(text))


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
    with path.open("ab+", buffering=0) as file:  # a buffer would cut a long line into several writes
        size = file.seek(0, os.SEEK_END)
        torn = False
        if size:
            file.seek(size - 1)
            torn = file.read(1) != b"\n"
        line = (b"\n" if torn else b"") + _utf8(_line(row))
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSON-lines file that may still be growing: torn or foreign lines are passed over, a missing file
    is empty.
    """
    rows = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    for line in text.split("\n"):  # not splitlines: U+2028 and the like may stand inside a line
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(plain(row), ensure_ascii=False, separators=(", ", ": ")) + "\n"


def _utf8(text: str) -> bytes:
    # Lone surrogates (a file name that is no UTF-8) become \\udcxx, which JSON reads back as what it was.
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any) -> Any:  # noqa: ANN401  (any JSON-like value in, a JSON value out)
    """Turn numpy scalars and arrays, tuples, sets, paths and non-finite numbers into what JSON knows."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        number = float(value)
        return number if number - number == 0 else None
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(inner) for inner in value), key=str)  # a set's own order changes from run to run
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return plain(value.tolist())
    return str(value)


def safe_name(name: str, limit: int = 120) -> str:
    """Make a file name of any text: no separators, no leading dot, no control characters; different texts
    stay different.

    Args:
        name: The text.
        limit: How many bytes of UTF-8 the name may have; a hash is its end where anything was changed.

    >>> safe_name("a/b")
    'a_b-c14cddc0'
    >>> safe_name("photo 1")
    'photo 1'
    """
    cleaned = re.sub(r"[^\w .,+=()\[\]-]", "_", name).strip(" .")
    if cleaned == name and cleaned and len(cleaned.encode()) <= limit:
        return cleaned
    cleaned = cleaned.encode()[: limit - 9].decode(errors="ignore").strip(" .")
    return f"{cleaned or 'unnamed'}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON object; None if the file is missing or holds anything else."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None
