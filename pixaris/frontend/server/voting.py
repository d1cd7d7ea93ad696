"""Routes of the blind comparison."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from pixaris.feedback_handlers.base import Outcome, Retraction, Vote
from pixaris.frontend.blind import Lease
from pixaris.frontend.opinions import opinions
from pixaris.frontend.pages import blind as pages
from pixaris.frontend.pictures import FULL
from pixaris.frontend.server.feedback import Comment, EntryId, Iteration
from pixaris.frontend.server.requests import frame_of, picture, rater_of, review_of

routes = APIRouter()
LeaseId = Annotated[str, Path(pattern="^[0-9a-f]{20}$")]


class Voted(BaseModel):
    """A vote on a question."""

    id: EntryId
    lease: EntryId
    outcome: Outcome
    comment: Comment = ""


@routes.get("/feedback/{identity}/blind")
def blind(request: Request, identity: Iteration) -> Response:
    """The page where people vote."""
    review = review_of(request)
    key = review.key(identity)
    # What an earlier page of the same person showed or had loaded would else be barred for a minute.
    review.queue(key).release(rater_of(request))
    return HTMLResponse(pages.blind(frame_of(request), key, identity))


@routes.post("/feedback/{identity}/next")
def ask(request: Request, identity: Iteration) -> Response:
    """The next question."""
    review, rater = review_of(request), rater_of(request)
    key = review.key(identity)
    votes = review.votes(key)
    lease = review.queue(key).lend(rater, votes)
    mine = sum(vote.rater == rater for vote in votes)
    return JSONResponse({"mine": mine, "votes": len(votes), "pair": _shown(request, identity, lease)})


@routes.get("/feedback/{identity}/shown/{lease}/{side}")
def image(request: Request, identity: Iteration, lease: LeaseId, side: Literal["left", "right"]) -> Response:
    """One of the two images of a question, in full size and made anew from its pixels."""
    review = review_of(request)
    asked = review.queue(review.key(identity)).lease(lease, rater_of(request))
    if asked is None:
        raise HTTPException(404, "that question is too old; load the page anew")
    if side == "left":
        file = asked.left.file
    else:
        file = asked.right.file
    # Metadata would tell which workflow made it.
    return picture(review.pictures.get([file], FULL))


@routes.post("/feedback/{identity}/vote")
def vote(request: Request, identity: Iteration, voted: Voted) -> Response:
    """Keep a vote."""
    review, rater = review_of(request), rater_of(request)
    key = review.key(identity)
    queue = review.queue(key)
    lease = queue.lease(voted.lease, rater)
    if lease is None:
        raise HTTPException(404, "that question is too old; load the page anew")
    said = Vote(
        rater,
        id=voted.id,
        item=lease.left.item,
        left=lease.left.name,
        right=lease.right.name,
        outcome=voted.outcome,
        comment=voted.comment,
    )
    review.write(key, said)
    # After it is kept: a vote that failed can be sent again.
    queue.answered(lease.id)
    return JSONResponse({"kept": True})


@routes.post("/feedback/{identity}/undo")
def undo(request: Request, identity: Iteration) -> Response:
    """Take somebody's last vote back, and ask again."""
    review, rater = review_of(request), rater_of(request)
    key = review.key(identity)
    mine = [vote for vote in review.votes(key) if vote.rater == rater]
    if not mine:
        raise HTTPException(422, "there is no vote of yours to take back")
    last = mine[-1]
    review.write(key, Retraction(rater, vote=last.id))
    lease = review.queue(key).ask_again(rater, last)
    return JSONResponse({"mine": len(mine) - 1, "pair": _shown(request, identity, lease)})


@routes.get("/feedback/{identity}/standing")
def standing(request: Request, identity: Iteration) -> Response:
    """What the votes say."""
    review = review_of(request)
    found = review.iteration(identity)
    said = opinions(found, review.votes(found.key))
    return HTMLResponse(pages.standing(frame_of(request), found, identity, said))


def _shown(request: Request, identity: str, lease: Lease | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    url = frame_of(request).url(f"/feedback/{identity}/shown/{lease.id}")
    return {"lease": lease.id, "left": f"{url}/left", "right": f"{url}/right"}
