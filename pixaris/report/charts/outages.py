"""When each endpoint was left alone because it had failed, over the time of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixaris.report.charts.drawing import Frame
from pixaris.report.charts.scale import Scale
from pixaris.report.html import Markup, tag
from pixaris.results.evidence.events import Outage

_LANE = 18.0
_BAR = 10.0
_LEAST = 2.0
"""Width of a bar that would be too thin to see."""


def outages_chart(outages: Mapping[str, Sequence[Outage]], seconds: float) -> Markup:
    """A lane for each endpoint, with a bar wherever it had no work.

    Args:
        outages: URL to when it was out.
        seconds: Wall time of the search.
    """
    frame = Frame(760, len(outages) * _LANE + 54, left=190, bottom=38, top=14)
    x = frame.across(Scale(0, seconds))
    floor = frame.height - frame.bottom
    parts: list[Markup] = []
    rails, bars = "", ""
    for lane, (url, spans) in enumerate(outages.items()):
        top = frame.top + lane * _LANE
        middle = top + _BAR / 2
        rails += f"M{x.start:.1f} {middle:.1f}H{x.end:.1f}"
        parts.append(tag("text", url.partition("://")[2], x=x.start - 6, y=middle + 4, class_="tick end"))
        for span in spans:
            begin, end = x.at(span.begin) or x.start, x.at(min(span.end, seconds)) or x.end
            end = max(end, begin + _LEAST)
            bars += f"M{begin:.1f} {top:.1f}H{end:.1f}v{_BAR}H{begin:.1f}z"
    parts.append(tag("path", class_="grid", d=rails))
    parts.append(tag("path", class_="bar out", d=bars))
    parts += [tag("text", label, x=at, y=floor + 16, class_="tick mid") for at, label in x.ticks(8)]
    centre = (x.start + x.end) / 2
    parts.append(tag("text", "seconds since the start", x=centre, y=frame.height - 5, class_="name mid"))
    return frame.drawing(*parts, label="When endpoints were out of work after a failure", class_="chart wide")
