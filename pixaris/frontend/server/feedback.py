"""Routes of feedback iterations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pixaris.exceptions import ConfigurationError
from pixaris.feedback_handlers.base import Feedback, Verdict
from pixaris.frontend.iterations import MOST_RUNS, iteration_of
from pixaris.frontend.pages import feedback as pages
from pixaris.frontend.pictures import FULL, SIDES
from pixaris.frontend.server.live import LiveResponse
from pixaris.frontend.server.requests import IDENTITY, frame_of, live_of, picture, rater_of, review_of

routes = APIRouter()
Iteration = Annotated[str, Path(pattern=IDENTITY)]
# Made by the page: a request that is sent twice, because its answer was lost, is one entry.
EntryId = Annotated[str, Field(pattern="^[0-9a-f]{16,40}$")]
Comment = Annotated[str, Field(max_length=2000)]


class Wanted(BaseModel):
    """A new iteration."""

    name: str = Field(min_length=1, max_length=100)
    runs: list[str] = Field(max_length=MOST_RUNS)


class Said(BaseModel):
    """What somebody says of an image."""

    id: EntryId
    image: int
    verdict: Verdict
    comment: Comment = ""


@routes.get("/feedback")
def index(request: Request) -> Response:
    """All iterations."""
    review = review_of(request)
    keys = review.feedback.iterations()
    ids = [review.iteration_id(key) for key in keys]
    return HTMLResponse(pages.index(frame_of(request), keys, ids))


@routes.post("/feedback")
def create(request: Request, wanted: Wanted) -> Response:
    """Make an iteration of runs."""
    review = review_of(request)
    runs = [review.experiments.run(ref) for ref in dict.fromkeys(wanted.runs)]
    try:
        kept = review.feedback.create(iteration_of(wanted.name, runs))
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
    return JSONResponse({"url": frame_of(request).url(f"/feedback/{review.iteration_id(kept.key)}")})


@routes.get("/feedback/{identity}")
def iteration(request: Request, identity: Iteration) -> Response:
    """The images of one."""
    review = review_of(request)
    found = review.iteration(identity)
    totals, own = review.totals(found.key), review.own(found.key, rater_of(request))
    return HTMLResponse(pages.iteration(frame_of(request), found, identity, totals, own))


@routes.get("/feedback/{identity}/image/{place}/{side}")
def image(request: Request, identity: Iteration, place: int, side: int) -> Response:
    """One of its images."""
    review = review_of(request)
    images = review.iteration(identity).images
    if not 0 <= place < len(images) or (side != FULL and side not in SIDES):
        raise HTTPException(404, "there is no such image")
    return picture(review.pictures.get([images[place].file], side))


@routes.post("/feedback/{identity}/say")
def say(request: Request, identity: Iteration, said: Said) -> Response:
    """Keep what somebody says of an image."""
    review = review_of(request)
    found = review.iteration(identity)
    if not 0 <= said.image < len(found.images):
        raise HTTPException(404, "there is no such image")
    name = found.images[said.image].name
    review.write(
        found.key,
        Feedback(rater_of(request), id=said.id, image=name, verdict=said.verdict, comment=said.comment),
    )
    return JSONResponse({"kept": True})


@routes.get("/feedback/{identity}/live")
async def follow(request: Request, identity: Iteration) -> Response:
    """Totals whenever they change."""
    key = review_of(request).key(identity)
    return LiveResponse(live_of(request), key)
