"""What the parameters do, and how the search went: drawings of each search of the report."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.exceptions import ConfigurationError
from pixaris.report.charts import contour, course, parallel, parameters
from pixaris.report.charts.drawing import Chart
from pixaris.report.charts.subject import Measured, Subject
from pixaris.report.data import Facts
from pixaris.report.html import Markup, join, tag
from pixaris.report.model import Report, SearchPart
from pixaris.statistics.intervals import MeanInterval

# The most important ones: more would be scrolled past.
_MOST_SLICES = 12
_NONE = MeanInterval(0.0, None, None, 0)
"""The difference of the baseline to itself."""


def subject_of(report: Report, facts: Sequence[Facts], search: int) -> Subject:
    """What the charts of a search draw."""
    part = report.parts[search]
    result = part.result
    paired = result.baseline is not None and result.baseline.scored > 0
    sets = []
    for one in facts:
        row = report.sets[one.place]
        if row.search != search or row.trial.objective is None:
            continue
        gain = one.gain
        if not paired:
            gain = one.own
        elif row.trial.number == 0:
            gain = _NONE
        if gain is not None:
            sets.append(Measured(one.place, row.trial, gain))
    shares, unknown = importance_of(part)
    best = report.parts[search].best
    return Subject(
        sets=sets,
        metric=result.metric,
        higher_is_better=result.direction == "max",
        whole=len(result.items),
        winner=None if best is None else best.number,
        paired=paired,
        space=part.manifest.get("space", {}),
        importance=shares,
        unknown=unknown,
    )


def importance_of(part: SearchPart) -> tuple[dict[str, float], str]:
    """The parameters' importance, or why there is none yet."""
    try:
        return part.result.importance(), ""
    except ConfigurationError as error:
        return {}, str(error)


def parameter_charts(report: Report, subject: Subject, prefix: str, search: int) -> list[Chart]:
    """The charts of a search's parameters."""
    found = [
        course.pareto(subject, report.parts[search].result, prefix),
        parameters.importance(subject, prefix),
        course.best_so_far(subject, prefix),
        contour.contour(subject, prefix),
        *parameters.slices(subject, prefix)[:_MOST_SLICES],
        parallel.parallel(subject, prefix),
    ]
    return [chart for chart in found if chart is not None]


def charts_section(
    titles: Sequence[str], groups: Sequence[Sequence[Chart]], unknown: Sequence[str]
) -> Markup:
    """The section of parameters.

    Args:
        titles: Of the searches.
        groups: The charts of each.
        unknown: Why importance cannot be told, for each.
    """
    parts: list[Markup] = []
    for title, charts, why in zip(titles, groups, unknown, strict=True):
        if len(titles) > 1:
            parts.append(tag("h3", title))
        if why:
            parts.append(tag("p", f"Importance {why}.", class_="note"))
        parts.append(tag("div", *map(figure, charts), class_="charts"))
    legend = "◆ winner, ■ baseline, ● through all items, ○ stopped early. A chart that has the focus is"
    keys = " walked through with the arrow keys."
    return tag(
        "section",
        tag("h2", "Parameters"),
        tag("p", legend, tag("span", keys, class_="scripted"), class_="note"),
        *parts,
        id="parameters",
    )


def figure(chart: Chart) -> Markup:
    """A chart with its title and note."""
    if 'class="chart wide"' in chart.svg:
        wide = "wide"
    else:
        wide = None
    if chart.note:
        note = tag("span", chart.note, class_="note")
    else:
        note = None
    return tag("figure", tag("figcaption", tag("b", chart.title), note), chart.svg, class_=wide)


def race_section(report: Report, charts: Sequence[Chart | None]) -> Markup:
    """The section of what was stopped when."""
    parts: list[Markup] = []
    for part, chart in zip(report.parts, charts, strict=True):
        if len(report.parts) > 1:
            parts.append(tag("h3", part.title))
        parts.append(tag("p", saved_words(part)))
        if chart is not None:
            parts.append(tag("div", figure(chart), class_="charts"))
    return tag("section", tag("h2", "The race"), join(*parts), id="race")


def saved_words(part: SearchPart) -> str:
    """How many images were made, and how many all sets over all items would have been."""
    result = part.result
    seeds = part.manifest.get("seeds")
    if isinstance(seeds, int) and seeds > 0:
        each = seeds
    else:
        each = 1
    full = len(result.trials) * len(result.items) * each
    made = sum(trial.items for trial in result.trials) * each
    stopped = [trial for trial in result.trials if trial.status == "stopped"]
    if not full:
        return "No set has been tried yet."
    words = f"{len(stopped)} of {len(result.trials)} sets were stopped before their last item."
    if made >= full:
        return f"{words} All {full} images of a full grid were made."
    return f"{words} {made} of the {full} images of a full grid were made: {1 - made / full:.0%} were saved."
