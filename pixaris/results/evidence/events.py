"""``events.jsonl``: what happened to a search's endpoints, and when."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pixaris.files import append_json_line, read_json_lines
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import SearchPaths

_OUT = ("is quarantined", "does not answer yet")
_BACK = "is back"
"""What a pool says of an endpoint, after its URL."""


@dataclass(frozen=True)
class Happened:
    """Something that happened.

    Attributes:
        seconds: Wall time since the search was started.
        sentence: What, in words.
    """

    seconds: float
    sentence: str


@dataclass(frozen=True)
class Outage:
    """A time in which an endpoint was given nothing, in seconds since the search was started; without an end
    it is infinite.
    """

    begin: float
    end: float = math.inf


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


def outages(events: Iterable[Happened]) -> dict[str, list[Outage]]:
    """When endpoints were out, as far as the pool has said so: URL to its outages, in their order."""
    found: dict[str, list[Outage]] = {}
    for event in events:
        url, _, said = event.sentence.partition(" ")
        spans = found.get(url, [])
        # A pool says again that an endpoint is quarantined; the outage began with the first time.
        is_out = bool(spans) and spans[-1].end == math.inf
        if said.startswith(_OUT) and not is_out:
            found.setdefault(url, []).append(Outage(event.seconds))
        elif said == _BACK and is_out:
            spans[-1] = Outage(spans[-1].begin, event.seconds)
    return found
