"""Commands of this program as a reader can paste them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def pasteable(words: Sequence[str]) -> str:
    """A command, quoted for a shell."""
    return shlex.join(["pixaris", *words])
