"""The first screen: the answer in words, and the picture that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pixaris.report.charts.scale import of_domain
from pixaris.report.commands import pasteable
from pixaris.report.gallery import Gallery
from pixaris.report.html import Markup, join, tag
from pixaris.report.model import Report, SearchPart, SetRow
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.results.verdict import Verdict, verdict_of
from pixaris.words import credits, duration, number


@dataclass(frozen=True)
class Shown:
    """The item that tells two sets apart best.

    Attributes:
        item: Its place in the report.
        before: The baseline, or the winner where the baseline won.
        after: The winner, or the best of the other sets.
        gains: The difference of each item that both have, better is more.
    """

    item: int
    before: SetRow
    after: SetRow
    gains: dict[int, float]


def verdict(report: Report, gallery: Gallery) -> Markup:
    """The section."""
    if len(report.parts) > 1:
        return tag("section", tag("h2", "Verdicts"), *_several(report), id="verdict", class_="verdict")
    part = report.first
    answer = verdict_of(part.result)
    shown = most_telling(report)
    return tag(
        "section",
        tag("h2", "Verdict"),
        *_words(part, answer),
        _evidence(report, gallery, shown, _parameters(part, answer)),
        _next_steps(part, answer),
        id="verdict",
        class_=f"verdict {answer.kind.replace(' ', '-')}",
    )


def _words(part: SearchPart, answer: Verdict) -> list[Markup]:
    lines = [*answer.lines, *spent(part.result)]
    found = [tag("p", answer.sentence, class_="sentence")]
    if lines:
        found.append(tag("ul", *(tag("li", line) for line in lines), class_="grounds"))
    return found


def spent(result: SearchResult) -> list[str]:
    """What a search cost, and what ended it, a sentence each."""
    stopped = sum(trial.status == "stopped" for trial in result.trials)
    cached = f" ({result.cached} of them from the cache)" if result.cached else ""
    sets = f"{len(result.trials)} sets" + (f", {stopped} of them stopped early" if stopped else "")
    charged = credits(result.cost, result.unaccounted)
    cost = f" and {charged}" if charged else ""
    found = [f"It took {result.images} images{cached} of {sets}, {duration(result.seconds)}{cost}."]
    if result.budget:
        found.append(f"Budget: {result.budget.compare(result.spent)}.")
    if result.reason:
        found.append(f"The search was {result.status}: {result.reason}.")
    elif result.status == "running":
        found.append("The search is still running: this is how it stands now.")
    return found


def _next_steps(part: SearchPart, answer: Verdict) -> Markup | None:
    if not answer.next_steps:
        return None
    rows = []
    for step in answer.next_steps:
        command = tag("code", pasteable(step.command), class_="command") if step.command else None
        rows.append(tag("li", step.words, command))
    return join(tag("h3", "What to do now"), tag("ul", *rows, class_="steps"))


def _parameters(part: SearchPart, answer: Verdict) -> Markup | None:
    """The winner's values beside the baseline's."""
    trials = {trial.number: trial for trial in part.result.trials}
    winner = trials.get(-1 if answer.winner is None else answer.winner)
    if winner is None or not winner.values:
        return None
    baseline = trials.get(0)
    rows = []
    for name, value in winner.values.items():
        own = "" if baseline is None or name not in baseline.values else number(baseline.values[name])
        end = of_domain(part.manifest.get("space", {}).get(name, {}), [value]).edge(value)
        remark = f"at the {end} end of its domain" if end and winner.number != 0 else ""
        cells = (tag("td", number(value), class_="strong"), tag("td", own), tag("td", remark))
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    whose = "workflow" if part.manifest.get("workflow") else "baseline"
    heads = (tag("th", head, scope="col") for head in ("parameter", winner.name, whose, ""))
    table = tag(
        "table",
        tag("caption", f"The winner's parameters ({winner.name})"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        class_="values",
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="The winner's parameters")


def most_telling(report: Report) -> Shown | None:
    """The item with the largest gain of winner over baseline, or of the baseline over the best other set."""
    result = report.first.result
    ranking = result.ranking()
    baseline = result.baseline
    if not ranking or baseline is None:
        return None
    winner = ranking[0]
    other = baseline if winner.number != 0 else next((t for t in ranking if t.number != 0), None)
    if other is None:
        return None
    rows = {row.trial.number: row for row in report.sets}
    before, after = (rows[0], rows[winner.number]) if winner.number else (rows[other.number], rows[0])
    gains = _gains(report, before, after)
    shown = [place for place in gains if _has_image(before, place) and _has_image(after, place)]
    if not shown:
        return None
    return Shown(max(shown, key=lambda place: gains[place]), before, after, gains)


def _gains(report: Report, before: SetRow, after: SetRow) -> dict[int, float]:
    metric = report.metrics[0]
    sign = -1.0 if report.first.result.direction == "min" else 1.0
    pairs = enumerate(zip(report.scores(before, metric), report.scores(after, metric), strict=True))
    return {place: sign * (b - a) for place, (a, b) in pairs if a is not None and b is not None}


def _has_image(row: SetRow, place: int) -> bool:
    cell = row.cells.get(place)
    return cell is not None and cell.source is not None


def _evidence(report: Report, gallery: Gallery, shown: Shown | None, values: Markup | None) -> Markup | None:
    """The telling item's pictures, and the winner's values beside them."""
    pictures = [] if shown is None else _pictures(report, gallery, shown)
    return tag("div", *pictures, values, class_="showcase") if pictures else values


def _pictures(report: Report, gallery: Gallery, shown: Shown) -> list[Markup]:
    name = report.items[shown.item]
    metric = report.metrics[0]
    pair = []
    for row in (shown.before, shown.after):
        cell = row.cells[shown.item]
        address = None if cell.source is None else gallery.data_url(cell.source.digest)
        if address is None:
            return []
        score = report.scores(row, metric)[shown.item] or 0.0
        label = f"{_role(row.trial)} {row.trial.name}, {metric} {score:.4f}"
        pair.append(tag("img", src=address, alt=f"{name}, {label}", data_label=label))
    better = sum(gain > 0 for gain in shown.gains.values())
    whose = "largest gain" if shown.after.trial.number else "largest lead"
    many = "all" if better == len(shown.gains) else str(better)
    words = (
        f"{name}: the {whose} of {len(shown.gains)} items."
        f" The {_role(shown.after.trial)} is better on {many} of them."
    )
    given = _given(report, gallery, shown.item)
    compared = tag("figure", tag("div", *pair, class_="pair", data_pair="slider"), tag("figcaption", words))
    return [compared, tag("div", *given, class_="given")]


def _role(trial: TrialResult) -> str:
    return "baseline" if trial.number == 0 else "winner"


def _given(report: Report, gallery: Gallery, place: int) -> list[Markup]:
    """Inputs and references of an item."""
    name = report.items[place]
    pictures = next((item.pictures for item in report.first.pictures.items if item.name == name), {})
    found = []
    for folder, role in report.folders.items():
        address = gallery.data_url(pictures[folder].digest) if folder in pictures else None
        if address is not None:
            image = tag("img", src=address, alt=f"{name}, {role} {folder}")
            found.append(tag("figure", image, tag("figcaption", f"{role}: {folder}")))
    return found


def _several(report: Report) -> Sequence[Markup]:
    """Each search's answer, and their best sets over what they have in common."""
    metrics = report.metrics
    counted = f"{len(report.items)} common items, {len(metrics)} common scores"
    if not report.items or not metrics:
        missing = "items" if not report.items else "scores"
        counted = f"They have no {missing} in common, so their sets cannot be compared."
    heads = ["search", "set", *metrics, "verdict"]
    rows = []
    for number_of, part in enumerate(report.parts):
        answer = verdict_of(part.result)
        best = part.result.best
        row = next(
            (row for row in report.sets if row.search == number_of and row.trial == best),
            None,
        )
        scores = [None if row is None else report.mean(row, metric) for metric in metrics]
        cells = ["none" if score is None else f"{score:.4f}" for score in scores]
        name = "none" if best is None else best.name
        rows.append(
            tag(
                "tr",
                tag("th", part.title, scope="row"),
                *(tag("td", cell) for cell in [name, *cells]),
                tag("td", answer.sentence, class_="prose"),
            )
        )
    table = tag(
        "table",
        tag("caption", f"The best set of each search, over {counted}"),
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
        class_="values",
    )
    return [tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Searches compared")]
