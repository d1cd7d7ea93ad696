"""One folder per run: found again by the run's id, never shared by two runs of one name."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from pixaris.files import JsonObject, safe_name, write_json

_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


def run_folder(parent: Path, name: str, marker: str, record: Mapping[str, object]) -> Path:
    """Return the folder of a run, made where there is none yet.

    It is ``<parent>/<safe name>``; if another run has that, ``<safe name>-2``, and so on. Safe among
    processes: a new folder appears at once with its marker in it.

    Args:
        parent: Folder of all runs of one kind.
        name: The run's name.
        marker: Name of the JSON file in the folder that says whose it is.
        record: What to write into the marker of a new folder; its ``id`` is the run's.

    Raises:
        OSError: The folder cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    base = safe_name(name)
    for number in count(1):
        folder = parent / (base if number == 1 else f"{base}-{number}")
        if _owner(folder / marker) == record["id"] or (not folder.exists() and _make(folder, marker, record)):
            return folder
    raise AssertionError("count() ended")


def read_marker(path: Path) -> JsonObject:
    """Return what a marker says; an empty dict if there is none or it is damaged."""
    try:
        marker = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if isinstance(marker, dict):
        return marker
    return {}


def _owner(path: Path) -> object:
    return read_marker(path).get("id")


def _make(folder: Path, marker: str, record: Mapping[str, object]) -> bool:
    """Make the folder beside and rename it into place; False if another process was faster."""
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".new-"))
    try:
        beside.chmod(0o755)
        write_json(beside / marker, record)
        os.rename(beside, folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        if error.errno in _TAKEN:
            return bool(_owner(folder / marker) == record["id"])
        raise
    return True
