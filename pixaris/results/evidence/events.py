"""``events.jsonl``: what happened to a search's endpoints, and when."""

from __future__ import annotations

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


def append_event(paths: SearchPaths, event: Happened) -> None:
    """Keep an event.

    Raises:
        OSError: It cannot be written.
    """
    append_json_line(paths.events, asdict(event), make_folder=False)


def read_events(paths: SearchPaths) -> list[Happened]:
    """The events of a search, in their order; empty if its folder has none."""
    found = []
    for row in read_json_lines(paths.events):
        try:
            found.append(read_as(Happened, row))
        except ForeignError:
            continue
    return found
