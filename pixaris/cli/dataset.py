"""``pixaris dataset demo|check DIR``, and the commands of `pixaris.cli.dataset_bucket`."""

from __future__ import annotations

import argparse
from pathlib import Path

from pixaris.cli import dataset_bucket
from pixaris.types import EvalSet


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    demo = kinds.add_parser("demo", help="photographs for the files in search_spaces/")
    demo.add_argument(
        "folder", metavar="DIR", type=Path, help="where the eval sets go, e.g. local_experiment_inputs/demo"
    )
    check = kinds.add_parser("check", help="what of a folder, or a file of prompts, would be used for what")
    check.add_argument("folder", metavar="DIR", type=Path, help="the folder, or the file of prompts")
    dataset_bucket.arguments(kinds)


def main(options: argparse.Namespace) -> int:
    """Make the eval sets, look at one, or copy one."""
    if options.kind == "check":
        return check(options.folder)
    if options.kind in dataset_bucket.KINDS:
        return dataset_bucket.main(options)
    from pixaris.data_loaders.demo import prepare

    for name, count in prepare(options.folder).items():
        print(f"{options.folder / name}: {count} items")
    return 0


def check(path: Path) -> int:
    """Load an eval set, and say what is in it.

    Raises:
        DatasetError: All that is wrong with it.
    """
    from pixaris.data_loaders.local import LocalDatasetLoader
    from pixaris.data_loaders.prompts import SUFFIXES, PromptDatasetLoader

    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        found = PromptDatasetLoader(path).load_dataset()
    else:
        found = LocalDatasetLoader.at(path).load_dataset()
    names = [item.name for item in found.items]
    print(f"eval set    {found.name}: {len(found)} items, {names[0]} to {names[-1]}")
    for folder in found.input_folders:
        print(f"images      {folder}: {_sizes(found, folder)}")
        print(f"            feeds the node titled 'Load {folder} Image', or a metric as its reference")
    for column in found.columns:
        print(f"texts       {column}: {_lengths(found, column)}")
    for sentence in found.remarks:
        print(f"note        {sentence}")
    for sentence in found.passed_over:
        print(f"not used    {sentence}")
    return 0


def _sizes(found: EvalSet, folder: str) -> str:
    """How many images there are of which sizes."""
    sizes = [item.inputs[folder].size for item in found.items]
    least = min(sizes, key=lambda size: size[0] * size[1])
    most = max(sizes, key=lambda size: size[0] * size[1])
    if least == most and len(set(sizes)) == 1:
        return f"{len(sizes)} of {least[0]}×{least[1]}"
    return f"{len(sizes)} from {least[0]}×{least[1]} to {most[0]}×{most[1]}"


def _lengths(found: EvalSet, column: str) -> str:
    """How many texts there are, and how long."""
    lengths = [len(item.texts[column]) for item in found.items]
    filled = sum(length > 0 for length in lengths)
    return f"{filled} of {len(lengths)}, up to {max(lengths)} characters"
