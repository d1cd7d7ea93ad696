"""All parameters at once: every set is a line through its values."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.report.charts.drawing import Chart, Frame, Point, line
from pixaris.report.charts.scale import of_values
from pixaris.report.charts.subject import Measured, Subject
from pixaris.report.html import Markup, tag

# As on the other charts, so that a shade means the same on all of them.
_SHADES = 8
_MOST = 9
"""Axes that one drawing holds, the score's besides."""


def parallel(subject: Subject, prefix: str) -> Chart | None:
    """Parallel coordinates, the lines shaded by gain; None with fewer than two parameters."""
    names = subject.parameters[:_MOST]
    if len(names) < 2 or len(subject.sets) < 2:
        return None
    frame = Frame(width=760, height=270, left=56, right=56, top=30, bottom=30)
    gains = [one.gain.mean for one in subject.sets]
    axes = [frame.upward(subject.scale(name)) for name in names]
    axes.append(frame.upward(of_values(gains, margin=0.02)))
    step = (frame.width - frame.left - frame.right) / (len(axes) - 1)
    places = [frame.left + step * at for at in range(len(axes))]

    def path(one: Measured) -> list[tuple[float, float]]:
        found = []
        for across, axis, name in zip(places, axes, [*names, ""], strict=True):
            if name:
                up = axis.at(one.values.get(name))
            else:
                up = axis.at(one.gain.mean)
            if up is not None:
                found.append((across, up))
        return found

    lines = {one.place: path(one) for one in subject.sets}
    parts: list[Markup] = []
    for shade in range(_SHADES):
        drawn = [lines[one.place] for one in subject.sets if _shade(subject, one, gains) == shade]
        data = "".join(map(_outline, filter(None, drawn)))
        if data:
            parts.append(tag("path", class_=f"strand shade-{shade}", d=data))
    best = next((one for one in subject.sets if one.trial.number == subject.winner), None)
    if best:
        winner = line(lines[best.place], "strand winner-line")
    else:
        winner = None
    parts += [winner] if winner else []
    if subject.paired:
        gain = f"Δ {subject.metric}"
    else:
        gain = subject.metric
    for across, axis, name in zip(places, axes, [*names, gain], strict=True):
        parts += _axis(frame, across, axis.ticks(4), name)
    svg = frame.drawing(
        *parts,
        label=f"Parallel coordinates of {', '.join(names)} and {subject.gain_label}",
        class_="chart wide",
        data_chart=f"{prefix}parallel",
    )
    left = len(subject.parameters) - len(names)
    if left:
        note = f"the {left} least important parameters are left out"
    else:
        note = ""
    points = [Point(*lines[one.place][-1], one.place) for one in subject.sets if lines[one.place]]
    return Chart(f"{prefix}parallel", "All parameters of every set", svg, note, tuple(points))


def _outline(points: Sequence[tuple[float, float]]) -> str:
    """A line through points, as SVG writes it."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _shade(subject: Subject, one: Measured, gains: list[float]) -> int:
    low, high = min(gains), max(gains)
    if high == low:
        return _SHADES - 1
    share = (one.gain.mean - low) / (high - low)
    if not subject.higher_is_better:
        share = 1 - share
    return min(int(share * _SHADES), _SHADES - 1)


def _axis(frame: Frame, across: float, ticks: list[tuple[float, str]], name: str) -> list[Markup]:
    if len(name) <= 13:
        short = name
    else:
        short = f"{name[:12]}…"
    floor = frame.height - frame.bottom
    found = [
        tag("path", class_="axis", d=f"M{across:.1f} {frame.top:.1f}V{floor:.1f}"),
        tag("text", short, x=across, y=frame.top - 12, class_="name mid"),
    ]
    labels = [(at, label if len(label) <= 12 else f"{label[:11]}…") for at, label in ticks]
    return found + [tag("text", label, x=across + 4, y=at + 4, class_="tick halo") for at, label in labels]
