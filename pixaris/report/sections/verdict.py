"""The first screen: the answer in words, and the picture that shows it."""

from __future__ import annotations

from collections.abc import Sequence

from pixaris.report.charts.scale import of_domain
from pixaris.report.commands import pasteable
from pixaris.report.gallery import Gallery
from pixaris.report.html import Markup, join, tag
from pixaris.report.model import Report, SearchPart
from pixaris.report.telling import Pair, pair_of
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.results.verdict import Verdict
from pixaris.words import credits, duration, number


def verdict(report: Report, gallery: Gallery) -> Markup:
    """The section."""
    if len(report.parts) > 1:
        return tag("section", tag("h2", "Verdicts"), *_several(report), id="verdict", class_="verdict")
    part = report.first
    answer = part.verdict
    pair = pair_of(report)
    return tag(
        "section",
        tag("h2", "Verdict"),
        *_words(part, answer),
        _evidence(report, gallery, pair, _parameters(part, answer)),
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
    if result.cached:
        cached = f" ({result.cached} of them from the cache)"
    else:
        cached = ""
    sets = f"{len(result.trials)} sets" + (f", {stopped} of them stopped early" if stopped else "")
    charged = credits(result.cost, result.unaccounted)
    if charged:
        cost = f" and {charged}"
    else:
        cost = ""
    found = [f"It took {result.images} images{cached} of {sets}, {duration(result.seconds)}{cost}."]
    if result.budget:
        found.append(f"Budget: {result.budget.compare(result.spent)}.")
    if result.reason:
        found.append(f"The search was {result.status}: {result.reason}.")
    elif result.status == "running":
        # A file that is passed on must say that it is not the last word.
        found.append("The search is still running: this is how it stands now.")
    return found


def _next_steps(part: SearchPart, answer: Verdict) -> Markup | None:
    if not answer.next_steps:
        return None
    rows = []
    for step in answer.next_steps:
        if step.command:
            command = tag("code", pasteable(step.command), class_="command")
        else:
            command = None
        rows.append(tag("li", step.words, command))
    return join(tag("h3", "What to do now"), tag("ul", *rows, class_="steps"))


def _own(part: SearchPart, baseline: TrialResult | None, name: str) -> str:
    """What the baseline has of a parameter."""
    if baseline is None:
        return ""
    if name in baseline.values:
        return number(baseline.values[name])
    if part.manifest.get("workflow"):
        return ""
    return "the generator's own"


def _parameters(part: SearchPart, answer: Verdict) -> Markup | None:
    """The winner's values beside the baseline's."""
    trials = {trial.number: trial for trial in part.result.trials}
    winner = trials.get(-1 if answer.winner is None else answer.winner)
    if winner is None or not winner.values:
        return None
    baseline = trials.get(0)
    rows = []
    for name, value in winner.values.items():
        own = _own(part, baseline, name)
        end = of_domain(part.manifest.get("space", {}).get(name, {}), [value]).edge(value)
        held = [tag("span", number(value), class_="strong")]
        if end and winner.number != 0:
            held.append(tag("small", f"▸ at the {end} end of its domain", class_="remark"))
        cells = (tag("td", *held), tag("td", own))
        rows.append(tag("tr", tag("th", name, scope="row"), *cells))
    if part.manifest.get("workflow"):
        whose = "workflow"
    else:
        whose = "baseline"
    heads = (tag("th", head, scope="col") for head in ("parameter", winner.name, whose))
    table = tag(
        "table",
        tag("caption", f"Parameters of {winner.name}"),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *rows),
        class_="values",
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="The winner's parameters")


def _evidence(report: Report, gallery: Gallery, pair: Pair | None, values: Markup | None) -> Markup | None:
    """The telling item's pictures, and the winner's values beside them."""
    if pair is None:
        place = None
    else:
        place = pair.best
    if pair is None or place is None:
        return values
    pictures = _pictures(report, gallery, pair, place)
    if pictures:
        return tag("div", *pictures, values, class_="showcase")
    return values


def _pictures(report: Report, gallery: Gallery, pair: Pair, place: int) -> list[Markup]:
    name, metric = report.items[place], report.metrics[0]
    images = []
    for row in (pair.before, pair.after):
        source = row.cells[place].source
        if source is None:
            address = None
        else:
            address = gallery.data_url(source.digest)
        if address is None:
            return []
        score = report.scores(row, metric)[place] or 0.0
        label = f"{pair.role(row)} {row.trial.name}, {metric} {score:.4f}"
        images.append(tag("img", src=address, alt=f"{name}, {label}", data_label=label))
    better = sum(gain > 0 for gain in pair.gains.values())
    if better == len(pair.gains):
        many = "all"
    else:
        many = str(better)
    words = f"{name}: the largest gain of {len(pair.gains)} items. The winner is better on {many} of them."
    compared = tag("figure", tag("div", *images, class_="pair", data_pair="slider"), tag("figcaption", words))
    return [compared, tag("div", *_given(report, gallery, place), class_="given")]


def _given(report: Report, gallery: Gallery, place: int) -> list[Markup]:
    """Inputs and references of an item."""
    name = report.items[place]
    pictures = next((item.pictures for item in report.first.pictures.items if item.name == name), {})
    found = []
    for folder, role in report.folders.items():
        if folder in pictures:
            address = gallery.data_url(pictures[folder].digest)
        else:
            address = None
        if address is not None:
            image = tag("img", src=address, alt=f"{name}, {role} {folder}")
            found.append(tag("figure", image, tag("figcaption", f"{role}: {folder}")))
    return found


def _several(report: Report) -> Sequence[Markup]:
    """Each search's answer, and their best sets over what they have in common."""
    metrics = report.metrics
    caption = (
        f"The best set of each search, over {len(report.items)} common items and {len(metrics)} common scores"
    )
    if not report.items or not metrics:
        if not report.items:
            missing = "items"
        else:
            missing = "scores"
        caption = f"The searches have no {missing} in common, so their sets cannot be compared"
    heads = ["search", "set", *metrics, "verdict"]
    rows = []
    for number_of, part in enumerate(report.parts):
        answer = part.verdict
        best = part.best
        row = next((row for row in report.sets if row.search == number_of and row.trial == best), None)
        scores = [None if row is None else report.mean(row, metric) for metric in metrics]
        cells = ["none" if score is None else f"{score:.4f}" for score in scores]
        if best is None:
            name = "none"
        else:
            name = best.name
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
        tag("caption", caption),
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
        class_="values",
    )
    return [tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Searches compared")]
