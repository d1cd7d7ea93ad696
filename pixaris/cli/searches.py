"""What the commands that look at earlier searches share: how one is named, found and read."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixaris.config import Config
from pixaris.exceptions import ConfigurationError
from pixaris.files import plain, safe_name
from pixaris.results.folders import find_search, find_trial
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.terminal import counting
from pixaris.words import number

UNTOLD = "default: the generator's own"
"""Of a value that a generator has and does not tell."""


def argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a search."""
    parser.add_argument(
        "search",
        metavar="SEARCH",
        help=(
            "the search: its name, PROJECT/NAME, or its folder (pixaris runs lists them); or where a bucket"
            " has it, gs://BUCKET/FOLDER/PROJECT/NAME"
        ),
    )
    results_argument(parser)


def results_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--results``."""
    parser.add_argument(
        "--results",
        metavar="DIR",
        type=Path,
        default=None,
        help="the results folder (default: the configured one)",
    )


def json_argument(parser: argparse._ActionsContainer) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def results_of(options: argparse.Namespace) -> Path:
    """The results folder."""
    return options.results if options.results is not None else Config.load().results_dir


def load(options: argparse.Namespace, name: str | None = None) -> SearchResult:
    """Read the search that is asked for.

    Args:
        options: The command's.
        name: The search's name, where the command has several.

    Raises:
        ConfigurationError: There is none, or several.
    """
    return SearchResult.load(found(results_of(options), options.search if name is None else name))


def found(results: Path, name: str) -> Path:
    """The folder of a search; one in a bucket is brought here first.

    Args:
        results: The results folder.
        name: The search's name, PROJECT/NAME, its folder, or ``gs://bucket/prefix/PROJECT/NAME``.

    Raises:
        ConfigurationError: There is none, or several.
        BucketError: The bucket cannot be read, or has none there.
    """
    if not name.startswith("gs://"):
        return find_search(results, name)
    from pixaris.gcp.storage import BucketPath
    from pixaris.results.bucket.stored import download

    place, config = BucketPath.of(name), Config.load()
    parts = [safe_name(part) for part in (place.bucket, *place.prefix.split("/"))]
    if len(parts) < 3:
        raise ConfigurationError(f"{place} names no search: write gs://BUCKET/FOLDER/PROJECT/SEARCH")
    folder = config.cache_dir.expanduser().parent.joinpath("searches", *parts)
    download(place, folder, config.gcp_project_id, counting("received"))
    return folder


def trial_of(result: SearchResult, name: str) -> TrialResult:
    """A trial by its name or number.

    Raises:
        ConfigurationError: There is none.
    """
    trials = {trial.name: trial for trial in result.trials}
    return trials[find_trial(result.folder, name, list(trials))]


def print_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Print a value as JSON; what is no number is null."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], indent: str = "") -> None:
    """Print columns as wide as they must be; the last one ends where the terminal does, in a pipe it is
    whole.
    """
    rows = [heads, *rows]
    widths = []
    for at in range(len(heads) - 1):
        widths.append(max(len(row[at]) for row in rows))
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in rows:
        line = (
            indent
            + "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
            ).rstrip()
        )
        print(line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…")


def own_value(baseline: TrialResult | None, name: str, whose: str) -> str:
    """What the baseline has of a parameter, in brackets behind a trial's value.

    Args:
        baseline: It, or None.
        name: The parameter.
        whose: Whose values it has.
    """
    if baseline is None:
        return ""
    if name in baseline.values:
        return f"   ({whose}: {number(baseline.values[name])})"
    return f"   ({UNTOLD})" if whose == "default" else ""
