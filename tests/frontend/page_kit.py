"""A review page that runs, and somebody who asks it without a browser."""

from __future__ import annotations

import functools
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import uvicorn
from PIL import Image, ImageFilter
from search_kit import Made, made_search, noise

from pixaris.feedback_handlers.base import FeedbackHandler
from pixaris.feedback_handlers.local import LocalFeedbackHandler
from pixaris.frontend.review import Review
from pixaris.frontend.server.app import make_app
from pixaris.frontend.settings import PageSettings

SECONDS = 60.0


@contextmanager
def page(
    results: Path,
    settings: PageSettings = PageSettings(),  # noqa: B008  (frozen)
    feedback: FeedbackHandler | None = None,
) -> Iterator[str]:
    """A review page in this process; gives its address."""
    handler = feedback or LocalFeedbackHandler(results)
    listening = socket.create_server(("127.0.0.1", 0))
    app = make_app(Review(handler, results, settings))
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{settings.root_path}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        handler.close()


@contextmanager
def command(results: Path, *arguments: str) -> Iterator[str]:
    """``pixaris ui`` in a process of its own; gives its address."""
    argv = [sys.executable, "-u", "-m", "pixaris", "ui", "--results", str(results), "--port", "0", *arguments]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield address_of(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def address_of(process: subprocess.Popen[str]) -> str:
    """The address that it tells."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"review page: (http\S+)/ ", line):
            return found[1]
    raise AssertionError(f"it ended without an address: {said}")


@dataclass
class Visitor:
    """Somebody who has said their name.

    Attributes:
        root: The page's address.
        session: Keeps the cookie.
    """

    root: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.headers["Connection"] = "close"  # one that waited for long may be closed meanwhile

    def enter(self, name: str, secret: str = "") -> requests.Response:
        """Say who it is."""
        form = {"name": name, "secret": secret, "following": "/"}
        return self.session.post(
            f"{self.root}/login", form, headers=self.own, allow_redirects=False, timeout=SECONDS
        )

    @property
    def own(self) -> dict[str, str]:
        """What a browser sends with what a page of ours asks."""
        return {"Origin": "/".join(self.root.split("/")[:3])}

    def get(self, path: str, **headers: str) -> requests.Response:
        """Ask for something."""
        url = path if path.startswith("http") else f"{self.root}{path}"
        return self.session.get(url, headers=headers, allow_redirects=False, timeout=SECONDS)

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> requests.Response:
        """Send something."""
        url = path if path.startswith("http") else f"{self.root}{path}"
        sent = json.dumps({} if body is None else body)
        kind = {"Content-Type": "application/json"}
        return self.session.post(
            url, sent, headers={**kind, **(self.own if headers is None else headers)}, timeout=SECONDS
        )


def visitor(root: str, name: str = "ann") -> Visitor:
    """Somebody who has come in."""
    found = Visitor(root)
    assert found.enter(name).status_code == 303
    return found


def links(html: str, pattern: str) -> list[str]:
    """Addresses in a page."""
    return re.findall(rf'href="([^"]*{pattern}[^"]*)"', html)


def search_id(visitor: Visitor) -> str:
    """The name in addresses of the first search."""
    return links(visitor.get("/").text, "/search/")[0].rpartition("/")[2]


def new_iteration(visitor: Visitor, numbers: Sequence[int], name: str = "first look") -> str:
    """Make an iteration of trials; gives its address without the page's."""
    identity = search_id(visitor)
    made = visitor.post("/feedback", {"name": name, "runs": [f"{identity}-{number}" for number in numbers]})
    assert made.status_code == 200, made.text
    return str(made.json()["url"])


def results_of(folder: Path, made: Made = Made(sets=5, items=4)) -> Path:  # noqa: B008  (a frozen value)
    """A results folder with one search."""
    made_search(folder / "demo" / "restore", made, functools.partial(blurred, side=made.side))
    return folder


def blurred(number: int, index: int, side: int) -> bytes:
    """An image of an item that differs from every other set's where anybody can see it."""
    image = Image.open(io.BytesIO(noise(0, index, side))).filter(ImageFilter.GaussianBlur(2 * number))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()
