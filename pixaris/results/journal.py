"""``journal.jsonl``: what a search's searcher and scheduler were told, in its order, so that others can be
told it.

Tune keeps no scheduler's state, and a searcher's only for its own way of going on. A searcher or scheduler
that was made alike and is told the same in the same order knows the same; this file holds just that. A
trial's line is written before the trial is made, and what it told before anything follows from it, so a
process may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias

from pixaris.exceptions import StorageError
from pixaris.files import JsonMapping, append_json_line, read_json_lines, storing
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.old_journal import old_report
from pixaris.results.paths import SearchPaths
from pixaris.results.report import Stop, TrialReport
from pixaris.types import ParamValue

Kind: TypeAlias = Literal["proposed", "reported", "ended"]
_KINDS: tuple[Kind, ...] = ("proposed", "reported", "ended")


@dataclass(frozen=True)
class Event:
    """One thing that happened to a trial.

    Attributes:
        kind: "proposed": it was made up; "reported": it told its scores so far; "ended": it went through, or
            was stopped.
        number: The trial's number.
        values: Its parameter set, when it is proposed.
        report: What it told; of its item scores, those that are new since it told something last.
        stop: Why the scheduler stopped it for this, or None.
    """

    kind: Kind
    number: int
    values: Mapping[str, ParamValue] = field(default_factory=dict)
    report: TrialReport = field(default_factory=TrialReport)
    stop: Stop | None = None


class Journal:
    """Writes a search's journal.

    Args:
        paths: The search's.
        history: What earlier processes of the search have written.
        failed: Called where a line cannot be written; nothing is written after that, so that the journal ends
            there and has no gaps. By default the error is raised.
    """

    def __init__(
        self,
        paths: SearchPaths,
        history: History | None = None,
        failed: Callable[[StorageError], object] | None = None,
    ) -> None:
        self._paths = paths
        self._failed = failed
        self._ended = False
        if history is not None:
            self._written = dict(history.latest)
        else:
            self._written = {}

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_failed": None, "_written": {}}  # Tune keeps copies, which nobody writes to

    def proposed(self, number: int, values: Mapping[str, ParamValue]) -> None:
        """A trial is about to be made."""
        self._append({"proposed": number, "values": dict(values)})

    def reported(self, number: int, report: TrialReport, stop: Stop | None) -> None:
        """A trial has told its scores, and the scheduler has decided."""
        row: dict[str, object] = {"reported": number, "report": self._news(number, report)}
        if stop is not None:
            row["stop"] = asdict(stop)
        self._append(row)

    def ended(self, number: int, report: TrialReport) -> None:
        """A trial went through, or was stopped, for good."""
        self._append({"ended": number, "report": self._news(number, report)})

    def _append(self, row: Mapping[str, object]) -> None:
        if self._ended:
            return
        try:
            # Without making the folder: somebody has moved it away if it is gone, and half a search must not
            # begin anew there.
            with storing(self._paths.folder):
                append_json_line(self._paths.journal, row, make_folder=False)
        except StorageError as error:
            if self._failed is None:
                raise
            # Before it is told: whoever hears of it may cause further lines.
            self._ended = True
            self._failed(error)

    def _news(self, number: int, report: TrialReport) -> dict[str, object]:
        """A report without the item scores that stand in the journal already: else it grew by their
        square.
        """
        row = report.news(self._written.get(number)).as_dict()
        self._written[number] = report
        return row


@dataclass(frozen=True)
class History:
    """What a journal tells.

    Attributes:
        events: In their order.
    """

    events: tuple[Event, ...] = ()

    @classmethod
    def read(cls, paths: SearchPaths) -> History:
        """Read a search's journal; torn lines are passed over, and a trial whose beginning is lost is
        none. What people's votes say by now stands in place of what a trial told.
        """
        events: list[Event] = []
        known: set[int] = set()
        preferences = read_preferences(paths)
        for row in read_json_lines(paths.journal):
            event = _event(row)
            # A number is proposed once; news of an unknown one has lost its beginning.
            if event is None or (event.kind == "proposed") == (event.number in known):
                continue
            known.add(event.number)
            if preferences is not None:
                event = replace(event, report=preferences.told(event.number, event.report))
            events.append(event)
        return cls(tuple(events))

    def replayed(self) -> Iterator[Event]:
        """The events in their order, each with the report as the trial told it, all of its item scores in
        it.
        """
        latest: dict[int, TrialReport] = {}
        for event in self.events:
            if event.kind == "proposed":
                yield event
                continue
            latest[event.number] = event.report.after(latest.get(event.number))
            # Whole again, as the searcher and the scheduler heard it.
            yield replace(event, report=latest[event.number])

    @cached_property
    def values(self) -> dict[int, Mapping[str, ParamValue]]:
        """Trial number to parameter set, in the order they were proposed."""
        return {event.number: event.values for event in self.events if event.kind == "proposed"}

    @cached_property
    def latest(self) -> dict[int, TrialReport]:
        """Trial number to the last that it told."""
        return {event.number: event.report for event in self.replayed() if event.kind != "proposed"}

    @cached_property
    def stops(self) -> dict[int, Stop]:
        """Trial number to why it was stopped."""
        return {event.number: event.stop for event in self.events if event.stop is not None}

    @cached_property
    def over(self) -> dict[int, TrialReport]:
        """The trials that are over for good, each with the last that it told."""
        # A trial that the scheduler stopped has no line of its own for its end if the process was killed
        # right then.
        ended = [event.number for event in self.events if event.kind == "ended" or event.stop is not None]
        # A trial may have both lines; it counts once, at its first.
        return {number: self.latest[number] for number in dict.fromkeys(ended)}

    @property
    def unfinished(self) -> tuple[int, ...]:
        """The trials that are not over."""
        return tuple(number for number in self.values if number not in self.over)


def _event(row: JsonMapping) -> Event | None:
    """A line as an event; None for what is none."""
    kind = next((kind for kind in _KINDS if kind in row), None)
    values, stop = row.get("values", {}), row.get("stop")
    if kind is None or not isinstance(row[kind], int) or not isinstance(values, dict):
        return None
    stopped: Stop | None = None
    try:
        if "result" in row:  # as versions before 0.2 wrote it
            report = old_report(row["result"])
            if stop is True:
                stopped = Stop("scheduler", report.items)
        else:
            report = TrialReport.from_dict(row.get("report", {}))
            if stop is not None:
                stopped = read_as(Stop, stop)
    except ForeignError:
        return None
    return Event(kind, row[kind], values, report, stopped)
