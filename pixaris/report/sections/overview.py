"""The sets, best first: one row each, which scripts fill when it comes near."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.report.data import SIGNS, Facts, gain_words, line_of
from pixaris.report.html import Markup, join, tag
from pixaris.report.model import Report
from pixaris.words import number


def overview(report: Report, facts: Sequence[Facts]) -> Markup:
    """The section."""
    if report.metrics:
        metric = report.metrics[0]
    else:
        metric = ""
    rows = []
    for one in facts:
        words = line_of(one, report.sets[one.place], metric)
        rows.append(tag("li", words, class_="set", data_set=one.place, tabindex=-1))
    if len(report.parts) == 1:
        head = "Sets"
    else:
        head = "Sets of all searches"
    return tag(
        "section",
        tag("h2", head),
        tag("p", _explained(report), class_="note"),
        tag("div", id="set-tools", class_="tools"),
        tag("p", id="set-count", class_="note", role="status"),
        tag("ol", *rows, id="sets", class_="rows"),
        # Rows of the list are filled by scripts; this says the same without them.
        tag("noscript", _table(report, facts)),
        id="overview",
    )


def _explained(report: Report) -> str:
    per_item = "± is half of the 95 % interval over the items"
    if len(report.parts) > 1:
        return (
            f"Ranked over the common items; {per_item}. Marks compare a set with its own search's baseline."
        )
    return f"{per_item[0].upper()}{per_item[1:]}. Marks compare a set with the baseline, item by item."


def _table(report: Report, facts: Sequence[Facts]) -> Markup:
    """The same as a table, for readers without scripts."""
    names = list(dict.fromkeys(name for row in report.sets for name in row.trial.values))
    heads = ["rank", "set", "status", *report.metrics, "against the baseline", *names]
    rows = []
    for one in facts:
        row = report.sets[one.place]
        means = [report.mean(row, metric) for metric in report.metrics]
        if one.gain is None:
            mark = ""
        else:
            mark = f"{SIGNS[one.mark]} {gain_words(one.gain)}"
        values = [number(row.trial.values[name]) if name in row.trial.values else "" for name in names]
        cells = [
            *(str(one.place + 1), " ".join(filter(None, (one.name, one.role)))),
            row.trial.status if not one.stop else one.stop,
            *("none" if mean is None else f"{mean:.4f}" for mean in means),
            *(mark, *values),
        ]
        rows.append(tag("tr", *(tag("td", cell) for cell in cells)))
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
        class_="values",
    )
    return join(tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="All sets"))


def comparison(report: Report) -> Markup:
    """The section that holds items side by side; it is made by scripts."""
    rows = [
        tag("li", name, class_="item", data_item=place, tabindex=-1)
        for place, name in enumerate(report.items)
    ]
    prompt = report.first.prompt
    return tag(
        "section",
        tag("h2", "Comparison"),
        tag("p", f"Prompt: {prompt}", class_="prompt") if prompt else None,
        tag("noscript", tag("p", "The images are shown where scripts may run.", class_="note")),
        tag("div", id="compare-tools", class_="tools"),
        tag("p", id="item-count", class_="note", role="status"),
        tag("ol", *rows, id="items", class_="rows"),
        id="compare",
    )
