"""``pixaris dataset demo DIR``, and the commands of `pixaris.cli.dataset_bucket`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pixaris.cli import dataset_bucket


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    demo = kinds.add_parser("demo", help="photographs for the files in search_spaces/")
    demo.add_argument(
        "folder", metavar="DIR", type=Path, help="where the eval sets go, e.g. local_experiment_inputs/demo"
    )
    dataset_bucket.arguments(kinds)


def main(options: argparse.Namespace) -> int:
    """Make the eval sets, or copy one."""
    if options.kind in dataset_bucket.KINDS:
        return dataset_bucket.main(options)
    from pixaris.data_loaders.demo import prepare

    for name, count in prepare(options.folder).items():
        print(f"{options.folder / name}: {count} items")
    return 0
