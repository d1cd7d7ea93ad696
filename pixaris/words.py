"""Amounts as a person says them, and how this Python installs packages."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def number(value: object) -> str:
    """A value, floats with four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def listed(values: Mapping[str, object]) -> str:
    """Parameters in one line: ``amount=0.274 mode=normal``."""
    return " ".join(f"{name}={number(value)}" for name, value in values.items())


def credits(cost: float | None, unaccounted: int = 0) -> str:
    """What was charged, and how many requests may have been charged besides; "" where nothing was."""
    if cost is None and not unaccounted:
        return ""
    if unaccounted:
        besides = f", and {unaccounted} requests may have been charged besides"
    else:
        besides = ""
    return f"{cost or 0:.10g} credits{besides}"


def size(count: int) -> str:
    """A size for people: ``1.5 GB``."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


def pip() -> str:
    """What installs packages where this program runs: ``pip``, or ``.venv/bin/python -m pip`` where the
    shell's pip belongs to another Python.
    """
    python = Path(sys.executable)
    found = shutil.which("pip")
    if found is not None and Path(found).parent == python.parent:
        return "pip"
    inside = python.is_relative_to(Path.cwd())
    return f"{shlex.quote(os.path.relpath(python) if inside else str(python))} -m pip"
