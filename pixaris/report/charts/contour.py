"""The two most important parameters together: where in their plane the good sets lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pixaris.report.charts.drawing import Chart, Frame, Marks, Point
from pixaris.report.charts.scale import Scale
from pixaris.report.charts.subject import Measured, Subject
from pixaris.report.html import Markup, tag

# Squares along an axis: finer ones would promise more than the sets can tell.
_CELLS = 24
# As many as can be told apart, and as many elements of the drawing.
_SHADES = 8
_WIDTH = 0.14
"""Of the Gaussian that smooths, in parts of an axis."""
_SUPPORT = 0.6
"""Weight of sets nearby that a place needs: elsewhere nothing is known, and nothing is painted."""
_FEWEST = 6

Plane = npt.NDArray[np.float64]


def contour(subject: Subject, prefix: str) -> Chart | None:
    """The gain over the plane of the two most important parameters that are numbers, smoothed.

    A mean of the sets weighted by a Gaussian of their distance (Nadaraya–Watson); the sets themselves are
    drawn on it.
    """
    scales = {name: subject.scale(name) for name in subject.parameters}
    names = [name for name in subject.parameters if not scales[name].options][:2]
    # A surface through fewer would be invention.
    if len(names) < 2 or len(subject.sets) < _FEWEST:
        return None
    frame = Frame(height=260)
    x, y = frame.across(scales[names[0]]), frame.upward(scales[names[1]])
    placed = [(one, at) for one in subject.sets if (at := _place(one, names, x, y)) is not None]
    if len(placed) < _FEWEST:
        return None
    parts = _field(placed, x, y, higher=subject.higher_is_better)
    marks = Marks()
    for one, (across, up) in placed:
        point = Point(x.start + across * (x.end - x.start), y.start + up * (y.end - y.start), one.place)
        marks.add(point, whole=subject.is_whole(one.trial), kind=subject.kind(one.trial))
    identity = f"{prefix}contour"
    svg = frame.drawing(
        *parts,
        frame.axes(x, y, names[0], names[1]),
        *marks.drawn(),
        label=f"{subject.gain_label} over {names[0]} and {names[1]}",
        data_chart=identity,
    )
    note = "darker is better; smoothed from the sets that are drawn, blank where none is near"
    return Chart(identity, f"{names[0]} and {names[1]}", svg, note, tuple(marks.points))


def _place(one: Measured, names: list[str], x: Scale, y: Scale) -> tuple[float, float] | None:
    across, up = x.share(one.values.get(names[0])), y.share(one.values.get(names[1]))
    if across is None or up is None:
        return None
    return (across, up)


def _field(
    placed: list[tuple[Measured, tuple[float, float]]], x: Scale, y: Scale, *, higher: bool
) -> list[Markup]:
    where = np.array([at for _, at in placed])
    gains = np.array([one.gain.mean for one, _ in placed])
    centres = (np.arange(_CELLS) + 0.5) / _CELLS
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    weights: Plane = np.exp(-((grid - where) ** 2).sum(axis=-1) / (2 * _WIDTH**2))
    support = weights.sum(axis=1)
    # Where nothing is near, the weight is nearly 0; such places are not painted below.
    smooth = (weights @ gains) / np.maximum(support, 1e-12)
    known = support >= _SUPPORT
    if not known.any():
        return []
    low, high = smooth[known].min(), smooth[known].max()
    if high > low:
        shares = (smooth - low) / (high - low)
    else:
        shares = np.ones_like(smooth)
    shades = np.minimum(((shares if higher else 1 - shares) * _SHADES).astype(int), _SHADES - 1)
    width, height = (x.end - x.start) / _CELLS, (y.end - y.start) / _CELLS
    parts = []
    for shade in range(_SHADES):
        cells = np.flatnonzero(known & (shades == shade))
        corners = [(x.start + at // _CELLS * width, y.start + at % _CELLS * height) for at in cells]
        path = "".join(
            f"M{left:.1f} {top:.1f}h{width:.2f}v{height:.2f}h{-width:.2f}z" for left, top in corners
        )
        if path:
            parts.append(tag("path", class_=f"area shade-{shade}", d=path))
    return parts
