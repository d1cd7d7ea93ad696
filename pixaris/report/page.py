"""The whole file: sections, styles, scripts and pictures, with a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from pixaris.report.charts import course
from pixaris.report.charts.drawing import Chart
from pixaris.report.data import Facts, Originals, data_of, facts_of
from pixaris.report.gallery import Gallery
from pixaris.report.html import Markup, join, json_script, tag
from pixaris.report.model import Report
from pixaris.report.sections import charts as drawn
from pixaris.report.sections.endpoints import endpoints_section
from pixaris.report.sections.overview import comparison, overview
from pixaris.report.sections.reproduce import reproduce_section
from pixaris.report.sections.verdict import verdict

STYLES = ("widgets.css", "report.css")
SCRIPTS = ("widgets.js", "report.js")
_SECTIONS = {
    "verdict": "Verdict",
    "overview": "Sets",
    "compare": "Comparison",
    "parameters": "Parameters",
    "race": "Race",
    "endpoints": "Endpoints",
    "reproduce": "Reproduce",
}


@dataclass(frozen=True)
class Written:
    """When a file is written.

    Attributes:
        at: Unix time.
        every: Seconds until the next one, where the search still runs; else 0.
    """

    at: float
    every: float = 0.0


def page(report: Report, gallery: Gallery, originals: Originals, written: Written) -> Iterator[bytes]:
    """The file, piece by piece: together they may be large."""
    styles, scripts = _static(STYLES), _static(SCRIPTS)
    title = " · ".join(part.title for part in report.parts)
    head = join(
        tag("meta", charset="utf-8"),
        _policy(styles, scripts),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} – Pixaris report"),
        *(tag("style", Markup(text)) for text in styles),
    )
    facts = facts_of(report)
    sections, charts = _sections(report, facts, gallery)
    data = data_of(report, facts, gallery, charts, originals)
    since = f'data-written="{written.at:.0f}" data-every="{written.every:.0f}"'
    yield f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body {since}>'.encode()
    yield join(_header(report, title, written), _navigation(), tag("main", *sections)).encode()
    # After the sections, so that the page can be read before its scripts have all they need.
    yield json_script("data", data).encode()
    for number, chunk in enumerate(gallery.texts()):
        yield json_script(f"pictures-{number}", chunk).encode()
    yield join(*(tag("script", Markup(text)) for text in scripts)).encode()
    yield b"</body></html>\n"


def _static(names: Sequence[str]) -> list[str]:
    folder = files("pixaris.report") / "static"
    return [f"\n{(folder / name).read_text(encoding='utf-8')}" for name in names]


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> Markup:
    """Nothing is fetched, and only our own scripts and styles count."""
    rules = [
        "default-src 'none'",
        # 'self' for the originals, which lie beside the file.
        "img-src data: 'self'",
        f"style-src {' '.join(map(_hash, styles))}",
        f"script-src {' '.join(map(_hash, scripts))}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return tag("meta", http_equiv="Content-Security-Policy", content="; ".join(rules))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _header(report: Report, title: str, written: Written) -> Markup:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(written.at))
    states = ", ".join(dict.fromkeys(part.result.status for part in report.parts))
    words = f"{states} · written {when}"
    if written.every:
        words += f" · written again about every {written.every:.0f} s while the search runs"
    return tag("header", tag("h1", title), tag("p", words, id="written", class_="note"))


def _navigation() -> Markup:
    links = [tag("li", tag("a", words, href=f"#{name}")) for name, words in _SECTIONS.items()]
    keys = tag("li", tag("button", "Keys (?)", type="button", id="keys"))
    return tag("nav", tag("ul", *links, keys), aria_label="Sections")


def _sections(report: Report, facts: Sequence[Facts], gallery: Gallery) -> tuple[list[Markup], list[Chart]]:
    prefixes = [f"{number}-" for number in range(len(report.parts))]
    subjects = [drawn.subject_of(report, facts, number) for number in range(len(report.parts))]
    groups = [
        drawn.parameter_charts(report, subject, prefix, number)
        for number, (subject, prefix) in enumerate(zip(subjects, prefixes, strict=True))
    ]
    races = [course.race(subject, prefix) for subject, prefix in zip(subjects, prefixes, strict=True)]
    titles = [part.title for part in report.parts]
    sections = [
        verdict(report, gallery),
        overview(report, facts),
        comparison(report),
        drawn.charts_section(titles, groups, [subject.unknown for subject in subjects]),
        drawn.race_section(report, races),
        endpoints_section(report),
        reproduce_section(report),
    ]
    every = [chart for group in groups for chart in group]
    return sections, [*every, *(race for race in races if race is not None)]
