"""How the search went: the best so far over images, how far each set came, and the Pareto front."""

from __future__ import annotations

from pixaris.report.charts.drawing import Chart, Frame, Marks, Point, line
from pixaris.report.charts.scale import Scale, of_values
from pixaris.report.charts.subject import Subject
from pixaris.report.html import Markup, tag
from pixaris.results.records import SearchResult

_TALLEST = 520.0
_BAR = 14.0


def best_so_far(subject: Subject, prefix: str) -> Chart | None:
    """The gain of the best whole set so far, over the images made until its end, in the order of trials."""
    if len(subject.sets) < 2:
        return None
    frame = Frame()
    steps: list[tuple[float, float]] = []
    ends: list[tuple[float, float, int]] = []
    images, best = 0, None
    # By number, which is the order in which they were proposed: sets side by side have no other common one.
    for one in sorted(subject.sets, key=lambda one: one.trial.number):
        images += one.trial.items
        ends.append((images, one.gain.mean, one.place))
        if subject.is_whole(one.trial) and (best is None or subject.better(one.gain.mean, best)):
            if best is not None:
                # The old best goes on until here: a step, not a slope.
                steps.append((images, best))
            best = one.gain.mean
            steps.append((images, best))
    if best is None:
        return None
    steps.append((images, best))
    x = frame.across(Scale(0, images))
    y = frame.upward(of_values([gain for _, gain, _ in ends]))
    marks, whole = Marks(), {one.place: subject.is_whole(one.trial) for one in subject.sets}
    for count, gain, place in ends:
        across, up = x.at(count), y.at(gain)
        if across is not None and up is not None:
            marks.add(Point(across, up, place), whole=whole[place])
    path = line([(x.at(count) or 0.0, y.at(gain) or 0.0) for count, gain in steps], "curve")
    identity = f"{prefix}best"
    svg = frame.drawing(
        frame.axes(x, y, "images", subject.gain_label),
        *marks.drawn(),
        *([path] if path else []),
        label=f"Best so far: {subject.gain_label} over images",
        data_chart=identity,
    )
    return Chart(identity, "Best so far", svg, "hollow: stopped before its last item", tuple(marks.points))


def race(subject: Subject, prefix: str) -> Chart | None:
    """How many items each set came through, best first."""
    if not subject.sets or not subject.whole:
        return None
    bar = min(_BAR, _TALLEST / len(subject.sets))
    # Names need as much height as their letters.
    labelled = bar >= 11
    frame = Frame(760, len(subject.sets) * bar + 46, left=96 if labelled else 20, bottom=38, top=8)
    x = frame.across(Scale(0, subject.whole))
    whole, stopped, points = "", "", []
    parts: list[Markup] = []
    for row, one in enumerate(subject.sets):
        top = frame.top + row * bar
        end = x.at(one.trial.items) or x.start
        # One path for all bars of a kind: a thousand elements would make the page slow.
        path = f"M{x.start:.1f} {top:.2f}H{end:.1f}v{bar * 0.8:.2f}H{x.start:.1f}z"
        if subject.is_whole(one.trial):
            whole += path
        else:
            stopped += path
        points.append(Point(end, top + bar * 0.4, one.place))
        if labelled:
            parts.append(tag("text", one.trial.name, x=x.start - 6, y=top + bar * 0.72, class_="tick end"))
    parts.append(tag("path", class_="bar", d=whole))
    parts.append(tag("path", class_="bar stopped", d=stopped))
    floor = frame.height - frame.bottom
    parts += [tag("text", label, x=at, y=floor + 16, class_="tick mid") for at, label in x.ticks(8)]
    middle = (x.start + x.end) / 2
    parts.append(tag("text", "items", x=middle, y=frame.height - 5, class_="name mid"))
    identity = f"{prefix}race"
    svg = frame.drawing(
        *parts, label="Items that each set came through", class_="chart wide", data_chart=identity
    )
    return Chart(identity, "Items each set came through, best first", svg, "", tuple(points))


def pareto(subject: Subject, result: SearchResult, prefix: str) -> Chart | None:
    """The first two objectives against each other, with the front; None for a single objective."""
    if not result.others:
        return None
    first, second = result.objectives[0], result.objectives[1]
    drawn = [
        one
        for one in subject.sets
        if subject.is_whole(one.trial) and {first.metric, second.metric} <= one.trial.scores.keys()
    ]
    if not drawn:
        return None
    frame = Frame(height=260)
    x = frame.across(of_values([one.trial.scores[first.metric] for one in drawn]))
    y = frame.upward(of_values([one.trial.scores[second.metric] for one in drawn]))
    marks, at = Marks(), {}
    for one in drawn:
        across, up = x.at(one.trial.scores[first.metric]), y.at(one.trial.scores[second.metric])
        if across is not None and up is not None:
            at[one.trial.number] = (across, up)
            marks.add(Point(across, up, one.place), whole=True, kind=subject.kind(one.trial))
    front = line(sorted(at[trial.number] for trial in result.pareto() if trial.number in at), "curve")
    names = [f"{objective.metric} ({_wanted(objective.direction)})" for objective in (first, second)]
    identity = f"{prefix}pareto"
    svg = frame.drawing(
        frame.axes(x, y, *names),
        *([front] if front else []),
        *marks.drawn(),
        label=f"Pareto front of {first.metric} and {second.metric}",
        data_chart=identity,
    )
    others = len(result.objectives) - 2
    if others:
        note = f"{others} further objectives are not drawn"
    else:
        note = ""
    return Chart(identity, "Pareto front: the best compromises", svg, note, tuple(marks.points))


def _wanted(direction: str) -> str:
    if direction == "max":
        return "higher is better"
    return "lower is better"
