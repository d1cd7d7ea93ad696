"""``pixaris check FILE``."""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

from pixaris.cli import files, searches
from pixaris.components import is_foreign
from pixaris.endpoints.sources.several import pool_of
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.check import CheckedSearch
from pixaris.search.estimate import estimate
from pixaris.search.file.spec import SearchSpec
from pixaris.search.local import local_pool


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    files.arguments(parser)
    parser.add_argument(
        "--start",
        action="store_true",
        help=(
            "start managed servers and tunnels too, hold the file against the first that answers, and stop"
            " them"
        ),
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="also check classes and modules of your own that the file names: that runs their code",
    )
    searches.json_argument(parser)


def main(options: argparse.Namespace) -> int:
    """Find everything wrong; exit 2 if there is anything."""
    if options.json:
        return _for_scripts(options)
    return _for_people(options)


def _for_scripts(options: argparse.Namespace) -> int:
    """Print as JSON what is wrong, and what else was found in the words that people are told."""
    said = io.StringIO()
    problems: tuple[Problem, ...] = ()
    code = 0
    try:
        # What is printed must be one JSON document, whatever else is said on the way.
        with contextlib.redirect_stdout(said):
            _for_people(options)
    except ConfigurationError as error:
        problems, code = error.problems, error.exit_code
    found = {"file": str(options.file), "problems": [_facts(one) for one in problems]}
    searches.print_json({**found, "notes": said.getvalue().splitlines()})
    return code


def _facts(problem: Problem) -> dict[str, str | int | None]:
    """A problem with its key, its line (None where it has none), and the place inside of what that names."""
    key, _, line = problem.path.removesuffix(")").partition(" (line ")
    return {
        "key": key,
        "line": int(line) if line.isdigit() else None,
        "where": problem.where,
        "message": problem.message,
    }


def _for_people(options: argparse.Namespace) -> int:
    spec, problems = files.read(options, [], need_parameters=False, trust=options.trust)
    if options.trust:
        foreign = []
    else:
        foreign = files.foreign_code(spec)
    # Without the generator nobody knows nodes, endpoints or parameters: only the file itself can be checked.
    if foreign and any(map(is_foreign, spec.generator.types.values())):
        return _without_generator(foreign, spec, problems)
    searching = bool(spec.space.parameters)
    checked = files.check(spec, problems, probing=True, searching=searching, trust=options.trust)
    print(files.describe(checked))
    for word, sentence in estimate(checked):
        print(f"{word:<11} {sentence}")
    if checked.survey.others and options.start:
        _start(checked)
    print("no problems found")
    pool = pool_of(checked.sources)
    if pool:
        print(f"not checked: the endpoints of the pool {pool}, which a search asks when it begins")
    elif checked.survey.others and not options.start:
        print(
            "not checked: the nodes and models of servers that are started with the search. They are held"
            " against this file when they answer; pixaris check --start starts them now"
        )
    _tell_unchecked(foreign)
    return 0


def _without_generator(foreign: list[str], spec: SearchSpec, problems: list[Problem]) -> int:
    """Tell what can be told without running code that the file names."""
    if problems:
        raise ConfigurationError(problems, str(spec.source.path))
    print("no problems found in the file itself")
    _tell_unchecked([*foreign, "and what depends on the generator: eval set, endpoints, parameters, scores"])
    return 0


def _tell_unchecked(foreign: list[str]) -> None:
    if foreign:
        print("not checked, because that runs code that the file names (pixaris check --trust does):")
    for line in foreign:
        print(f"  {line}")


def _start(checked: CheckedSearch) -> None:
    """Hold the file against the servers that a search would start.

    Raises:
        ConfigurationError: They lack something.
        UnreachableError: None comes up.
    """
    with tempfile.TemporaryDirectory(prefix="pixaris-check-") as logs, local_pool(checked, Path(logs), print):
        print("started     the servers have all that the file needs")
