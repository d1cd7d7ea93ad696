"""``pixaris recheck SEARCH``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pixaris.cli import files, searches
from pixaris.cli.invocation import command
from pixaris.exceptions import ConfigurationError
from pixaris.experiment.setup import MOST_SEEDS
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.search.check import CheckedSearch
from pixaris.search.settings import Recheck

_USUAL = Recheck()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.argument(parser)
    parser.add_argument(
        "--top", metavar="N", type=int, help=f"sets to run once more ({_USUAL.top}, or what the file says)"
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=int,
        help=f"new seeds of every item ({_USUAL.seeds}, or what the file says)",
    )
    files.changes_arguments(parser)
    files.cache_argument(parser)


def main(options: argparse.Namespace) -> int:
    """Run the best sets and the baseline once more, with seeds that the search has not used."""
    from pixaris.cli.search import ended, report
    from pixaris.report.progress import listener
    from pixaris.search.driver.start import rechecked  # needs Ray
    from pixaris.terminal import say

    if options.search.startswith("gs://"):
        raise ConfigurationError(
            "a re-check is kept beside its search; bring that here first:"
            f" {command('results', 'pull', options.search)}"
        )
    result = searches.load(options)
    checked = _checked(options, result)
    if result.best is None or all(trial.number == 0 for trial in result.ranking()):
        raise ConfigurationError(f"{result.folder} has no set to check again: none has a score")
    say(f"re-check    {checked.recheck_images} images")
    with listener() as progress:
        result = rechecked(checked, result, progress)
    report(result, files.owner(checked))
    return ended(result)


def _checked(options: argparse.Namespace, result: SearchResult) -> CheckedSearch:
    """The search as its file says it, with the re-check that is asked for.

    Raises:
        ConfigurationError: The file is gone, or describes another search by now.
    """
    from pixaris.results.journal import History
    from pixaris.results.manifest import differences, read_manifest
    from pixaris.search.manifest import manifest_of
    from pixaris.search.resume import Earlier

    paths = SearchPaths(result.folder)
    kept = read_manifest(paths)
    if result.status == "running":
        raise ConfigurationError(f"{result.folder} is still running; its re-check comes after its end")
    if kept.get("rechecks"):
        raise ConfigurationError(
            f"{result.folder} is a re-check itself, of {kept['rechecks']}; name that one"
        )
    file = kept.get("file")
    if not isinstance(file, str) or not Path(file).is_file():
        # A file that was named once and is gone has another way out than a search that never had one.
        if file:
            where = f"its file {file} is gone"
        else:
            where = "it was made in Python"
        raise ConfigurationError(
            f"{result.folder} cannot be checked again from here: {where}; in Python, give Search(recheck=…)"
        )
    options.file = Path(file)
    _change_as_before(options, kept.get("changes", ()))
    spec, problems = files.read(options, [])
    wanted = _wanted(options, spec.evidence.recheck)
    spec = replace(spec, evidence=replace(spec.evidence, recheck=wanted))
    checked = files.check(spec, problems, probing=False)
    changed = tuple(differences(kept, manifest_of(checked)))
    Earlier(result, kept, History.read(paths), changed).raise_problems(file)
    return checked


def _change_as_before(options: argparse.Namespace, words: Sequence[str]) -> None:
    """Let the command line say what it said for the search, unless it says otherwise now.

    Args:
        options: Of this command.
        words: As `Keeping.changes`: options and their values, in turn.
    """
    said = list(zip(words[::2], words[1::2], strict=True))
    if not options.endpoint:
        options.endpoint = [value for name, value in said if name == "--endpoint"]
    before = [value for name, value in said if name == "--set"]
    # Now's last, since the later one of two for a key wins.
    options.overrides = [*before, *options.overrides]


def _wanted(options: argparse.Namespace, given: Recheck | None) -> Recheck:
    """What is asked for: the command line's, else the file's, else the usual.

    Raises:
        ConfigurationError: It is none.
    """
    usual = given or Recheck()
    wanted = Recheck(
        usual.top if options.top is None else options.top,
        usual.seeds if options.seeds is None else options.seeds,
    )
    if wanted.top < 1 or not 1 <= wanted.seeds <= MOST_SEEDS:
        raise ConfigurationError(
            f"--top must be at least 1, and --seeds from 1 to {MOST_SEEDS} (got {wanted.top}, {wanted.seeds})"
        )
    return wanted
