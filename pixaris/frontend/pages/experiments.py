"""Projects, searches and runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pixaris.frontend.experiments import Run, Search
from pixaris.frontend.pages.layout import Frame, document, table, when
from pixaris.report.html import Child, Markup, join, tag
from pixaris.report.model import Cell
from pixaris.results.trial import TrialResult
from pixaris.words import listed, number

# More columns would push the parameters off the screen; a set's own page has all of them.
_MOST_SCORES = 4
_MANY_SETS = 60


def index(frame: Frame, searches: Sequence[Search], runs: Sequence[Run], problems: Sequence[str]) -> str:
    """All projects, with their datasets, searches and runs."""
    body: list[Child] = [tag("h1", "Experiments")]
    body += [tag("p", problem, class_="problem") for problem in problems]
    everything: list[Search | Run] = [*searches, *runs]
    projects = sorted({one.project for one in everything})
    if not projects:
        body.append(tag("p", "There are no searches and no runs in this results folder yet."))
    for project in projects:
        found = [_search_row(frame, search) for search in searches if search.project == project]
        single = [_run_row(frame, run) for run in runs if run.project == project]
        content: list[Child] = [tag("h2", project)]
        if found:
            heads = ("search", "dataset", "status", "sets", "images", "best", "changed")
            content.append(table(heads, found, f"Searches of {project}"))
        if single:
            content.append(
                table(("run", "dataset", "status", "failures", "scores"), single, f"Runs of {project}")
            )
        body.append(tag("section", *content))
    return document(frame, "Experiments", body)


def _search_row(frame: Frame, search: Search) -> list[Child]:
    result = search.result
    best = search.part.best
    score = "no score" if best is None or best.objective is None else f"{result.metric} {best.objective:.4f}"
    link = tag("a", search.name, href=frame.url(f"/search/{search.id}"))
    sets, images = str(len(result.trials)), str(result.images)
    return [link, search.pictures.name, _badge(result.status), sets, images, score, when(search.changed)]


def _run_row(frame: Frame, run: Run) -> list[Child]:
    scores = ", ".join(f"{name} {mean:.4f}" for name, mean in run.means.items())
    link = tag("a", run.name, href=frame.url(f"/run/{run.ref}"))
    return [link, run.dataset, _badge(run.status), str(run.failures), scores or "none"]


def _badge(status: str) -> Markup:
    # A status comes from a file: only a plain word becomes a class of the page.
    return tag("span", status, class_=f"badge {status if status.isalpha() else ''}")


def search(frame: Frame, found: Search) -> str:
    """A search: its verdict and all of its sets."""
    runs = found.runs()
    result = found.result
    parameters = parameters_of(runs)
    scores = scores_of(found)
    heads = [
        tag("th", tag("span", "mark", class_="unseen"), scope="col"),
        _head("set", "name"),
        _head("status", "status"),
        *_heads(scores, "score"),
        _head("items", "items"),
        *_heads(parameters, "value"),
        tag("th", "images", scope="col"),
    ]
    whole = tag(
        "table",
        tag("thead", tag("tr", *heads)),
        tag("tbody", rows(frame, runs, scores, parameters), id="sets"),
        class_="sets",
    )
    tools = tag(
        "div",
        tag(
            "label",
            "Filter ",
            tag("input", type="search", id="filter", placeholder="amount>0.3 status=finished"),
        ),
        tag("span", f"{len(runs)} sets", id="count", class_="note"),
        tag("button", "Compare", type="button", id="compare", disabled=True),
        tag("button", "Ask for feedback …", type="button", id="ask", disabled=True),
        class_="tools",
    )
    area = tag("div", whole, class_="scroll", role="region", tabindex="0", aria_label="Sets")
    reason = f": {result.reason}" if result.reason else ""
    body = [
        tag("p", tag("a", found.project, href=frame.url("/")), " / ", found.pictures.name, class_="note"),
        tag("h1", found.name),
        tag("p", _badge(result.status), f" {reason}", class_="note", id="status"),
        _verdict(found),
        tools,
        area,
        _asking(found.project),
    ]
    # By the version the page asks whether anything has changed since it was made.
    live = {"search": found.id, "version": found.version, "running": result.status == "running"}
    state = tag("div", id="state", data_state=json.dumps(live), hidden=True)
    return document(frame, found.name, [*body, state], ["search.js"])


def _verdict(found: Search) -> Markup:
    """The verdict; of many sets it takes seconds, and comes when it is there."""
    if len(found.result.trials) > _MANY_SETS:
        return tag("p", "The verdict is being worked out …", class_="sentence", id="verdict")
    return tag("p", found.part.verdict.sentence, class_="sentence")


def _head(words: str, key: str) -> Markup:
    return tag("th", tag("button", words, type="button", data_sort=key), scope="col", aria_sort="none")


def _heads(names: Sequence[str], kind: str) -> list[Markup]:
    return [_head(name, f"{kind}:{name}") for name in names]


def _asking(project: str) -> Markup:
    name = tag("input", id="iteration", required=True, maxlength="100", placeholder="first look")
    make = tag("button", "Make it", value="make")
    cancel = tag("button", "Cancel", value="cancel", formnovalidate=True)
    form = tag(
        "form",
        tag("h2", f"A feedback iteration of {project}", id="asking-title"),
        tag(
            "p",
            "People like and comment on the marked sets' images, or vote blind.",
            class_="note",
        ),
        tag("p", "It keeps its own copy of these images.", class_="note"),
        tag("p", tag("label", "Name ", name)),
        tag("p", make, cancel, class_="tools"),
        method="dialog",
    )
    return tag("dialog", form, id="asking", aria_labelledby="asking-title")


def mean_words(run: Run, score: str) -> str:
    """A run's mean of a score."""
    if score in run.means:
        return f"{run.means[score]:.4f}"
    return "–"


