"""Feedback in a table of BigQuery, its images in a bucket of Google Cloud Storage.

One table holds everything as rows that are only ever added: an iteration is a row, and so is what a person
said. What is written goes through streaming inserts with an insert id, which drop a row that is sent again;
reads drop what slipped through. Queries take what they look for as parameters. Rows that the first Pixaris
wrote into the same table count too, and stay as they are.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pixaris.exceptions import ConfigurationError, StorageError, nearest
from pixaris.feedback_handlers.base import (
    AnyEntry,
    FeedbackHandler,
    FeedbackImage,
    Iteration,
    IterationKey,
    Log,
    check_iteration,
)
from pixaris.feedback_handlers.bigquery_table import FeedbackTable
from pixaris.feedback_handlers.earlier import Earlier, earlier_of
from pixaris.feedback_handlers.entries import entry_of, images_of, row_of
from pixaris.files import safe_name, storing
from pixaris.gcp.storage import Bucket
from pixaris.images import decode, digest, read_image_file

_LATE_MICROSECONDS = 10_000_000
"""How much later than its time a row may be seen: clocks differ, and inserts overtake each other."""

_LOOK_SECONDS = 10.0
"""BigQuery counts ten megabytes for every look at the least, and takes a second or two."""

_FREE_BYTES = 100_000_000
"""Bytes of a read that nobody needs to be told of."""


class BigqueryFeedbackHandler(FeedbackHandler):
    """Keeps feedback where several people and machines share it.

    Args:
        gcp_project_id: The Google Cloud project that is charged; "": the table's own.
        gcp_bq_feedback_table: ``project.dataset.table``.
        gcp_feedback_bucket: The bucket of the images.
        local_feedback_directory: Where images are kept on this machine while they are looked at.

    Raises:
        ConfigurationError: The table's name is none.
    """

    look_seconds = _LOOK_SECONDS

    def __init__(
        self,
        gcp_project_id: str,
        gcp_bq_feedback_table: str,
        gcp_feedback_bucket: str,
        local_feedback_directory: str | Path = "local_results",
    ) -> None:
        self.table = FeedbackTable(gcp_project_id, gcp_bq_feedback_table)
        self.bucket = Bucket(gcp_feedback_bucket, gcp_project_id)
        self.folder = Path(local_feedback_directory).absolute() / ".feedback"
        self._open()

    def __getstate__(self) -> dict[str, object]:
        kept = ("table", "bucket", "folder")
        return {name: self.__dict__[name] for name in kept}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._open()

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[IterationKey, tuple[float, Iteration]] = {}
        self._seen: dict[IterationKey, set[str]] = {}

    @property
    def notes(self) -> list[str]:
        """What whoever starts a page on it should know: what a look at everything costs, where it is much."""
        size = self.table.read_bytes()
        if size < _FREE_BYTES:
            return []
        return [
            f"a look at all iterations reads {size / 1e6:.0f} MB of {self.table.name}; Google charges for it"
        ]

    # Iterations

    def create(self, iteration: Iteration) -> Iteration:
        """Keep a new iteration, its images in the bucket under the digests of their pixels."""
        check_iteration(iteration)
        key = iteration.key
        if key in self._keys():
            raise ConfigurationError(
                f"project {key.project!r} has a feedback iteration {key.name!r} already; give this one"
                " another name"
            )
        images = tuple(self._kept(key, image) for image in iteration.images)
        kept = replace(iteration, images=images)
        self.table.insert(
            key,
            {"kind": "iteration", "id": f"iteration {key.project}/{key.name}", "content": _packed(kept)},
        )
        self._remember(kept)
        return kept

    def extend(self, key: IterationKey, images: Sequence[FeedbackImage]) -> None:
        """Add images to an iteration, as a row of their own."""
        whole = self._load(key)
        known = {image.name for image in whole.images}
        fresh = tuple(self._kept(key, image) for image in images if image.name not in known)
        if not fresh:
            return
        name = f"iteration {key.project}/{key.name}, from image {len(known)}"
        added = replace(whole, images=fresh)
        self.table.insert(key, {"kind": "iteration", "id": name, "content": _packed(added)})
        self._remember(replace(whole, images=(*whole.images, *fresh)))

    def iterations(self) -> Sequence[IterationKey]:
        """All there are, by project and name."""
        return sorted(self._keys())

    def load(self, key: IterationKey) -> Iteration:
        """An iteration; its images are read from the bucket where they are not here yet."""
        with self._lock:
            since, known = self._loaded.get(key, (-math.inf, None))
        if known is None or time.monotonic() - since > _LOOK_SECONDS:
            known = self._load(key)
        for image in known.images:
            self._fetch(key, image)
        return known

    def _load(self, key: IterationKey) -> Iteration:
        rows = self.table.rows("kind = 'iteration'", key)
        earlier = self._earlier(key)
        if earlier is not None and not rows:
            self._remember(earlier.iteration)
            return earlier.iteration
        if not rows:
            hint = nearest(key.name, [other.name for other in self._keys()])
            raise ConfigurationError(f"project {key.project!r} has no feedback iteration {key.name!r}{hint}")
        parts = [_unpacked(key, row["content"], self._folder(key)) for row in rows]
        if earlier is not None:
            parts = [earlier.iteration, *parts]
        images = {image.name: image for part in parts for image in part.images}
        found = replace(parts[0], images=tuple(images.values()))
        self._remember(found)
        return found

    def _remember(self, iteration: Iteration) -> None:
        with self._lock:
            self._loaded[iteration.key] = time.monotonic(), iteration

    def _keys(self) -> set[IterationKey]:
        rows = [*self.table.rows("kind = 'iteration'"), *self.table.earlier_rows()]
        return {IterationKey(row["project"], row["feedback_iteration"]) for row in rows}

    def _earlier(self, key: IterationKey) -> Earlier | None:
        """What the first Pixaris kept of an iteration in this table; None if nothing."""
        found = earlier_of(key.project, self.table.earlier_rows(key), self._folder(key).parent)
        return next(found, None)

    def _folder(self, key: IterationKey) -> Path:
        return self.folder / safe_name(key.project) / safe_name(key.name)

    def _object(self, key: IterationKey, file: Path) -> str:
        return f"feedback_iterations/{safe_name(key.project)}/{safe_name(key.name)}/{file.name}"

    def _kept(self, key: IterationKey, image: FeedbackImage) -> FeedbackImage:
        data = read_image_file(image.file)
        pixels = digest(decode(data, image.name))
        file = self._folder(key) / f"{pixels[:24]}{image.file.suffix.lower() or '.png'}"
        with storing(self.folder):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        self.bucket.upload(file, self._object(key, file))
        return replace(image, file=file, digest=pixels)

    def _fetch(self, key: IterationKey, image: FeedbackImage) -> None:
        if image.file.is_file():
            return
        found = self.bucket.find(self._object(key, image.file))
        if found is None:  # where the first Pixaris had it
            found = self.bucket.find(f"{key.project}/{key.name}/{image.name}")
        if found is None:
            raise StorageError(
                f"gs://{self.bucket.name}/{self._object(key, image.file)}, an image of feedback iteration"
                f" {key.name!r}, is gone"
            )
        with storing(self.folder):
            image.file.parent.mkdir(parents=True, exist_ok=True)
            self.bucket.download(found, image.file)

    # What is said

    def write(self, key: IterationKey, entry: AnyEntry) -> None:
        """Keep what a person said; it is in the table when this returns."""
        with self._lock:
            _, known = self._loaded.get(key, (0.0, None))
        if known is not None:
            names = {image.name for image in known.images}
        else:
            names = set()
        if not names.issuperset(images_of(entry)):
            known = None  # it may have been added to
        _require_images(known or self._load(key), entry)
        self.table.insert(key, row_of(entry))

    def read(self, key: IterationKey, after: int = 0) -> Log:
        """What was said of an iteration; `Log.until` is a time in microseconds.

        A row that is seen late, because its writer's clock is behind or another overtook it, is told too, up
        to ten seconds late.
        """
        with self._lock:
            seen = self._seen.setdefault(key, set())
            if after and seen:
                since = after - _LATE_MICROSECONDS
            else:
                since = after
        rows = self.table.rows("kind != 'iteration'", key, since)
        with self._lock:
            fresh = [row for row in rows if not after or row["id"] not in seen]
            seen.update(row["id"] for row in rows)
        entries = [entry_of(row) for row in fresh]
        until = max([after, *(row["written"] for row in fresh)])
        if after:
            return Log(tuple(entries), until)
        earlier = self._earlier(key)
        if earlier is not None:
            entries = [*earlier.entries, *entries]
        return Log(tuple(entries), max(until, 1))


def _require_images(iteration: Iteration, entry: AnyEntry) -> None:
    known = {image.name for image in iteration.images}
    for name in images_of(entry):
        if name not in known:
            raise ConfigurationError(f"the iteration has no image {name!r}")


def _packed(iteration: Iteration) -> str:
    images = [_packed_image(image) for image in iteration.images]
    return json.dumps(
        {"created": iteration.created, "directions": dict(iteration.directions), "images": images}
    )


def _packed_image(image: FeedbackImage) -> dict[str, object]:
    return {
        "name": image.name,
        "file": image.file.name,
        "item": image.item,
        "run": image.run,
        "dataset": image.dataset,
        "digest": image.digest,
        "scores": dict(image.scores),
    }


def _unpacked(key: IterationKey, content: str, folder: Path) -> Iteration:
    kept = json.loads(content)
    images = [FeedbackImage(**{**image, "file": folder / image["file"]}) for image in kept["images"]]
    return Iteration(key, tuple(images), kept["created"], kept["directions"])
