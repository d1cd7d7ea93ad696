"""The application: routes, and what errors look like."""

from __future__ import annotations

import logging
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from pixaris.exceptions import ImageError, PixarisError, StorageError
from pixaris.frontend.pages import layout
from pixaris.frontend.review import Review
from pixaris.frontend.server import experiments, feedback, voting, who
from pixaris.frontend.server.guards import Guard
from pixaris.frontend.server.live import Live
from pixaris.frontend.server.requests import frame_of

_STATIC = {
    "widgets.css": "pixaris.report",
    "report.css": "pixaris.report",
    "widgets.js": "pixaris.report",
    "page.css": "pixaris.frontend",
    "page.js": "pixaris.frontend",
    "search.js": "pixaris.frontend",
    "run.js": "pixaris.frontend",
    "compare.js": "pixaris.frontend",
    "feedback.js": "pixaris.frontend",
    "blind.js": "pixaris.frontend",
}
_TYPES = {"css": "text/css", "js": "text/javascript"}
_log = logging.getLogger("pixaris.frontend")


def make_app(review: Review) -> ASGIApp:
    """The application.

    Args:
        review: What it shows.
    """
    # FastAPI's own pages load scripts from elsewhere, which the policy forbids.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.review = review
    app.state.live = Live(review)
    for part in (who, experiments, feedback, voting):
        app.include_router(part.routes)
    app.add_api_route("/static/{name}", _static, methods=["GET"])
    app.add_api_route("/favicon.ico", _nothing, methods=["GET"])
    app.add_exception_handler(PixarisError, _failed)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _broken)
    # Outermost: no route can be added that it does not see.
    return Guard(app, review)


def _static(name: str) -> Response:
    """One of our own files; a name that is not listed leads nowhere."""
    if name not in _STATIC:
        raise HTTPException(404, "there is no such file")
    # The name was found in our own table: no path of a request ever reaches the disk.
    data = (files(_STATIC[name]) / "static" / name).read_bytes()
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers={"Cache-Control": "max-age=60"})


def _nothing() -> Response:
    return Response(status_code=204)


def _failed(request: Request, error: Exception) -> Response:
    status = 404
    # 503: it may work again in a moment, which browsers and scripts know how to handle.
    if isinstance(error, StorageError):
        status = 503
    elif isinstance(error, ImageError):
        status = 422
    elif isinstance(error, HTTPException):
        status = error.status_code
    if isinstance(error, HTTPException):
        sentence = str(error.detail)
    else:
        sentence = str(error)
    return _answer(request, sentence, status)


def _malformed(request: Request, error: Exception) -> Response:
    return _answer(request, "that request is not as this page makes them; load the page anew", 422)


def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(request, "something is wrong here; the server's terminal says what", 500)


def _answer(request: Request, sentence: str, status: int) -> Response:
    if "text/html" in request.headers.get("accept", "") and request.method == "GET":
        return HTMLResponse(layout.failure(frame_of(request), sentence), status)
    return JSONResponse({"error": sentence}, status)
