"""Rows of the feedback database as values, and back."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from pixaris.exceptions import ConfigurationError, nearest
from pixaris.feedback_handlers.base import (
    AnyEntry,
    FeedbackImage,
    Iteration,
    IterationKey,
    Log,
)
from pixaris.feedback_handlers.entries import COLUMNS, entry_of, images_of, row_of

_NAMES = ", ".join(COLUMNS)


def keys(database: sqlite3.Connection) -> list[IterationKey]:
    """All iterations, by project and name."""
    rows = database.execute("select project, name from iterations order by project, name")
    return [IterationKey(project, name) for project, name in rows]


def number_of(database: sqlite3.Connection, key: IterationKey) -> int:
    """An iteration's number.

    Raises:
        ConfigurationError: There is none.
    """
    number = _find(database, key)
    if number is None:
        hint = nearest(key.name, [other.name for other in keys(database)])
        raise ConfigurationError(f"project {key.project!r} has no feedback iteration {key.name!r}{hint}")
    return number


def require_free(database: sqlite3.Connection, key: IterationKey) -> None:
    """Return if there is no iteration of a name.

    Raises:
        ConfigurationError: There is one.
    """
    if _find(database, key) is not None:
        message = f"project {key.project!r} has a feedback iteration {key.name!r} already"
        raise ConfigurationError(f"{message}; give this one another name")


def insert(database: sqlite3.Connection, iteration: Iteration, root: Path) -> int:
    """Add an iteration, and give its number.

    Args:
        database: In a transaction.
        iteration: The iteration.
        root: Files are kept relative to it, so that the folder can be moved.

    Raises:
        ConfigurationError: There is one of its name.
    """
    require_free(database, iteration.key)
    number = database.execute(
        "insert into iterations (project, name, created, directions) values (?, ?, ?, ?)",
        (
            iteration.key.project,
            iteration.key.name,
            iteration.created,
            json.dumps(dict(iteration.directions)),
        ),
    ).lastrowid
    assert number is not None, "sqlite3 gives the number of a row that it has inserted"
    _add_images(database, number, iteration.images, root)
    return number


def extend(
    database: sqlite3.Connection, key: IterationKey, images: Sequence[FeedbackImage], root: Path
) -> None:
    """Add images to an iteration, after those that it has; names that it has are passed over.

    Raises:
        ConfigurationError: There is none.
    """
    number = number_of(database, key)
    known = {image.name for image in load(database, key, root).images}
    # Numbered on from those that are there, so that pages that are open keep their places.
    _add_images(database, number, [image for image in images if image.name not in known], root, len(known))


def merge(
    database: sqlite3.Connection, iteration: Iteration, entries: Sequence[AnyEntry], root: Path
) -> None:
    """Add an iteration and what was said of it, or what of both is not there yet."""
    number = _find(database, iteration.key)
    if number is None:
        number = insert(database, iteration, root)
    else:
        _add_images(database, number, iteration.images, root)
    for entry in entries:
        append(database, number, entry)


def load(database: sqlite3.Connection, key: IterationKey, root: Path) -> Iteration:
    """An iteration.

    Raises:
        ConfigurationError: There is none.
    """
    number = number_of(database, key)
    created, directions = database.execute(
        "select created, directions from iterations where id = ?", (number,)
    ).fetchone()
    rows = database.execute(
        "select name, file, item, run, dataset, digest, scores from images where iteration = ?"
        " order by place, name",
        (number,),
    )
    images = [
        FeedbackImage(name, root / file, item, run, dataset, pixels, json.loads(scores))
        for name, file, item, run, dataset, pixels, scores in rows
    ]
    return Iteration(key, tuple(images), created, json.loads(directions))


def require_images(database: sqlite3.Connection, number: int, entry: AnyEntry) -> None:
    """Return if an iteration has the images that an entry is of.

    Raises:
        ConfigurationError: It has not.
    """
    for name in images_of(entry):
        query = "select 1 from images where iteration = ? and name = ?"
        if database.execute(query, (number, name)).fetchone() is None:
            raise ConfigurationError(f"the iteration has no image {name!r}")


def append(database: sqlite3.Connection, number: int, entry: AnyEntry) -> None:
    """Add an entry; one that is there already is passed over."""
    marks = ", ".join(f":{name}" for name in COLUMNS)
    database.execute(
        f"insert or ignore into entries (iteration, {_NAMES}) values (:iteration, {marks})",
        {"iteration": number, **row_of(entry)},
    )


def read(database: sqlite3.Connection, number: int, after: int) -> Log:
    """What was said of an iteration after an entry's number."""
    # By number, not by time: the clocks of several writers differ.
    rows = database.execute(
        f"select number, {_NAMES} from entries where iteration = ? and number > ? order by number",
        (number, after),
    ).fetchall()
    entries = [entry_of(dict(zip(COLUMNS, row[1:], strict=True))) for row in rows]
    return Log(tuple(entries), rows[-1][0] if rows else after)


def _find(database: sqlite3.Connection, key: IterationKey) -> int | None:
    row = database.execute(
        "select id from iterations where project = ? and name = ?", (key.project, key.name)
    ).fetchone()
    if row is None:
        return None
    return int(row[0])


def _add_images(
    database: sqlite3.Connection,
    number: int,
    images: Sequence[FeedbackImage],
    root: Path,
    already: int = 0,
) -> None:
    rows: list[tuple[object, ...]] = []
    for place, image in enumerate(images, already):
        # Relative, so that the results folder can be moved with its feedback.
        file, scores = os.path.relpath(image.file, root), json.dumps(dict(image.scores))
        where = (image.item, image.run, image.dataset)
        rows.append((number, place, image.name, file, *where, image.digest, scores))
    database.executemany("insert or ignore into images values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
