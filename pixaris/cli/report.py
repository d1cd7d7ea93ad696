"""``pixaris report SEARCH [SEARCH …]``."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from pixaris.cli import searches
from pixaris.cli.invocation import shown


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "searches",
        metavar="SEARCH",
        nargs="+",
        help="its name, PROJECT/NAME, or its folder; several are compared by their common items and scores",
    )
    searches.results_argument(parser)
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        default=None,
        help="write it here (default: report.html in the search's folder)",
    )
    parser.add_argument(
        "--with-originals",
        metavar="ZIP",
        type=Path,
        default=None,
        help="also write this archive: the report and the images in their full size",
    )


def main(options: argparse.Namespace) -> int:
    """Write the report, and say where it is."""
    from pixaris.report import write

    results = [searches.load(options, name) for name in options.searches]
    file = write(results, options.output, with_originals=options.with_originals)
    print(shown(file))
    if options.with_originals is not None:
        print(shown(options.with_originals))
    if options.open:
        webbrowser.open(file.resolve().as_uri())
    return 0
