"""What is printed: safe for a terminal whoever it comes from, and for readers that go away.

Servers, files and results may hold control characters, which set a window's title, clear the screen, or turn
the direction of writing. They are shown, not obeyed.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""C0 but for tab and line feed, C1, and what changes the direction of writing."""

_LINE_SECONDS = 5.0
"""How often a pipe is told how far something is."""


def safe(text: str) -> str:
    """Text with its control characters written out: ``\\x1b`` instead of an escape."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class SafeStream:
    """A text stream that shows control characters instead of passing them on.

    Args:
        stream: Where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        """Write a text; gives its length, as streams do."""
        self.raw.write(safe(text))
        # Of what was given, not of what was written: callers reckon with their own text.
        return len(text)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (everything else is the stream's own)
        return getattr(self.raw, name)


@contextlib.contextmanager
def safe_streams() -> Iterator[None]:
    """Make standard output and standard error safe."""
    with contextlib.redirect_stdout(SafeStream(sys.stdout)):
        with contextlib.redirect_stderr(SafeStream(sys.stderr)):
            yield


def raw(stream: TextIO) -> TextIO:
    """The stream below a safe one: for what writes escapes of its own, around texts that are made `safe`."""
    if isinstance(stream, SafeStream):
        return stream.raw
    return stream


def console(width: int | None = None) -> Console:
    """A terminal for tables and live views."""
    from rich.console import Console

    return Console(file=raw(sys.stdout), highlight=False, width=width)


def say(text: str) -> None:
    """Print a text at once; if whoever read is gone, this and all that follows goes nowhere."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _go_nowhere()


def flush() -> None:
    """Let out what was printed before, as `say` does."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _go_nowhere()


def _go_nowhere() -> None:
    # The descriptor itself is turned, so that Python's own flush at the end meets no broken pipe either.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def counting(word: str) -> Callable[[int, int], None]:
    """Tell how far a copy is: on a screen in one line that changes, in a pipe in a line now and then.

    Args:
        word: What happens to files: ``sent``.
    """
    told = time.monotonic()

    def count(done: int, total: int) -> None:
        nonlocal told
        if sys.stderr.isatty():
            if done == total:
                end = "\n"
            else:
                end = ""
            sys.stderr.write(f"\r  {done} of {total} files {word}{end}")
            sys.stderr.flush()
        elif time.monotonic() - told > _LINE_SECONDS:
            told = time.monotonic()
            sys.stderr.write(f"  {done} of {total} files {word}\n")

    return count
