"""Routes of the experiments."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from pixaris.exceptions import ConfigurationError, ImageError
from pixaris.files import safe_name
from pixaris.frontend.pages import comparison
from pixaris.frontend.pages import experiments as pages
from pixaris.frontend.pictures import FULL, SIDES
from pixaris.frontend.server.requests import IDENTITY, frame_of, picture, rater_of, review_of
from pixaris.results.evidence.rejected import reject
from pixaris.search.draft.narrower import file_of, narrower
from pixaris.search.export import export

routes = APIRouter()
Ref = Annotated[str, Path(pattern=IDENTITY)]
MOST_COMPARED = 8


@routes.get("/")
def index(request: Request) -> Response:
    """Everything there is."""
    experiments = review_of(request).experiments
    searches, problems = experiments.searches()
    return HTMLResponse(pages.index(frame_of(request), searches, experiments.runs(), problems))


@routes.get("/search/{ref}")
def search(request: Request, ref: Ref) -> Response:
    """One search."""
    return HTMLResponse(pages.search(frame_of(request), review_of(request).experiments.search(ref)))


@routes.get("/search/{ref}/rows")
def rows(request: Request, ref: Ref, version: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Its sets as they stand, where they are not as they were."""
    found = review_of(request).experiments.search(ref)
    state = {"id": found.id, "version": found.version, "running": found.result.status == "running"}
    if found.version == version:
        # A page that is open asks every second; mostly nothing has changed.
        return JSONResponse({**state, "rows": None})
    runs = found.runs()
    scores = pages.scores_of(found)
    markup = pages.rows(frame_of(request), runs, scores, pages.parameters_of(runs))
    return JSONResponse({**state, "rows": markup, "status": found.result.status})


@routes.get("/search/{ref}/verdict")
def verdict(request: Request, ref: Ref) -> Response:
    """What it says."""
    found = review_of(request).experiments.search(ref)
    return JSONResponse({"sentence": found.part.verdict.sentence})


@routes.get("/run/{ref}")
def run(request: Request, ref: Ref) -> Response:
    """One run."""
    found = review_of(request).experiments.run(ref)
    return HTMLResponse(pages.run(frame_of(request), found, found.cells()))


@routes.get("/compare")
def compare(request: Request, run: Annotated[list[str], Query()]) -> Response:
    """Runs side by side."""
    if not 2 <= len(run) <= MOST_COMPARED:
        raise HTTPException(422, f"mark 2 to {MOST_COMPARED} sets to compare them")
    found = [review_of(request).experiments.run(ref) for ref in dict.fromkeys(run)]
    return HTMLResponse(comparison.compare(frame_of(request), found, [one.cells() for one in found]))


@routes.get("/image/{ref}/{index}/{side}")
def image(request: Request, ref: Ref, index: int, side: int) -> Response:
    """What a run made of an item."""
    _check_side(side)
    review = review_of(request)
    cell = review.experiments.run(ref).cells().get(index)
    if cell is None or cell.source is None:
        raise ImageError("there is no such image" if cell is None else cell.problem or "it has no image")
    return picture(review.pictures.get(cell.source.files, side))


@routes.get("/given/{ref}/{item}/{folder}/{side}")
def given(request: Request, ref: Ref, item: int, folder: int, side: int) -> Response:
    """An input or a reference."""
    _check_side(side)
    review = review_of(request)
    found = review.experiments.search(ref)
    names = list(found.pictures.folders)
    if not 0 <= item < len(found.pictures.items) or not 0 <= folder < len(names):
        raise ImageError("there is no such picture")
    shown = found.pictures.items[item].pictures.get(names[folder])
    if shown is None:
        file = None
    else:
        file = found.pictures.file(found.part.paths, shown)
    if file is None:
        raise ImageError("there is no such picture")
    return picture(review.pictures.get([file], side))


@routes.get("/run/{ref}/workflow")
def workflow(request: Request, ref: Ref) -> Response:
    """A run's workflow, to load into ComfyUI."""
    found = review_of(request).experiments.run(ref)
    if found.origin is None:
        text = found.paths.workflow.read_text(encoding="utf-8")
    else:
        exported = export(found.origin.search.result, found.origin.trial)
        text = json.dumps(exported.workflow, indent=2, ensure_ascii=False) + "\n"
    return _download(text, f"{safe_name(found.name)}_apiformat.json", "application/json")


@routes.get("/run/{ref}/around")
def around(request: Request, ref: Ref) -> Response:
    """A search file whose domains lie around a set."""
    found = review_of(request).experiments.run(ref)
    if found.origin is None:
        raise ConfigurationError("only a set of a search can be searched around")
    result = found.origin.search.result
    # Paths in the file start where the original lies, as if it were saved there.
    text, _ = narrower(result, [found.origin.trial], file_of(result).parent)
    return _download(text, f"{safe_name(found.name)}_around.yaml", "application/yaml")


@routes.post("/run/{ref}/reject")
def stop(request: Request, ref: Ref) -> Response:
    """Ask the running search to stop a set."""
    found = review_of(request).experiments.run(ref)
    origin = found.origin
    if origin is None or origin.search.result.status != "running":
        raise ConfigurationError("only a set of a search that is running can be stopped")
    reject(origin.search.part.paths, origin.trial.number, rater_of(request))
    return JSONResponse({"said": "the search stops it with its next report"})


def _download(text: str, name: str, kind: str) -> Response:
    ascii_name = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    headers = {"Content-Disposition": f'attachment; filename="{ascii_name}"'}
    return Response(text, media_type=kind, headers=headers)


def _check_side(side: int) -> None:
    if side != FULL and side not in SIDES:
        raise HTTPException(404, "there is no such size")
