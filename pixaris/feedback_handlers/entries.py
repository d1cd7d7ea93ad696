"""Entries as rows, which is how every store keeps them, and back."""

from __future__ import annotations

from pixaris.feedback_handlers.base import AnyEntry, Feedback, Retraction, Vote
from pixaris.files import JsonMapping

COLUMNS = ("id", "kind", "rater", "at", "subject", "said", "comment", "rival", "item")
"""Of a row. The subject is the image, the one on the left, or the vote that is taken back; the rival is the
image on the right.
"""


def row_of(entry: AnyEntry) -> dict[str, object]:
    """An entry as a row; what it does not have is ""."""
    row: dict[str, object] = {
        **dict.fromkeys(COLUMNS, ""),
        "id": entry.id,
        "rater": entry.rater,
        "at": entry.at,
    }
    if isinstance(entry, Feedback):
        said = {"kind": "feedback", "subject": entry.image, "said": entry.verdict, "comment": entry.comment}
    elif isinstance(entry, Vote):
        said = {"kind": "vote", "subject": entry.left, "said": entry.outcome, "comment": entry.comment}
        said |= {"rival": entry.right, "item": entry.item}
    else:
        said = {"kind": "retraction", "subject": entry.vote}
    return {**row, **said}


def entry_of(row: JsonMapping) -> AnyEntry:
    """A row as the entry that it was."""
    rater, at, identity, subject = row["rater"], row["at"], row["id"], row["subject"]
    if row["kind"] == "feedback":
        return Feedback(rater, at, identity, subject, row["said"], row["comment"])
    if row["kind"] == "vote":
        return Vote(rater, at, identity, row["item"], subject, row["rival"], row["said"], row["comment"])
    return Retraction(rater, at, identity, subject)


def images_of(entry: AnyEntry) -> tuple[str, ...]:
    """Names of the images that an entry is of."""
    if isinstance(entry, Feedback):
        return (entry.image,)
    if isinstance(entry, Vote):
        return entry.left, entry.right
    return ()
