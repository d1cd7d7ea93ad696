"""``pixaris check FILE``."""

from __future__ import annotations

import argparse

from pixaris.cli import files


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    files.arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Find everything wrong; exit 2 if there is anything."""
    spec, problems = files.read(options, [], need_parameters=False)
    checked = files.check(spec, problems, every_endpoint=True, searching=bool(spec.space.parameters))
    print(files.describe(checked))
    print("no problems found")
    return 0
