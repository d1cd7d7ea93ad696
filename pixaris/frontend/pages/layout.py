"""What all pages have: head, navigation, scripts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pixaris.report.html import Child, Markup, join, tag

STYLES = ("widgets.css", "report.css", "page.css")


@dataclass(frozen=True)
class Frame:
    """For whom a page is made, and where it is shown.

    Attributes:
        root: What its addresses begin with: ``/review``, or "".
        rater: The name of whoever looks at it, or "".
    """

    root: str = ""
    rater: str = ""

    def url(self, path: str) -> str:
        """An address of ours."""
        return f"{self.root}{path}"


def document(frame: Frame, title: str, body: Sequence[Child], scripts: Sequence[str] = ()) -> str:
    """A whole page.

    Args:
        frame: For whom, and where.
        title: What it is about.
        body: What is in it.
        scripts: Files of scripts besides those that all pages have.
    """
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} – Pixaris"),
        *(tag("link", rel="stylesheet", href=frame.url(f"/static/{name}")) for name in STYLES),
    )
    files = ("widgets.js", "page.js", *scripts)
    # Deferred: run in this order once the page is there, so that no script waits for an element.
    loads = [tag("script", src=frame.url(f"/static/{name}"), defer=True) for name in files]
    parts = [
        # Whoever has not said their name can go nowhere yet.
        _navigation(frame) if frame.rater else "",
        tag("main", *body),
        tag("div", id="message", role="status", aria_live="polite"),
    ]
    page = join(tag("html", tag("head", head), tag("body", *parts, *loads, data_root=frame.root), lang="en"))
    return f"<!doctype html>\n{page}"


def _navigation(frame: Frame) -> Markup:
    links = [("Experiments", "/"), ("Feedback", "/feedback")]
    items = [tag("li", tag("a", words, href=frame.url(path))) for words, path in links]
    leave = tag("form", tag("button", f"{frame.rater}: leave"), method="post", action=frame.url("/logout"))
    return tag("nav", tag("ul", *items, tag("li", leave)), aria_label="Pages")


def table(heads: Sequence[Child], rows: Sequence[Sequence[Child]], caption: str = "") -> Markup:
    """A plain table; the first cell of each row is its head."""
    body = []
    for first, *rest in rows:
        body.append(tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest)))
    top = tag("tr", *(tag("th", head, scope="col") for head in heads))
    said = tag("caption", caption) if caption else ""
    whole = tag("table", said, tag("thead", top), tag("tbody", *body))
    return tag("div", whole, class_="scroll", role="region", tabindex="0", aria_label=caption or "table")


def when(seconds: float) -> str:
    """A time as people read it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def failure(frame: Frame, sentence: str) -> str:
    """A page that says what is wrong."""
    back = tag("p", tag("a", "Back to the experiments", href=frame.url("/")))
    return document(frame, "Not here", [tag("h1", "That did not work"), tag("p", sentence), back])


def login(frame: Frame, *, closed: bool, following: str, problem: str = "") -> str:
    """The page where people say who they are."""
    secret = []
    if closed:
        label = tag("label", "Password or token", for_="secret")
        given = tag(
            "input",
            type="password",
            name="secret",
            id="secret",
            required=True,
            autocomplete="current-password",
        )
        secret = [tag("p", label, given)]
    name = tag("input", name="name", id="name", required=True, maxlength="40", autocomplete="nickname")
    form = tag(
        "form",
        tag("p", tag("label", "Your name", for_="name"), name),
        *secret,
        tag("input", type="hidden", name="following", value=following),
        tag("button", "Come in"),
        method="post",
        action=frame.url("/login"),
        class_="login",
    )
    words = "Your name stands beside what you say, so that others know whose it is."
    said = tag("p", problem, class_="problem", role="alert") if problem else ""
    return document(frame, "Who are you?", [tag("h1", "Who are you?"), tag("p", words), said, form])
