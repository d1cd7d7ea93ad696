"""Iterations of feedback: the list, and the images that are liked or not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pixaris.feedback_handlers.base import Iteration, IterationKey
from pixaris.frontend.pages.layout import Frame, document, table, when
from pixaris.report.html import Child, Markup, json_script, tag
from pixaris.words import listed

_KEYS = (
    ("l or 1", "like"),
    ("d or 2", "dislike"),
    ("0", "neither"),
    ("c", "comment"),
    ("← → or k j", "the image before, after"),
    ("z", "the whole image"),
)


def index(frame: Frame, keys: Sequence[IterationKey], ids: Sequence[str]) -> str:
    """All iterations, by project."""
    body: list[Child] = [tag("h1", "Feedback")]
    if not keys:
        words = "There are no feedback iterations yet: mark sets of a search, and choose “Ask for feedback”."
        body.append(tag("p", words))
    for project in dict.fromkeys(key.project for key in keys):
        found: list[list[Child]] = []
        for key, identity in zip(keys, ids, strict=True):
            if key.project == project:
                url = frame.url(f"/feedback/{identity}")
                links = [
                    tag("a", "blind comparison", href=f"{url}/blind"),
                    " · ",
                    tag("a", "what the votes say", href=f"{url}/standing"),
                ]
                found.append([tag("a", key.name, href=url), tag("span", *links)])
        body.append(
            tag("section", tag("h2", project), table(("iteration", ""), found, f"Iterations of {project}"))
        )
    return document(frame, "Feedback", body)


def iteration(
    frame: Frame,
    one: Iteration,
    identity: str,
    totals: Mapping[str, object],
    own: Mapping[int, Mapping[str, str]],
) -> str:
    """The images of an iteration.

    Args:
        frame: For whom, and where.
        one: The iteration.
        identity: Its name in addresses.
        totals: What people said.
        own: What whoever looks at it said, by place.
    """
    url = frame.url(f"/feedback/{identity}")
    options = [("", "the iteration's order"), ("name", "name"), ("likes", "likes"), ("dislikes", "dislikes")]
    sort = tag("select", *(tag("option", words, value=key) for key, words in options), id="sort")
    tools = tag(
        "div",
        tag("label", "Sort by ", sort),
        tag("a", "Blind comparison", href=f"{url}/blind", class_="button"),
        tag("a", "What the votes say", href=f"{url}/standing", class_="button"),
        tag("span", "", id="count", class_="note"),
        class_="tools",
    )
    keys = [part for key, words in _KEYS for part in (tag("dt", key), tag("dd", words))]
    body: list[Child] = [
        tag(
            "p",
            tag("a", one.key.project, href=frame.url("/feedback")),
            f" · {when(one.created)}",
            class_="note",
        ),
        tag("h1", one.key.name),
        tools,
        tag(
            "div",
            *(_figure(one, url, place) for place in range(len(one.images))),
            class_="gallery",
            id="images",
        ),
        tag("details", tag("summary", "Keys"), tag("dl", *keys, class_="facts")),
        json_script("data", {"url": url, "totals": totals, "own": own}),
    ]
    return document(frame, one.key.name, body, ["feedback.js"])


def _figure(one: Iteration, url: str, place: int) -> Markup:
    image = one.images[place]
    # Lazy: an iteration may have two thousand images.
    picture = tag("img", src=f"{url}/image/{place}/256", alt=image.name, loading="lazy")
    votes = [
        tag("button", words, type="button", data_verdict=verdict, aria_pressed="false", aria_label=label)
        for verdict, words, label in (
            ("like", "▲", f"like {image.name}"),
            ("dislike", "▼", f"dislike {image.name}"),
        )
    ]
    label = f"comment on {image.name}"
    comment = tag("input", class_="comment", maxlength="2000", placeholder="comment", aria_label=label)
    caption = tag(
        "figcaption",
        tag("b", image.name),
        tag("div", listed(image.scores), class_="note") if image.scores else "",
        tag(
            "div",
            votes[0],
            tag("span", "0", class_="likes"),
            votes[1],
            tag("span", "0", class_="dislikes"),
            class_="votes",
        ),
        comment,
        tag("ul", class_="comments"),
    )
    link = tag("a", picture, href=f"{url}/image/{place}/0", tabindex="-1")
    facts = json.dumps({"name": image.name})
    return tag("figure", link, caption, tabindex="-1", data_place=place, data_facts=facts)
