"""``journal.jsonl``: what a search's searcher and scheduler were told, in its order, so that others can be
told it. Ray-free.

Tune keeps no scheduler's state, and a searcher's only for its own way of going on. A searcher or scheduler
that was made alike and is told the same in the same order knows the same; this file holds just that. A
trial's line is written before the trial is made, and what it told before anything follows from it, so a
process may be killed at any moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pixaris.files import append_json_line, read_json_lines
from pixaris.types import ParamValue

Kind: TypeAlias = Literal["proposed", "reported", "ended"]
_KINDS: tuple[Kind, ...] = ("proposed", "reported", "ended")
_FILE = "journal.jsonl"
_SCORES = "scores/"
_FACTS = ("error", "item_scores")  # of a report, besides its numbers


@dataclass(frozen=True)
class Event:
    """One thing that happened to a trial.

    Attributes:
        kind: "proposed": it was made up; "reported": it told its scores so far; "ended": it went through, or
            was stopped.
        number: The trial's number.
        values: Its parameter set, when it is proposed.
        result: What it told, with flat keys (``scores/ssim``), else empty.
        stop: Whether the scheduler stopped it for this.
    """

    kind: Kind
    number: int
    values: Mapping[str, ParamValue] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    stop: bool = False


class Journal:
    """Writes a search's journal.

    Args:
        folder: The search's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def proposed(self, number: int, values: Mapping[str, ParamValue]) -> None:
        """A trial is about to be made."""
        append_json_line(self._path, {"proposed": number, "values": dict(values)})

    def reported(self, number: int, result: Mapping[str, Any], *, stop: bool) -> None:
        """A trial has told its scores, and the scheduler has decided."""
        append_json_line(self._path, {"reported": number, "stop": stop, "result": _kept(result, whole=stop)})

    def ended(self, number: int, result: Mapping[str, Any]) -> None:
        """A trial went through, or was stopped, for good."""
        append_json_line(self._path, {"ended": number, "result": _kept(result, whole=True)})


@dataclass(frozen=True)
class History:
    """What a journal tells.

    Attributes:
        events: In their order.
    """

    events: tuple[Event, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> History:
        """Read a search's journal; torn lines are passed over, and a trial whose beginning is lost is
        none.
        """
        events: list[Event] = []
        known: set[int] = set()
        for row in read_json_lines(folder / _FILE):
            event = _event(row)
            if event is None or (event.kind == "proposed") == (event.number in known):
                continue
            known.add(event.number)
            events.append(event)
        return cls(tuple(events))

    @property
    def values(self) -> dict[int, Mapping[str, ParamValue]]:
        """Trial number to parameter set, in the order they were proposed."""
        return {event.number: event.values for event in self.events if event.kind == "proposed"}

    @property
    def ended(self) -> dict[int, Event]:
        """The trials that are over for good, each with the last that it told."""
        return {event.number: event for event in self.events if event.kind == "ended" or event.stop}

    @property
    def latest(self) -> dict[int, Mapping[str, Any]]:
        """Trial number to the last that it told."""
        return {event.number: event.result for event in self.events if event.kind != "proposed"}

    @property
    def unfinished(self) -> tuple[int, ...]:
        """The trials that are not over."""
        ended = self.ended
        return tuple(number for number in self.values if number not in ended)


def nested(result: Mapping[str, Any]) -> dict[str, Any]:
    """A report as a trial makes it, from one with flat keys: ``scores`` is a mapping again."""
    scores = {key.removeprefix(_SCORES): value for key, value in result.items() if key.startswith(_SCORES)}
    return {**{key: value for key, value in result.items() if not key.startswith(_SCORES)}, "scores": scores}


def _kept(result: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """What of a report is kept: its numbers, which searchers and schedulers go by; of the last one everything
    that is shown.
    """
    flat: dict[str, Any] = {}
    for key, value in result.items():
        if isinstance(value, Mapping):
            if key != "config":
                flat.update({f"{key}/{inner}": number for inner, number in value.items()})
        elif not key.startswith("config/"):
            flat[key] = value
    return {
        key: value
        for key, value in flat.items()
        if isinstance(value, bool | int | float) or (whole and key in _FACTS)
    }


def _event(row: Mapping[str, Any]) -> Event | None:
    kind = next((kind for kind in _KINDS if kind in row), None)
    if kind is None or not isinstance(row[kind], int):
        return None
    given, values = row.get("result", {}), row.get("values", {})
    if not isinstance(given, dict) or not isinstance(values, dict):
        return None
    # JSON has no NaN; a report's number that is missing was one.
    result = {key: math.nan if value is None else value for key, value in given.items()}
    return Event(kind, row[kind], values, result, row.get("stop") is True)
