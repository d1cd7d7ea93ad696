"""Commands of this program as a reader can paste them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path


def pasteable(words: Sequence[str | Path]) -> str:
    """A command, quoted for a shell."""
    return shlex.join(["pixaris", *map(str, words)])
