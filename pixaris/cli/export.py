"""``pixaris export SEARCH``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pixaris.cli import searches
from pixaris.exceptions import ConfigurationError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    searches.argument(parser)
    parser.add_argument("--trial", metavar="ID", default=None, help="trial_0003 or 3 instead of the winner")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=None,
        help="write it here (default: standard output)",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def main(options: argparse.Namespace) -> int:
    """Write the workflow, and say what changed."""
    from pixaris.files import write_text
    from pixaris.search.export import export

    result = searches.load(options)
    if options.trial is None:
        trial = result.best
    else:
        trial = searches.trial_of(result, options.trial)
    if trial is None:
        raise ConfigurationError(
            f"no trial of {result.folder} has a score yet; --trial ID exports one all the same"
        )
    exported = export(result, trial)
    text = json.dumps(exported.workflow, indent=2, ensure_ascii=False) + "\n"
    if options.output == Path("-"):
        output = None
    else:
        output = options.output
    if output is None:
        print(text, end="")
    else:
        if output.exists() and not options.force:
            raise ConfigurationError(f"{output} exists; name another file, or add --force")
        try:
            write_text(output, text)
        except OSError as error:
            raise ConfigurationError(f"{output} cannot be written: {error.strerror or error}") from None
    if trial.objective is None:
        score = "no score"
    else:
        score = f"{result.metric} {trial.objective:.4f} on {trial.scored} images"
    if options.trial is None:
        whose = "the winner"
    else:
        whose = "as asked for"
    print(f"{trial.name} of {result.name} ({whose}, {trial.status}): {score}", file=sys.stderr)
    for line in exported.changes or ("nothing differs from the search's workflow",):
        print(f"  {line}", file=sys.stderr)
    for note in exported.notes:
        print(f"note: {note}", file=sys.stderr)
    if output is not None:
        print(f"written to {output}", file=sys.stderr)
    return 0
