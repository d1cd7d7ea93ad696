"""Where the images were made: how many, how fast, how busy, what failed and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pixaris.report.charts.outages import outages_chart
from pixaris.report.html import Markup, join, tag
from pixaris.report.model import Report, SearchPart
from pixaris.results.endpoints_file import read_endpoints
from pixaris.results.evidence.events import Happened, outages, read_events
from pixaris.results.evidence.items import MadeImage
from pixaris.words import duration

# An endpoint that comes and goes all night would fill the page.
_MOST_EVENTS = 200
_HEADS = ("endpoint", "images", "seconds an image", "busy", "failed attempts", "last failure")


@dataclass
class _Work:
    """What an endpoint did."""

    images: int = 0
    seconds: float = 0.0


def endpoints_section(report: Report) -> Markup:
    """The section."""
    parts: list[Markup] = []
    for number, part in enumerate(report.parts):
        if len(report.parts) > 1:
            parts.append(tag("h3", part.title))
        parts.append(_table(part, _made(report, number)))
        events = read_events(part.paths)
        out = outages(events)
        if out:
            caption = tag("figcaption", "When an endpoint had failed and was given nothing")
            figure = tag("figure", caption, outages_chart(out, part.result.seconds), class_="wide")
            parts.append(tag("div", figure, class_="charts"))
        parts.append(_events(events))
    return tag("section", tag("h2", "Endpoints"), join(*parts), id="endpoints")


def _made(report: Report, search: int) -> Iterator[MadeImage]:
    """The images of all sets of one of the searches."""
    for row in report.sets:
        if row.search == search:
            for cell in row.cells.values():
                yield from cell.row.each


def _table(part: SearchPart, made: Iterable[MadeImage]) -> Markup:
    work: dict[str, _Work] = {}
    cached = 0
    for image in made:
        if image.cached:
            cached += 1
        # What failed has cost time too, but nobody knows how much of it was work.
        elif image.endpoint and image.image:
            of = work.setdefault(image.endpoint, _Work())
            of.images += 1
            of.seconds += image.seconds or 0.0
    states = {status.url: status for status in read_endpoints(part.result.folder)}
    rows = []
    for url in dict.fromkeys([*work, *states]):
        did, state = work.get(url, _Work()), states.get(url)
        if did.images:
            rate = f"{did.seconds / did.images:.3g}"
        else:
            rate = ""
        if part.result.seconds:
            # At most 100 %: an endpoint that works on several at once adds up more seconds than the clock
            # has.
            busy = f"{min(did.seconds / part.result.seconds, 1):.0%}"
        else:
            busy = ""
        if state:
            failed = (str(state.failures), state.last_failure)
        else:
            failed = ("", "")
        cells = (str(did.images), rate, busy, *failed)
        rows.append(tag("tr", tag("th", url, scope="row"), *(tag("td", cell) for cell in cells)))
    if not rows and not cached:
        return tag("p", "No image has been made yet.", class_="note")
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in _HEADS))),
        tag("tbody", *rows),
        class_="values",
    )
    if cached:
        note = tag("p", f"{cached} images were taken from the cache.", class_="note")
    else:
        note = None
    scroll = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Endpoints")
    busy_note = "Busy is the time that an endpoint ran for the images above, of the search's wall time."
    return join(scroll, tag("p", busy_note, class_="note"), note)


def _events(events: Sequence[Happened]) -> Markup:
    if not events:
        return tag("p", "Nothing happened to the endpoints.", class_="note")
    shown = events[:_MOST_EVENTS]
    lines = [tag("li", f"after {duration(event.seconds)}: {event.sentence}") for event in shown]
    more = len(events) - len(shown)
    if more:
        lines.append(tag("li", f"and {more} more in events.jsonl"))
    return tag(
        "details",
        tag("summary", f"{len(events)} events"),
        tag("ul", *lines, class_="events"),
        open=len(events) < 9,
    )
