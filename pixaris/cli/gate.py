"""``pixaris gate FILE --baseline REF --max-regression SCORE=NUMBER``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pixaris.cli import run, searches
from pixaris.cli.compare import REFERENCE
from pixaris.exceptions import ConfigurationError

if TYPE_CHECKING:
    from pixaris.results.comparison.gate import GateResult
    from pixaris.results.comparison.scored import ScoredRun


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    run.arguments(parser)
    parser.add_argument("--baseline", metavar="REF", help=f"what must not become worse: {REFERENCE}")
    parser.add_argument(
        "--max-regression",
        metavar="SCORE=NUMBER",
        action="append",
        default=[],
        help="by how much a score may be worse on average; may be given several times",
    )
    parser.add_argument(
        "--allow-undecided",
        action="store_true",
        help="exit with 0, not 4, where the items are too few to be sure",
    )
    parser.add_argument(
        "--save",
        metavar="FILE",
        type=Path,
        help="keep the scores as the baseline of later gates, unless they are worse than --baseline",
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the results as JUnit XML, too")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results as JSON, too")


def main(options: argparse.Namespace) -> int:
    """Run the eval set once and hold it against a baseline; 0 passed, 1 worse, 4 undecided."""
    from pixaris.results.comparison import gate
    from pixaris.results.comparison.scored import of_folder, read_run
    from pixaris.results.manifest import items

    _check(options)
    # Before the run: a typo must not cost an eval set.
    limits = gate.read_limits(options.max_regression)
    prepared = run.prepare(options)
    baseline = None
    if options.baseline is not None:
        baseline = read_run(prepared.checked.settings.home.results, options.baseline)
        gate.check_baseline(baseline, items(prepared.checked.setup.eval_set), limits)
    record, folder = run.execute(prepared)
    if run.report(record, folder, prepared.folder) != 0:
        return 1
    found = of_folder(folder)
    if baseline is None:
        _save(found, options.save)
        return 0
    results = gate.gate(baseline, found, limits)
    outcome = gate.outcome_of(results)
    print(f"\n{found.name} against {baseline.name}")
    # No problem, only worth knowing: a new workflow is what a gate is mostly run for.
    if baseline.workflow != found.workflow:
        print("  the workflow has changed")
    rows = [(one.outcome, one.metric, one.sentence) for one in results]
    searches.print_table(("", "score", "change"), rows, "  ")
    _write(results, options, found, baseline)
    if outcome == "worse":
        # Without saving: a worse run must never become the next baseline.
        return gate.EXIT_CODES[outcome]
    _save(found, options.save)
    if options.allow_undecided:
        return 0
    return gate.EXIT_CODES[outcome]


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is generated."""
    if options.baseline is None and options.save is None:
        raise ConfigurationError("gate needs --baseline REF, or --save FILE to make a baseline")
    if options.baseline is None and (options.max_regression or options.junit or options.json):
        raise ConfigurationError("--max-regression, --junit and --json need --baseline REF")
    if options.baseline is not None and not options.max_regression:
        raise ConfigurationError("gate needs --max-regression SCORE=NUMBER, for instance ssim=0.01")


def _save(found: ScoredRun, file: Path | None) -> None:
    if file is None:
        return
    found.save(file)
    print(f"baseline     {file}")


def _write(
    results: list[GateResult], options: argparse.Namespace, found: ScoredRun, baseline: ScoredRun
) -> None:
    from pixaris.files import write_bytes, write_json
    from pixaris.results.comparison.gate import junit, outcome_of

    if options.junit is not None:
        write_bytes(options.junit, junit(results, allow_undecided=options.allow_undecided))
    if options.json is not None:
        rows = [asdict(one) for one in results]
        told = {"outcome": outcome_of(results), "run": found.name, "baseline": baseline.name, "limits": rows}
        write_json(options.json, told)
