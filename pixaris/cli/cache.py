"""``pixaris cache info|clear|prune``."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from typing import TypeVar

from pixaris.cache.local import LocalCache, size_of
from pixaris.components import bucket_cache, cache_of
from pixaris.config import Config
from pixaris.exceptions import ConfigurationError
from pixaris.gcp.storage import BucketPath
from pixaris.words import size

T = TypeVar("T", int, float)
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    info = actions.add_parser("info", help="where it lies, how many images it has, how large it is")
    place = "of a cache in a bucket, gs://BUCKET/FOLDER, as the search file names it (default: the folder's)"
    info.add_argument("place", metavar="gs://…", nargs="?", default="", help=place)
    info.add_argument("--json", action="store_true", help="print JSON, for scripts")
    actions.add_parser("clear", help="remove every image")
    prune = actions.add_parser(
        "prune", help="remove what was not used for longest; without options, down to the limit"
    )
    prune.add_argument("place", metavar="gs://…", nargs="?", default="", help=place)
    prune.add_argument("--to", metavar="SIZE", help="until so much is left, such as 5GB")
    prune.add_argument(
        "--unused-for",
        metavar="TIME",
        help="what was not used for so long, such as 30d, 12h or 90m; in a bucket, what was stored before",
    )


def main(options: argparse.Namespace) -> int:
    """Tell, or make room."""
    cache = cache_of(Config.load())
    if getattr(options, "place", ""):
        return _in_bucket(cache, options)
    if options.action == "info":
        return _info(cache, as_json=options.json)
    limit, since = None, None
    if options.action == "clear":
        limit = 0
    else:
        if options.to is not None:
            limit = _told("--to", options.to, size_of)
        if options.unused_for is not None:
            since = time.time() - _told("--unused-for", options.unused_for, _seconds)
            if limit is None:
                # Only what is old goes then, unless even that leaves too much.
                limit = cache.limit
    count, removed = cache.prune(limit, since)
    left = sum(entry.size for entry in cache.entries())
    print(f"removed {count} images, {size(removed)}; {size(left)} are left in {cache.folder}")
    return 0


def _info(cache: LocalCache, *, as_json: bool) -> int:
    entries = list(cache.entries())
    total = sum(entry.size for entry in entries)
    oldest = min((entry.used for entry in entries), default=None)
    if as_json:
        facts = {
            "folder": str(cache.folder),
            "images": len(entries),
            "bytes": total,
            "limit": cache.limit,
            "oldest_use": oldest,
        }
        print(json.dumps(facts))
        return 0
    print(f"folder   {cache.folder}  (PIXARIS_CACHE_DIR, or cache_dir in config.yaml)")
    print(f"images   {len(entries)}")
    print(f"size     {size(total)} of {size(cache.limit)}  (PIXARIS_CACHE_SIZE, or cache_size)")
    if oldest is not None:
        print(f"oldest   used last on {time.strftime('%Y-%m-%d %H:%M', time.localtime(oldest))}")
    return 0


def _in_bucket(near: LocalCache, options: argparse.Namespace) -> int:
    """The same of a cache in a bucket, which knows when an image was stored and not when it was used."""
    cache = bucket_cache(BucketPath.of(options.place), near, Config.load())
    if options.action == "info":
        entries = cache.entries()
        oldest = min((entry.stored for entry in entries), default=None)
        total = sum(entry.size for entry in entries)
        facts = {"place": str(cache.place), "images": len(entries), "bytes": total, "limit": cache.limit}
        if options.json:
            print(json.dumps({**facts, "oldest_stored": oldest}))
            return 0
        allowed = "no limit" if cache.limit is None else size(cache.limit)
        print(f"place    {cache.place}")
        print(f"images   {len(entries)}")
        print(f"size     {size(total)} of {allowed}  (PIXARIS_CACHE_BUCKET_SIZE, or cache_bucket_size)")
        if oldest is not None:
            print(f"oldest   stored on {time.strftime('%Y-%m-%d %H:%M', time.localtime(oldest))}")
        return 0
    limit, since = cache.limit, 0.0
    if options.to is not None:
        limit = _told("--to", options.to, size_of)
    if options.unused_for is not None:
        since = time.time() - _told("--unused-for", options.unused_for, _seconds)
    # Without any limit nothing would go, and silence would look like success.
    if limit is None and not since:
        rule = "has no limit; write --to SIZE or --unused-for TIME, or set cache_bucket_size"
        raise ConfigurationError(f"the cache {cache.place} {rule}")
    count, removed = cache.prune(limit, since)
    print(f"removed {count} images, {size(removed)}, from {cache.place}")
    return 0


def _told(option: str, text: str, read: Callable[[str], T]) -> T:
    try:
        return read(text)
    except ConfigurationError as error:
        raise ConfigurationError([f"{option} {problem.message}" for problem in error.problems]) from None


def _seconds(text: str) -> float:
    # So many digits at most: a longer number is a slip, and overflows the clock.
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?) *([mhdw])", text.strip())
    if match is None:
        raise ConfigurationError(f"must be a time such as 30d, 12h or 90m (got {text!r})")
    return float(match[1]) * _SECONDS[match[2]]
