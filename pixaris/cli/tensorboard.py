"""``pixaris tensorboard SEARCH``."""

from __future__ import annotations

import argparse
import threading

from pixaris.cli import searches
from pixaris.exceptions import ConfigurationError
from pixaris.results.folders import find_search
from pixaris.results.paths import SearchPaths
from pixaris.terminal import say


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.argument(parser)
    parser.add_argument("--port", type=int, default=None, help="default: one that is free")


def main(options: argparse.Namespace) -> int:
    """Serve a search's TensorBoard on this machine until Ctrl-C."""
    from pixaris.experiment_handlers.tensorboard import launch

    folder = SearchPaths(find_search(searches.results_of(options), options.search)).tensorboard
    if not folder.is_dir():
        raise ConfigurationError(f"{folder.parent} has no TensorBoard events; its trials keep them elsewhere")
    say(f"TensorBoard of {folder.parent.name}: {launch(folder, options.port)} (Ctrl-C ends it)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("")
    return 0
