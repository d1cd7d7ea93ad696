"""``pixaris runs``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pixaris.cli import searches
from pixaris.exceptions import ConfigurationError
from pixaris.files import JsonObject
from pixaris.results.paths import RunPaths, SearchPaths

_SEARCH = ("search", "changed", "status", "trials", "images", "best")
_RUN = ("run", "changed", "status", "images", "scores")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.results_argument(parser)
    searches.json_argument(parser)
    parser.add_argument(
        "--delete",
        metavar="NAME",
        nargs="+",
        help="delete these, named as they are listed; without --yes, only tell what would go",
    )
    parser.add_argument("--yes", action="store_true", help="with --delete: delete them")


def main(options: argparse.Namespace) -> int:
    """List searches, then single runs, the newest last; or delete some."""
    from pixaris.results import folders

    results = searches.results_of(options)
    if options.delete:
        return _delete(results, options.delete, really=options.yes)
    # A --yes that does nothing would be believed to have deleted something.
    if options.yes:
        raise ConfigurationError("--yes has a meaning with --delete only")
    read = (_search(folder, results) for folder in folders.searches(results))
    found = sorted((row for row in read if row is not None), key=lambda row: row["changed"])
    single = sorted(
        (_run(folder, results) for folder in folders.runs(results)), key=lambda row: row["changed"]
    )
    if options.json:
        searches.print_json({"results": str(results), "searches": found, "runs": single})
        return 0
    if not found and not single:
        print(f"no searches and no runs in {results}")
        return 0
    if found:
        searches.print_table(
            _SEARCH, [(*_facts(row), str(row["trials"]), str(row["images"]), _best(row)) for row in found]
        )
    if single:
        if found:
            print()
        searches.print_table(_RUN, [(*_facts(row), str(row["images"]), _scores(row)) for row in single])
    return 0


def _delete(results: Path, names: Sequence[str], *, really: bool) -> int:
    """Delete searches and runs, or tell what would go.

    Raises:
        ConfigurationError: There is none of a name, or it is still running, or lies elsewhere.
    """
    from pixaris.cli import deletion
    from pixaris.words import size

    found = deletion.find(results, names)
    for one in found:
        print(f"{'deleted' if really else 'would go'}  {one.name}  {size(one.size)}, {one.files} files")
        if really:
            deletion.delete(one)
    # Telling first what would go is the usual, since nothing of it comes back.
    if not really:
        print("nothing was deleted; add --yes to delete")
    return 0


def _search(folder: Path, results: Path) -> JsonObject | None:
    from pixaris.results.records import SearchResult

    try:
        result = SearchResult.load(folder)
    except ConfigurationError as error:  # one damaged folder hides no other
        print(f"left out: {error}", file=sys.stderr)
        return None
    best = result.best
    return {
        "name": folder.relative_to(results).as_posix(),
        "status": result.status,
        "trials": len(result.trials),
        "images": result.images,
        "metric": result.metric,
        "best": best.name if best else None,
        "score": best.objective if best else None,
        "changed": SearchPaths(folder).head.stat().st_mtime,
        "folder": str(folder),
    }


def _run(folder: Path, results: Path) -> JsonObject:
    from pixaris.files import read_json

    record = read_json(RunPaths(folder).record) or {}
    return {
        "name": folder.relative_to(results).as_posix(),
        "status": record.get("status", ""),
        "images": _inner(record, "items").get("generated", 0),
        "scores": {
            name: row.get("mean") for name, row in _inner(record, "metrics").items() if isinstance(row, dict)
        },
        "changed": RunPaths(folder).record.stat().st_mtime,
        "folder": str(folder),
    }


def _inner(record: dict[str, object], key: str) -> dict[str, object]:
    """A section of a record that somebody may have edited."""
    value = record.get(key)
    if isinstance(value, dict):
        return value
    return {}


def _facts(row: JsonObject) -> tuple[str, str, str]:
    return row["name"], time.strftime("%Y-%m-%d %H:%M", time.localtime(row["changed"])), str(row["status"])


def _best(row: dict[str, object]) -> str:
    if row["score"] is None:
        return "no score"
    return f"{row['metric']} {row['score']:.4f} ({row['best']})"


def _scores(row: JsonObject) -> str:
    means = row["scores"].items()
    return ", ".join(f"{name} {mean:.4f}" for name, mean in means if isinstance(mean, int | float)) or "none"
