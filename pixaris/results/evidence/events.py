"""``events.jsonl``: what happened to a search's endpoints, and when."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass

from pixaris.files import append_json_line, read_json_lines
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import SearchPaths


@dataclass(frozen=True)
class Happened:
    """Something that happened.

    Attributes:
        seconds: Wall time since the search was started.
        sentence: What, in words.
    """

    seconds: float
    sentence: str


def keep_event(paths: SearchPaths, seconds: float, sentence: str) -> None:
    """Keep what happened. Where the disk is full nothing is kept: what must be kept meets that by itself.

    Args:
        paths: The search's.
        seconds: Wall time since it was started.
        sentence: What, in words.
    """
    happened = Happened(round(seconds, 1), sentence)
    with contextlib.suppress(OSError):
        append_json_line(paths.events, asdict(happened), make_folder=False)


def read_events(paths: SearchPaths) -> list[Happened]:
    """The events of a search, in their order; empty if its folder has none."""
    found = []
    for row in read_json_lines(paths.events):
        try:
            found.append(read_as(Happened, row))
        except ForeignError:
            continue
    return found
