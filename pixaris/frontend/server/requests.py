"""What all routes take from a request."""

from __future__ import annotations

from typing import cast

from fastapi import Request, Response

from pixaris.frontend.pages.layout import Frame
from pixaris.frontend.review import Review
from pixaris.frontend.server.live import Live

IDENTITY = "^[0-9a-f]{20}(-[0-9]{1,9})?$"
"""What names in addresses look like."""


def review_of(request: Request) -> Review:
    """What is shown."""
    return cast(Review, request.app.state.review)


def live_of(request: Request) -> Live:
    """Who tells open pages of news."""
    return cast(Live, request.app.state.live)


def rater_of(request: Request) -> str:
    """The name of whoever asks."""
    return str(request.scope.get("state", {}).get("rater", ""))


def frame_of(request: Request) -> Frame:
    """For whom a page is made."""
    return Frame(review_of(request).settings.root_path, rater_of(request))


def picture(data: bytes) -> Response:
    """An image for the browser, which may keep it for itself for a while."""
    if data.startswith(b"\x89PNG"):
        kind = "image/png"
    else:
        kind = "image/webp"
    return Response(data, media_type=kind, headers={"Cache-Control": "private, max-age=600"})
