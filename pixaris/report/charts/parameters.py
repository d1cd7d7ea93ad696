"""One parameter at a time: how much it matters, and the score along its values."""

from __future__ import annotations

from pixaris.report.charts.drawing import Chart, Frame, Marks, Point, bars
from pixaris.report.charts.scale import of_values
from pixaris.report.charts.subject import Subject
from pixaris.report.html import Markup, tag
from pixaris.words import number

_ROW = 24.0
_NAME = 120.0
_WIDTH = 360.0
_NARROW = 200
"""Sets above which intervals are left out: they would hide each other."""


def importance(subject: Subject, prefix: str) -> Chart | None:
    """A bar for each parameter: its share of the scores' variance; None while it cannot be told."""
    if not subject.importance:
        return None
    frame = Frame(_WIDTH, len(subject.importance) * _ROW + 4)
    # The longest bar fills the width: shares are read from the numbers, the bars compare.
    most = max(max(subject.importance.values()), 1e-9)
    parts: list[Markup] = []
    for row, (name, share) in enumerate(subject.importance.items()):
        top = row * _ROW + 2
        length = share / most * (_WIDTH - _NAME - 56)
        if len(name) <= 18:
            short = name
        else:
            short = f"{name[:17]}…"
        parts.append(tag("text", short, x=_NAME - 8, y=top + 15, class_="tick end"))
        parts.append(tag("rect", x=_NAME, y=top + 3, width=max(length, 1.0), height=_ROW - 8, class_="bar"))
        parts.append(tag("text", f"{share:.0%}", x=_NAME + length + 6, y=top + 15, class_="tick"))
    words = ", ".join(f"{name} {share:.0%}" for name, share in subject.importance.items())
    svg = frame.drawing(*parts, label=f"Importance: {words}")
    note = f"share of what parameters explain of {subject.metric} (fANOVA)"
    return Chart(f"{prefix}importance", "Importance", svg, note)


def slices(subject: Subject, prefix: str) -> list[Chart]:
    """For each parameter that varies: every set's gain over the parameter's value."""
    return [_slice(subject, name, f"{prefix}slice-{at}") for at, name in enumerate(subject.parameters)]


def _slice(subject: Subject, name: str, identity: str) -> Chart:
    frame = Frame()
    drawn = [one for one in subject.sets if name in one.values]
    x = frame.across(subject.scale(name))
    # Stopped sets have wide intervals, which would press all others together.
    shown = [one for one in drawn if subject.is_whole(one.trial) and len(drawn) <= _NARROW]
    ends = [end for one in shown for end in (one.gain.low, one.gain.high) if end is not None]
    y = frame.upward(of_values([*(one.gain.mean for one in drawn), *ends]))
    marks, whiskers = Marks(), []
    for one in drawn:
        across, up = x.at(one.values[name]), y.at(one.gain.mean)
        if across is None or up is None:
            continue
        whole = subject.is_whole(one.trial)
        marks.add(Point(across, up, one.place), whole=whole, kind=subject.kind(one.trial))
        low, high = y.at(one.gain.low), y.at(one.gain.high)
        if one in shown and low is not None and high is not None:
            whiskers.append((across, low, high))
    stems = bars(whiskers, "whisker")
    parts = [frame.axes(x, y, name, subject.gain_label), *([stems] if stems else []), *marks.drawn()]
    winner = next((one for one in drawn if one.trial.number == subject.winner), None)
    if winner is None:
        end = ""
    else:
        end = x.edge(winner.values[name])
    note = ""
    if winner is not None and end:
        value = number(winner.values[name])
        note = f"▸ the winner ({value}) is at the {end} end of the domain: better values may lie beyond it"
    svg = frame.drawing(*parts, label=f"{subject.gain_label} over {name}", data_chart=identity)
    return Chart(identity, name, svg, note, tuple(marks.points))
