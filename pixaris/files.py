"""The one place that writes results: atomic files, append-only JSON lines, safe names."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from pixaris.exceptions import StorageError

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object of a file or a reply. Anybody may have written it: what is in it is checked where it is read.
"""
JsonMapping: TypeAlias = Mapping[str, Any]
"""The same, for those who only read it."""


def write_bytes(path: Path, data: bytes | Iterable[bytes], *, make_folder: bool = True) -> None:
    """Write beside, then replace: a reader sees the old file or the new one, never half of one.

    Args:
        path: The file.
        data: Its content, whole or in pieces.
        make_folder: Whether a folder that is not there is made; else that is an error.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        # Ctrl-C among them: no half-written file is left beside the real one
        Path(beside).unlink(missing_ok=True)
        raise


def link_or_write(path: Path, data: bytes, source: Path | None) -> None:
    """Put bytes in place as `write_bytes`, as a hard link to a file that has them already, where that can be.

    Args:
        path: The file.
        data: Its content.
        source: A file with this content, or None.
    """
    if source is None or not _link(path, source, len(data)):
        write_bytes(path, data)


def _link(path: Path, source: Path, size: int) -> bool:
    """Link a file to another place, over what is there; False where it cannot be, or is not what it was."""
    beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, beside)
        if beside.stat().st_size == size:
            os.replace(beside, path)
            return True
    except OSError:
        return False
    finally:
        beside.unlink(missing_ok=True)  # renaming a link to its own file leaves both
    return False


_WAYS_OUT = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some space there",
    errno.ENOENT: "it was moved or deleted; put it back",
    errno.EROFS: "it is read-only now; make it writable",
    errno.EACCES: "it may not be written to; make it writable",
    errno.EPERM: "it may not be written to; make it writable",
}


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Say in one line what keeps results from being written.

    Args:
        folder: Where they belong.

    Raises:
        StorageError: The block met an error of the file system.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        way_out = _WAYS_OUT.get(error.errno or 0, "look after that folder")
        message = f"results cannot be kept in {folder}: {reason}; {way_out}, then resume"
        raise StorageError(message) from error


def append_text(path: Path, text: str) -> None:
    """Append UTF-8 text, with a single write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(_utf8(text))


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, _utf8(text))


def write_json(path: Path, value: object, *, make_folder: bool = True) -> None:
    """Write indented JSON atomically. NaN and infinity become null: JSON has neither."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False) + "\n"
    write_bytes(path, _utf8(text), make_folder=make_folder)


def write_json_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write a whole JSON-lines file atomically."""
    write_text(path, "".join(_line(row) for row in rows))


def append_json_line(path: Path, row: Mapping[str, object], *, make_folder: bool = True) -> None:
    """Append one line with a single write, so that lines of several processes never mix.

    A torn last line (a writer was killed) is closed first, so that it spoils only itself.

    Args:
        path: The file.
        row: The line.
        make_folder: Whether a folder that is not there is made; else that is an error.
    """
    append_json_lines(path, [row], make_folder=make_folder)


def append_json_lines(path: Path, rows: Iterable[Mapping[str, object]], *, make_folder: bool = True) -> None:
    """As `append_json_line`, several lines with one write."""
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:  # a buffer would cut a long line into several writes
        size = file.seek(0, os.SEEK_END)
        torn = False
        if size:
            file.seek(size - 1)
            torn = file.read(1) != b"\n"
        line = (b"\n" if torn else b"") + _utf8("".join(_line(row) for row in rows))
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read_json_lines(path: Path) -> list[JsonObject]:
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


def _line(row: Mapping[str, object]) -> str:
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
        if number - number == 0:
            return number
        return None
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


def read_json(path: Path) -> JsonObject | None:
    """Read a JSON object; None if the file is missing or holds anything else."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if isinstance(loaded, dict):
        return loaded
    return None


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden."""
    return name.startswith(".")


def files_below(folder: Path, left_out: Callable[[str], bool] = is_hidden) -> list[str]:
    """Names of the files below a folder, from it, in order.

    Args:
        folder: The folder.
        left_out: Whether a file, or a folder with all that is in it, is left out, by its own name.
    """
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not left_out(name))
        inside = Path(where).relative_to(folder)
        found += [(inside / name).as_posix() for name in sorted(files) if not left_out(name)]
    return found


def state_of(path: Path) -> tuple[int, int] | None:
    """A file's size in bytes and its time of change in nanoseconds, which tell whether it is another one now;
    None where there is none.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
