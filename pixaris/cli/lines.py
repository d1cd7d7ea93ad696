"""Lines on standard output for work that goes on when nobody reads them any more, as after ``| head``."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print a text at once; if whoever read is gone, this and all that follows goes nowhere."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _go_nowhere()


def flush() -> None:
    """Let out what was printed before, as `say` does."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _go_nowhere()


def _go_nowhere() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
