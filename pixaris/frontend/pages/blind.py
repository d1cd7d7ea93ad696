"""The blind comparison, and what its votes say."""

from __future__ import annotations

from pixaris.feedback_handlers.base import Iteration, IterationKey
from pixaris.frontend.opinions import Opinions
from pixaris.frontend.pages.layout import Frame, document, table
from pixaris.report.html import Child, Markup, json_script, tag
from pixaris.statistics.preference.standing import MANY, Share

_ENOUGH = 10
"""Votes for each set after which it counts that sets cannot be told apart."""

_KEYS = (
    ("← or 1", "the left one is better"),
    ("→ or 2", "the right one is better"),
    ("↓ or t or 0", "a tie"),
    ("u", "take the last vote back"),
    ("c", "comment on the next vote"),
    ("space, + −", "zoom both"),
    ("f", "flicker between the two"),
)


def blind(frame: Frame, key: IterationKey, identity: str) -> str:
    """The page where people vote. Nothing in it, and none of its addresses, tells what made an image."""
    url = frame.url(f"/feedback/{identity}")
    sides = [
        tag("button", tag("span", words, class_="unseen"), type="button", id=side, class_="side stage")
        for side, words in (("left", "the left one is better"), ("right", "the right one is better"))
    ]
    buttons = [
        tag("button", words, type="button", id=name)
        for name, words in (
            ("choose-left", "← Left"),
            ("tie", "Tie ↓"),
            ("choose-right", "Right →"),
            ("undo", "Undo (u)"),
            ("zoom", "Zoom (space)"),
        )
    ]
    keys = [part for pressed, words in _KEYS for part in (tag("dt", pressed), tag("dd", words))]
    comment = tag("input", id="comment", maxlength="2000", placeholder="comment (c)", aria_label="comment")
    body = [
        tag("h1", "Which one is better?", class_="unseen"),
        tag("div", *sides, class_="duel", id="duel"),
        tag("div", *buttons, comment, class_="tools duel-tools"),
        tag("p", "", id="progress", class_="note", role="status"),
        tag("details", tag("summary", "Keys"), tag("dl", *keys, class_="facts")),
        tag("p", tag("a", "What the votes say", href=f"{url}/standing"), class_="note"),
        json_script("data", {"url": url}),
    ]
    return document(frame, f"Blind comparison of {key.name}", body, ["blind.js"])


def standing(frame: Frame, one: Iteration, identity: str, found: Opinions) -> str:
    """What the votes of an iteration say."""
    url = frame.url(f"/feedback/{identity}")
    body: list[Child] = [
        tag(
            "p",
            tag("a", one.key.project, href=frame.url("/feedback")),
            " / ",
            tag("a", one.key.name, href=url),
            class_="note",
        ),
        tag("h1", "What the votes say"),
        tag("p", _sentence(found), class_="sentence"),
        tag("p", tag("a", "Vote", href=f"{url}/blind", class_="button"), class_="tools"),
    ]
    if found.votes:
        body += [_places(found), _wins(found), _trust(found)]
    return document(frame, "What the votes say", body)


def _sentence(found: Opinions) -> str:
    if not found.votes:
        return "Nobody has voted yet."
    first = [found.runs[place.number] for place in found.standing.places if place.is_first]
    if len(first) == 1:
        who = f"{first[0]} is first"
    else:
        who = f"{len(first)} are tied first: {', '.join(first)}"
    needed = found.standing.needed
    if not needed:
        rest = "no more votes are needed to name the best"
    # Early on every guess is beyond the limit, which says nothing of the sets.
    elif needed >= MANY and found.votes < _ENOUGH * len(found.runs):
        rest = "it is too early to say how many more it takes"
    elif needed >= MANY:
        rest = f"the best can hardly be told apart: that takes more than {MANY} more"
    else:
        rest = f"about {needed} more votes would name the best"
    return f"{who}, after {found.votes} votes; {rest}."


def _places(found: Opinions) -> Markup:
    rows: list[list[Child]] = []
    for place in found.standing.places:
        low, high = place.rank
        if low == high:
            rank = str(low)
        else:
            rank = f"{low}–{high}"
        words = ""
        if place.is_first and high > 1:
            words = "tied first"
        elif place.is_first:
            words = "first"
        cells = [f"{rank} {words}".strip(), f"{place.theta:+.2f}", f"{place.best:.0%}", str(place.votes)]
        rows.append([found.runs[place.number], *cells])
    return table(("set", "rank (95 %)", "worth, in logits", "is the best", "votes"), rows, "Ranks")


def _wins(found: Opinions) -> Markup:
    # Best first in both directions: wins then gather above the diagonal.
    order = [place.number for place in found.standing.places]
    rows: list[list[Child]] = []
    for one in order:
        cells = ["" if one == other else f"{found.standing.wins[one, other]:g}" for other in order]
        rows.append([found.runs[one], *cells])
    heads = ["wins over", *(found.runs[other] for other in order)]
    return table(heads, rows, "Wins of the row over the column; a tie counts half")


def _trust(found: Opinions) -> Markup:
    rows: list[list[Child]] = [
        ["the left side won (half, if sides do not matter)", *_share(found.left)],
        ["people who were asked twice said the same", *_share(found.agreement)],
    ]
    rows += [[f"{name} prefers what people prefer", *_share(share)] for name, share in found.metrics.items()]
    rows += [[f"votes of {rater}", str(count), "", ""] for rater, count in found.raters.items()]
    rows.append(["ties", str(found.ties), "", ""])
    return table(("", "votes", "share", "95 % interval"), rows, "How far this can be trusted")


def _share(share: Share) -> list[Child]:
    if share.share is None:
        return ["0", "–", ""]
    low, high = share.interval
    return [str(share.of), f"{share.share:.0%}", f"{low:.0%} to {high:.0%}"]
