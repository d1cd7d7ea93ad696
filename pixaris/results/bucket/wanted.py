"""What somebody wants of a search that is kept in a bucket: endpoints used no more, or again, asked from
anywhere.
"""

from __future__ import annotations

import json
import time
from typing import Any, get_args

from pixaris.endpoints.base import EndpointStatus, Use
from pixaris.exceptions import BucketChangedError, BucketError
from pixaris.files import append_json_line, read_json_lines, storing
from pixaris.gcp.storage import Bucket, BucketObject, BucketPath
from pixaris.results.bucket.lease import LEASE, is_silent
from pixaris.results.endpoints_file import endpoints_in
from pixaris.results.paths import SearchPaths

WANTED = ".wanted.jsonl"
"""The object beside a search's files that has a line for each wish, the oldest first."""

LOOK_SECONDS = 3.0
"""From one look for new wishes to the next, at the least: each is one small request."""

_TRIES = 8


def ask_in_bucket(place: BucketPath, bucket: Bucket, url: str, use: Use) -> None:
    """Ask the process that runs a search, on whatever machine, to use an endpoint no more, or again.

    Args:
        place: Where the search is kept.
        bucket: Its bucket.
        url: The endpoint's.
        use: What is wanted.

    Raises:
        BucketError: The bucket cannot be written.
    """
    name = f"{place.prefix}/{WANTED}"
    line = json.dumps({"url": url, "use": use, "at": time.time()}).encode() + b"\n"
    for _ in range(_TRIES):
        found = bucket.find(name)
        try:
            before = b"" if found is None else bucket.read(found)
            # Read and written as a whole, since a bucket cannot append; a change in between is noticed, and
            # then it begins again.
            bucket.write(before + line, name, replacing=0 if found is None else found.generation)
        except BucketChangedError:
            continue  # somebody else has asked for something meanwhile
        return
    raise BucketError(f"gs://{bucket.name}/{name} is changed all the time; ask again")


def running_in_bucket(place: BucketPath, bucket: Bucket, now: float) -> tuple[EndpointStatus, ...] | None:
    """The endpoints of a search in a bucket as they were told last; None if nobody works at it.

    Args:
        place: Where the search is kept.
        bucket: Its bucket.
        now: Unix time.

    Raises:
        BucketError: The bucket cannot be read.
    """
    if bucket.find(f"{place.prefix}/{LEASE}") is None or is_silent(place, bucket, now):
        return None
    found = bucket.find(f"{place.prefix}/{SearchPaths.ENDPOINTS}")
    if found is None:
        return ()
    try:
        return endpoints_in(bucket.read(found))
    except BucketChangedError:  # it was written anew between the two requests
        return running_in_bucket(place, bucket, now)


class Wishes:
    """Brings what is asked for in a bucket into the folder of the search, where its process finds it.

    Args:
        place: Where the search is kept.
        bucket: Its bucket.
        paths: The search's, here.
    """

    def __init__(self, place: BucketPath, bucket: Bucket, paths: SearchPaths) -> None:
        self._name = f"{place.prefix}/{WANTED}"
        self._bucket = bucket
        self._paths = paths
        self._seen: BucketObject | None = None
        self._next_look = 0.0

    def look(self, now: float) -> None:
        """Take what is new, if it is time to look.

        Args:
            now: Seconds of a clock that never goes back.

        Raises:
            BucketError: The bucket cannot be read.
            StorageError: The folder cannot be written.
        """
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        found = self._bucket.find(self._name)
        if found is None or found == self._seen:
            return
        try:
            lines = self._bucket.read(found)
        except BucketChangedError:  # at the next look
            return
        # A search that goes on elsewhere has brought the earlier wishes with its folder.
        known = [_wish(row) for row in read_json_lines(self._paths.switches)]
        with storing(self._paths.folder):
            for wish in filter(_is_one, map(_row, lines.splitlines())):
                if _wish(wish) not in known:
                    append_json_line(self._paths.switches, wish, make_folder=False)
        # Last, so that what failed is tried again at the next look.
        self._seen = found


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _is_one(row: dict[str, Any]) -> bool:
    return row.get("use") in get_args(Use) and isinstance(row.get("url"), str)


def _wish(row: dict[str, Any]) -> tuple[Any, ...]:
    return row.get("url"), row.get("use"), row.get("at")
