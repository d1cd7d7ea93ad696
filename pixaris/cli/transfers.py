"""What the commands that copy to and from a bucket share."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from pixaris.cli.lines import say

_LINE_SECONDS = 5.0


def project_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--gcp-project``."""
    parser.add_argument(
        "--gcp-project",
        metavar="ID",
        default="",
        help="the Google Cloud project (default: the configured one, or the credentials' own)",
    )


def counting(word: str) -> Callable[[int, int], None]:
    """Tell how far a copy is: on a screen in one line that changes, in a pipe in a line now and then.

    Args:
        word: What happens to files: ``sent``.
    """
    told = time.monotonic()

    def count(done: int, total: int) -> None:
        nonlocal told
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r  {done} of {total} files {word}", end=end, file=sys.stderr, flush=True)
        elif time.monotonic() - told > _LINE_SECONDS:
            told = time.monotonic()
            say(f"  {done} of {total} files {word}")

    return count