def scores_of(found: Search) -> list[str]:
    """Names of the scores that a search's table has, the objectives first."""
    return list(found.part.scores)[:_MOST_SCORES]


def parameters_of(runs: Sequence[Run]) -> list[str]:
    """Names of all parameters that any run has."""
    return list(dict.fromkeys(name for run in runs for name in run.values))


def rows(frame: Frame, runs: Sequence[Run], scores: Sequence[str], parameters: Sequence[str]) -> Markup:
    """A row for each set."""
    return join(*(_row(frame, run, place, scores, parameters) for place, run in enumerate(runs)))


def _row(frame: Frame, run: Run, place: int, scores: Sequence[str], parameters: Sequence[str]) -> Markup:
    assert run.origin is not None, "sets are trials"
    trial = run.origin.trial
    name = trial.name
    # For the scripts, which sort and filter without asking the server.
    facts = {
        "place": place,
        "name": name,
        "status": run.status,
        "items": trial.items,
        "failures": run.failures,
        "scores": dict(run.means),
        "values": dict(run.values),
    }
    box = tag("input", type="checkbox", aria_label=f"mark {name}", value=run.ref)
    failures = f", {run.failures} failed" if run.failures else ""
    why = trial.stop.describe(len(run.items)) if trial.stop else ""
    stop = tag("div", why, class_="note", title=why) if why else ""
    means = [tag("td", mean_words(run, key)) for key in scores]
    values = [tag("td", number(run.values[key]) if key in run.values else "–") for key in parameters]
    cells = [
        tag("td", box),
        tag("th", tag("a", name, href=frame.url(f"/run/{run.ref}")), scope="row"),
        tag("td", _badge(run.status), stop),
        *means,
        tag("td", f"{trial.items}{failures}"),
        *values,
        tag("td", class_="strip", data_items=json.dumps(_pictured(trial))),
    ]
    return tag("tr", *cells, data_run=run.ref, data_facts=json.dumps(facts, default=str))


def _pictured(trial: TrialResult) -> list[int]:
    """Indexes of the items that a set has images of: a set that was stopped has not made the first ones, but
    those that the race gave it.
    """
    # Where the objective has no value per item, nothing says which items were made but their number.
    scored = [index for index, score in enumerate(trial.item_scores) if score is not None]
    return scored or list(range(trial.items))


def run(frame: Frame, one: Run, cells: Mapping[int, Cell]) -> str:
    """A run: its parameters, scores and images."""
    body: list[Child] = [
        tag("p", _way(frame, one), class_="note"),
        tag("h1", one.name),
        tag("p", _badge(one.status), f" {one.failures} failures" if one.failures else "", class_="note"),
    ]
    if one.values:
        body.append(
            table(("parameter", "value"), [(k, number(v)) for k, v in one.values.items()], "Parameters")
        )
    if one.means:
        means = [(name, mean_words(one, name)) for name in one.means]
        body.append(table(("score", "mean"), means, "Scores"))
    body.append(_actions(frame, one))
    body.append(tag("h2", "Images"))
    figures = [_figure(frame, one, index, cell) for index, cell in sorted(cells.items())]
    body.append(tag("div", *figures, class_="gallery"))
    if not figures:
        body.append(tag("p", "It has no images yet."))
    return document(frame, one.name, body, ["run.js"])


def _way(frame: Frame, one: Run) -> Markup:
    way: list[Child] = [tag("a", one.project, href=frame.url("/")), " / "]
    if one.origin is not None:
        search = one.origin.search
        way.append(tag("a", search.name, href=frame.url(f"/search/{search.id}")))
    return join(*way)


def _actions(frame: Frame, one: Run) -> Markup:
    actions: list[Child] = []
    if one.paths.workflow.is_file():
        url = frame.url(f"/run/{one.ref}/workflow")
        actions.append(tag("a", "Download its workflow", href=url, download=True, class_="button"))
    if one.origin is not None:
        url = frame.url(f"/run/{one.ref}/around")
        actions.append(tag("a", "Search around this set", href=url, download=True, class_="button"))
        if one.origin.search.result.status == "running" and one.status == "running":
            actions.append(tag("button", "Stop this set", type="button", id="reject", data_run=one.ref))
    return tag("div", *actions, class_="tools")


def _figure(frame: Frame, one: Run, index: int, cell: Cell) -> Markup:
    name = cell.row.name
    scores = listed({key: value for key, value in cell.row.scores.items() if value is not None})
    if cell.source is None:
        body = tag("div", cell.problem or "it has no image", class_="stage problem")
    else:
        url = frame.url(f"/image/{one.ref}/{index}")
        picture = tag("img", src=f"{url}/256", alt=f"{name}, {one.name}", loading="lazy")
        body = tag("a", picture, href=f"{url}/0")
    said = tag("p", cell.row.error, class_="problem") if cell.row.error and cell.source is not None else ""
    return tag("figure", body, tag("figcaption", tag("b", name), " ", scores, said), id=f"item-{index}")
