"""``pixaris results push SEARCH gs://…`` and ``pixaris results pull gs://…``."""

from __future__ import annotations

import argparse
from pathlib import Path

from pixaris.cli import searches
from pixaris.cli.transfers import project_argument
from pixaris.config import Config
from pixaris.exceptions import ConfigurationError
from pixaris.results.folders import find_search
from pixaris.terminal import counting, say
from pixaris.words import size


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    ways = parser.add_subparsers(dest="way", metavar="WAY", required=True)
    push = ways.add_parser("push", help="copy a search into a bucket; a second time only what is new")
    searches.argument(push)
    push.add_argument(
        "place",
        metavar="gs://BUCKET/FOLDER",
        nargs="?",
        help="it goes to FOLDER/PROJECT/SEARCH there (default: results/ in the configured bucket)",
    )
    pull = ways.add_parser("pull", help="copy a search from a bucket into the results folder")
    pull.add_argument("place", metavar="gs://BUCKET/FOLDER/PROJECT/SEARCH", help="where it was pushed to")
    searches.results_argument(pull)
    for way in (push, pull):
        project_argument(way)


def main(options: argparse.Namespace) -> int:
    """Copy."""
    if options.way == "push":
        return _push(options)
    return _pull(options)


def _push(options: argparse.Namespace) -> int:
    from pixaris.gcp.storage import BucketPath
    from pixaris.results.bucket.copies import RESULTS, push

    config = Config.load()
    folder = find_search(searches.results_of(options), options.search)
    base = options.place
    if base is None and not config.gcp_pixaris_bucket_name:
        raise ConfigurationError(
            "name a place: pixaris results push SEARCH gs://BUCKET/FOLDER; or set gcp_pixaris_bucket_name in"
            " config.yaml"
        )
    home = BucketPath.of(base or f"gs://{config.gcp_pixaris_bucket_name}/{RESULTS}")
    place = home / folder.parent.name / folder.name
    done = push(folder, place, options.gcp_project or config.gcp_project_id, counting("sent"))
    say(f"{place}: {done.files} files sent ({size(done.size)}), {done.kept} were there")
    return 0


def _pull(options: argparse.Namespace) -> int:
    from pixaris.gcp.storage import BucketPath
    from pixaris.results.bucket.copies import pull

    place = BucketPath.of(options.place)
    parts = [part for part in place.prefix.split("/") if part]
    if len(parts) < 2:
        raise ConfigurationError(f"{place} names no search: write gs://BUCKET/FOLDER/PROJECT/SEARCH")
    # PROJECT/SEARCH, as it lay where it was pushed from.
    folder = Path(searches.results_of(options), *parts[-2:])
    project = options.gcp_project or Config.load().gcp_project_id
    done = pull(place, folder, project, counting("received"))
    say(f"{folder}: {done.files} files received ({size(done.size)}), {done.kept} were there")
    say(f"  look at it   pixaris show {folder}")
    return 0
