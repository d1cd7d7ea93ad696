"""What all charts are made of: a frame with axes, marks in few elements, and where their tooltips are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pixaris.report.charts.scale import Scale
from pixaris.report.html import Markup, join, tag

_RADIUS = 3.5


@dataclass(frozen=True)
class Point:
    """A place in a chart that belongs to a set.

    Attributes:
        x: Coordinate from the left.
        y: Coordinate from the top.
        place: The set's place in the report.
    """

    x: float
    y: float
    place: int


@dataclass(frozen=True)
class Chart:
    """A drawing.

    Attributes:
        identity: Its element's id.
        title: What it shows.
        note: What is to be known besides, or "".
        svg: The drawing.
        points: Where its sets are; the nearest one has a tooltip.
    """

    identity: str
    title: str
    svg: Markup
    note: str = ""
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Frame:
    """The space of a drawing, with two axes.

    Attributes:
        width: In units of the drawing.
        height: In units of the drawing.
        left: Space for the labels of the vertical axis.
        bottom: Space for those of the horizontal one.
    """

    width: float = 360.0
    height: float = 220.0
    left: float = 48.0
    bottom: float = 38.0
    top: float = 12.0
    right: float = 12.0

    def across(self, scale: Scale) -> Scale:
        """An axis from left to right."""
        return scale.between(self.left, self.width - self.right)

    def upward(self, scale: Scale) -> Scale:
        """An axis from bottom to top."""
        return scale.between(self.height - self.bottom, self.top)

    def axes(self, x: Scale, y: Scale, x_label: str, y_label: str) -> Markup:
        """Grid, labels and names of two axes."""
        floor, edge = self.height - self.bottom, self.width - self.right
        parts: list[Markup] = []
        grid = [f"M{self.left:.1f} {at:.1f}H{edge:.1f}" for at, _ in y.ticks()]
        parts.append(tag("path", class_="grid", d="".join(grid)))
        parts += [tag("text", label, x=self.left - 6, y=at + 4, class_="tick end") for at, label in y.ticks()]
        parts += [tag("text", label, x=at, y=floor + 15, class_="tick mid") for at, label in _apart(x)]
        parts.append(tag("path", class_="axis", d=f"M{self.left:.1f} {floor:.1f}H{edge:.1f}"))
        middle = (self.left + edge) / 2
        parts.append(tag("text", x_label, x=middle, y=self.height - 5, class_="name mid"))
        parts.append(tag("text", y_label, x=self.left, y=self.top - 2, class_="name"))
        return join(*parts)

    def drawing(self, *parts: Markup, label: str, class_: str = "chart", data_chart: str = "") -> Markup:
        """The whole drawing."""
        return tag(
            "svg",
            *parts,
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            role="img",
            aria_label=label,
            class_=class_,
            data_chart=data_chart or None,
        )


def _apart(scale: Scale, gap: float = 6.2) -> list[tuple[float, str]]:
    """Ticks whose labels do not run into each other, at about six units a letter."""
    shown: list[tuple[float, str]] = []
    until = -1e9
    for at, label in scale.ticks():
        if len(label) <= 14:
            word = label
        else:
            word = f"{label[:13]}…"
        half = len(word) * gap / 2
        if at - half >= until:
            shown.append((at, word))
            until = at + half + gap
    return shown


def dots(points: Iterable[tuple[float, float]], class_: str, radius: float = _RADIUS) -> Markup | None:
    """Circles as one path, however many; None without any."""
    # Two half circles: SVG has no arc that ends where it begins.
    arc = f"a{radius:g} {radius:g} 0 1 0 {2 * radius:g} 0a{radius:g} {radius:g} 0 1 0 {-2 * radius:g} 0"
    path = "".join(f"M{x - radius:.1f} {y:.1f}{arc}" for x, y in points)
    if path:
        return tag("path", class_=class_, d=path)
    return None


def bars(lines: Iterable[tuple[float, float, float]], class_: str) -> Markup | None:
    """Upright lines ``(x, from, to)`` as one path; None without any."""
    path = "".join(f"M{x:.1f} {low:.1f}V{high:.1f}" for x, low, high in lines)
    if path:
        return tag("path", class_=class_, d=path)
    return None


def line(points: Sequence[tuple[float, float]], class_: str) -> Markup | None:
    """Points joined by a line; None for fewer than two."""
    if len(points) < 2:
        return None
    return tag("path", class_=class_, d="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points))


def star(x: float, y: float, class_: str) -> Markup:
    """The mark of the winner: a diamond, which is told from a dot without colour."""
    size = 6.5
    path = f"M{x:.1f} {y - size:.1f}l{size} {size}l{-size} {size}l{-size} {-size}z"
    return tag("path", class_=class_, d=path)


def square(x: float, y: float, class_: str) -> Markup:
    """The mark of the baseline."""
    return tag("path", class_=class_, d=f"M{x - 4.5:.1f} {y - 4.5:.1f}h9v9h-9z")


@dataclass
class Marks:
    """Sets in a chart, sorted by how they stand, so that each kind is one element."""

    finished: list[tuple[float, float]] = field(default_factory=list)
    stopped: list[tuple[float, float]] = field(default_factory=list)
    special: list[Markup] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def add(self, at: Point, *, whole: bool, kind: str = "") -> None:
        """Add a set.

        Args:
            at: Where, and which.
            whole: Whether it went through all items.
            kind: "winner", "baseline" or "".
        """
        self.points.append(at)
        if kind == "winner":
            self.special.append(star(at.x, at.y, "winner"))
        elif kind == "baseline":
            self.special.append(square(at.x, at.y, "baseline"))
        else:
            (self.finished if whole else self.stopped).append((at.x, at.y))

    def drawn(self) -> list[Markup]:
        """All of them, the special ones on top."""
        found = [dots(self.stopped, "dot stopped"), dots(self.finished, "dot")]
        return [*(mark for mark in found if mark is not None), *self.special]
