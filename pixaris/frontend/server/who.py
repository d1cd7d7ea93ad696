"""Coming in and leaving."""

from __future__ import annotations

import hmac
import time
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pixaris.frontend.pages import layout
from pixaris.frontend.review import Review
from pixaris.frontend.server.requests import frame_of, review_of
from pixaris.frontend.sessions import COOKIE, DAYS, clean_name
from pixaris.words import duration

routes = APIRouter()


@routes.get("/login")
def ask(request: Request, following: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """Ask who somebody is."""
    closed = review_of(request).settings.is_closed
    return HTMLResponse(layout.login(frame_of(request), closed=closed, following=_inside(following)))


@routes.post("/login")
async def enter(request: Request) -> Response:
    """Let somebody in."""
    review = review_of(request)
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    form = {key: values[0] for key, values in fields.items()}
    following = _inside(form.get("following", "/"))
    name = clean_name(form.get("name", ""))
    if request.client:
        whose = request.client.host
    else:
        whose = ""
    status, problem = _problem(review, name, form.get("secret", ""), whose)
    if problem:
        closed = review.settings.is_closed
        page = layout.login(frame_of(request), closed=closed, following=following, problem=problem)
        return HTMLResponse(page, status)
    answer = RedirectResponse(f"{review.settings.root_path}{following}", 303)
    answer.set_cookie(
        COOKIE,
        review.keyring.session(name, time.time()),
        max_age=DAYS * 86_400,
        path=review.settings.root_path or "/",
        secure=review.settings.https,
        httponly=True,
        # Other sites' links come without it; they get the form, and nothing they send counts.
        samesite="strict",
    )
    return answer


@routes.post("/logout")
def leave(request: Request) -> Response:
    """Forget who somebody is."""
    root = review_of(request).settings.root_path
    answer = RedirectResponse(f"{root}/login", 303)
    answer.delete_cookie(COOKIE, path=root or "/")
    return answer


def _problem(review: Review, name: str, secret: str, whose: str) -> tuple[int, str]:
    """Why somebody is not let in: the answer's status and a sentence, or ""."""
    settings = review.settings
    wait = review.attempts.wait(whose)
    if wait:
        return 429, f"That was tried too often; try again in {duration(wait)}."
    if settings.is_closed and not _knows(secret, settings.password, settings.token):
        review.attempts.failed(whose)
        return 403, "That is neither the password nor the token."
    if not name:
        return 422, "A name is needed."
    return 200, ""


def _knows(given: str, password: str, token: str) -> bool:
    """Whether somebody knows the password or the token; how long this takes tells nothing of either."""
    # Both are compared whatever the first one says, so that the time does not tell which is set.
    right = [hmac.compare_digest(given.encode(), known.encode()) for known in (password, token) if known]
    return any(right)


def _inside(following: str) -> str:
    """Where somebody goes on: an address of ours, whatever a link says."""
    # `//host` and `/\\host` are other sites to a browser.
    if not following.startswith("/") or following[1:2] in ("/", "\\") or "\\" in following:
        return "/"
    if any(ord(letter) < 32 for letter in following):
        return "/"
    return following
