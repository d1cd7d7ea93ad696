"""``pixaris tensorboard SEARCH``, and of a search in a bucket."""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from pixaris.cli import searches
from pixaris.config import Config
from pixaris.exceptions import BucketError, ConfigurationError
from pixaris.results.folders import find_search
from pixaris.results.paths import SearchPaths
from pixaris.terminal import say

_REFRESH_SECONDS = 30.0
"""How often events in a bucket are looked for."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.argument(parser)
    parser.add_argument("--port", type=int, default=None, help="default: one that is free")


def main(options: argparse.Namespace) -> int:
    """Serve a search's TensorBoard on this machine until Ctrl-C."""
    if options.search.startswith("gs://"):
        return _serve_bucket(options)
    folder = SearchPaths(find_search(searches.results_of(options), options.search)).tensorboard
    if not folder.is_dir():
        raise ConfigurationError(f"{folder.parent} has no TensorBoard events; its trials keep them elsewhere")
    _serve(folder, folder.parent.name, options.port, lambda: None)
    return 0


def _serve_bucket(options: argparse.Namespace) -> int:
    """Copy the events of a search in a bucket here, again and again, and serve the copies."""
    from pixaris.gcp.storage import BucketPath
    from pixaris.results.bucket.copies import pull

    place = BucketPath.of(options.search)
    project = Config.load().gcp_project_id
    events = SearchPaths(Path()).tensorboard.name
    with tempfile.TemporaryDirectory(prefix="pixaris-tensorboard-") as name:
        folder = Path(name)

        def fetch() -> None:
            pull(place, folder, project, inside=f"{events}/")

        fetch()
        _serve(folder / events, str(place), options.port, fetch)
    return 0


def _serve(folder: Path, name: str, port: int | None, refresh: Callable[[], None]) -> None:
    from pixaris.experiment_handlers.tensorboard import launch

    say(f"TensorBoard of {name}: {launch(folder, port)} (Ctrl-C ends it)")
    try:
        while not _wait(_REFRESH_SECONDS):
            _refreshed(refresh)
    except KeyboardInterrupt:
        say("")


def _refreshed(refresh: Callable[[], None]) -> None:
    try:
        refresh()
    except BucketError as error:
        say(f"  what is shown may be old: {error}")


def _wait(seconds: float) -> bool:
    """Wait; nothing but Ctrl-C ends it earlier."""
    return threading.Event().wait(seconds)
