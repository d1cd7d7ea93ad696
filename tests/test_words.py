"""Lines that a user pastes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ASK = "from pixaris.words import pip; print(pip())"


def told(path: Path, folder: Path) -> str:
    """What installs packages, as it is told where the shell finds programs in ``path``."""
    given = {**os.environ, "PATH": str(path)}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=given, cwd=folder, capture_output=True, text=True, check=True
    )
    return asked.stdout.strip()


def test_pip_is_called_by_name_only_where_it_installs_beside_this_python(tmp_path: Path) -> None:
    beside = Path(sys.executable).parent
    assert told(beside, tmp_path) == "pip"
    other = tmp_path / "pip"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert told(tmp_path, tmp_path) == f"{sys.executable} -m pip"
    inside = Path(sys.executable).relative_to(beside.parent.parent)
    assert told(tmp_path, beside.parent.parent) == f"{inside} -m pip"
