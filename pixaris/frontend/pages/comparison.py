"""Runs side by side, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pixaris.frontend.experiments import Run
from pixaris.frontend.pages.experiments import parameters_of
from pixaris.frontend.pages.layout import Frame, document, table
from pixaris.report.html import Child, json_script, tag
from pixaris.report.model import Cell
from pixaris.words import number


def compare(frame: Frame, runs: Sequence[Run], cells: Sequence[Mapping[int, Cell]]) -> str:
    """The page.

    Args:
        frame: For whom, and where.
        runs: Two or more.
        cells: What each of them made.
    """
    body: list[Child] = [tag("h1", "Side by side"), _differences(frame, runs), _scores(runs)]
    body.append(tag("div", id="tools", class_="tools"))
    body.append(tag("ol", id="items", class_="rows"))
    body.append(json_script("data", _data(frame, runs, cells)))
    return document(frame, "Side by side", body, ["compare.js"])


def _differences(frame: Frame, runs: Sequence[Run]) -> Child:
    rows: list[list[Child]] = []
    for name in parameters_of(runs):
        values = [number(run.values[name]) if name in run.values else "–" for run in runs]
        # Of forty parameters, two differ: only those explain anything.
        if len(set(values)) > 1:
            rows.append([name, *values])
    heads = ["parameter", *(tag("a", run.name, href=frame.url(f"/run/{run.ref}")) for run in runs)]
    if not rows:
        rows.append(["all", *("the same" for _ in runs)])
    return table(heads, rows, "Parameters that differ")


def _scores(runs: Sequence[Run]) -> Child:
    names = list(dict.fromkeys(name for run in runs for name in run.means))
    rows = []
    for name in names:
        rows.append([name, *(_mean(run, name) for run in runs)])
    rows.append(["failures", *(str(run.failures) for run in runs)])
    return table(["score", *(run.name for run in runs)], rows, "Scores")


def _mean(run: Run, name: str) -> str:
    if name in run.means:
        return f"{run.means[name]:.4f}"
    return "–"


def _data(frame: Frame, runs: Sequence[Run], cells: Sequence[Mapping[int, Cell]]) -> dict[str, object]:
    names = list(dict.fromkeys(name for run in runs for name in run.items))
    indices = [_indices(run) for run in runs]
    items = []
    for name in names:
        made = [_cell(frame, run, cells[at], indices[at].get(name)) for at, run in enumerate(runs)]
        items.append({"name": name, "given": _given(frame, runs[0], name), "made": made})
    return {"runs": [run.name for run in runs], "items": items}


def _indices(run: Run) -> dict[str, int]:
    return {name: index for index, name in enumerate(run.items)}


def _given(frame: Frame, run: Run, name: str) -> list[dict[str, object]]:
    if run.origin is None:
        return []
    search = run.origin.search
    pictures = search.pictures
    place = next((at for at, item in enumerate(pictures.items) if item.name == name), None)
    if place is None:
        return []
    return [
        {"words": f"{role}: {folder}", "url": frame.url(f"/given/{search.id}/{place}/{at}/768")}
        for at, (folder, role) in enumerate(pictures.folders.items())
        if folder in pictures.items[place].pictures
    ]


def _cell(frame: Frame, run: Run, cells: Mapping[int, Cell], index: int | None) -> dict[str, object]:
    if index is None:
        cell = None
    else:
        cell = cells.get(index)
    if cell is None:
        # A set that was stopped never gets the rest of its images.
        return {"problem": "not made" if run.status != "running" else "not made yet"}
    scores = {name: value for name, value in cell.row.scores.items() if value is not None}
    known: dict[str, object] = {"scores": scores, "problem": cell.problem or cell.row.error or ""}
    if cell.source is not None:
        url = frame.url(f"/image/{run.ref}/{index}")
        known |= {"url": f"{url}/768", "full": f"{url}/0"}
    return known
