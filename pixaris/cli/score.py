"""``pixaris score DIR --metric NAME …``."""

from __future__ import annotations

import argparse
import csv
import inspect
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pixaris.components import METRICS
from pixaris.exceptions import ConfigurationError, DatasetError, Problem
from pixaris.experiment.existing import Scores, score_images
from pixaris.metrics.base import BaseMetric
from pixaris.plugins import make, resolve
from pixaris.search.file.reader import Reader
from pixaris.terminal import console
from pixaris.types import EvalSet

_PIPE_WIDTH = 400


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of the images to score")
    parser.add_argument(
        "--metric",
        metavar="METRIC",
        action="append",
        required=True,
        help=(
            "a name (pixaris metrics lists them), module:Class, or as in a search file: '{type: boundary_f,"
            " tolerance: 0.02}'; may be given several times"
        ),
    )
    parser.add_argument(
        "--reference",
        metavar="DIR",
        type=Path,
        help="folder of the images to compare with; files are matched by name without suffix",
    )
    parser.add_argument(
        "--mask", metavar="DIR", type=Path, help="folder of the masks, matched in the same way"
    )
    parser.add_argument(
        "--prompt", metavar="TEXT", help="what the images should show, for the metrics that need it"
    )
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print JSON instead of a table")
    printed.add_argument(
        "--csv", action="store_true", help="print CSV instead of a table, one line per image"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write the scores to a .json or .csv file, too"
    )


def main(options: argparse.Namespace) -> int:
    """Score images that exist; 1 if there is not one score."""
    from pixaris.files import write_bytes

    metrics = _metrics(options)
    if options.output:
        suffix = options.output.suffix.lower()
    else:
        suffix = ""
    if options.output and suffix not in (".json", ".csv"):
        raise ConfigurationError(f"--output {options.output} must end in .json or .csv")
    eval_set = _eval_set(options.folder, metrics)
    scores = score_images(eval_set, str(options.folder), metrics)
    directions = {name: direction for metric in metrics for name, direction in metric.directions().items()}
    if options.output:
        if suffix == ".json":
            text = as_json(scores, directions)
        else:
            text = as_csv(scores)
        try:
            write_bytes(options.output, text.encode())
        except OSError as error:
            raise ConfigurationError(
                f"--output {options.output} cannot be written: {error.strerror}"
            ) from None
    if options.json or options.csv:
        print(as_json(scores, directions) if options.json else as_csv(scores), end="")
    elif scores.metrics:
        _print_table(scores, directions)
    for item in scores.items:
        if item.error is not None:
            print(f"{item.name}: {item.error}", file=sys.stderr)
    for name, reason in scores.failures.items():
        print(f"{name}: {reason}", file=sys.stderr)
    if not scores.metrics:
        print("error: not one image has a score", file=sys.stderr)
        return 1
    return 0


def _metrics(options: argparse.Namespace) -> list[BaseMetric]:
    """The metrics that the command line names.

    Raises:
        ConfigurationError: A metric or an option is unknown or missing; all faults are told at once.
    """
    given = {"reference": options.reference, "mask": options.mask, "prompt": options.prompt}
    values = {name: str(value) for name, value in given.items() if value is not None}
    metrics: list[BaseMetric] = []
    problems: list[Problem] = []
    for text in options.metric:
        where = f"--metric {text}"
        try:
            name, own = _named(text)
            cls: type[BaseMetric] = resolve(name, METRICS, BaseMetric)
            takes = inspect.signature(cls).parameters
            added = {
                option: value for option, value in values.items() if option in takes and option not in own
            }
            # Only what the metric can take as an option: its error then names the option to add.
            lacks = [need for need in cls.needs if need in takes and need not in own and need not in values]
            try:
                metrics.append(make(cls, {**added, **own}))
            except ConfigurationError as error:
                hint = "".join(f"; add --{need} {'TEXT' if need == 'prompt' else 'DIR'}" for need in lacks)
                problems += [Problem(where, f"{problem}{hint}") for problem in error.problems]
        except ConfigurationError as error:
            problems += [Problem(where, str(problem)) for problem in error.problems]
    scores = [name for metric in metrics for name in metric.scales()]
    # One would overwrite the other in the table.
    for name in dict.fromkeys(name for name in scores if scores.count(name) > 1):
        problems.append(Problem("--metric", f"{name!r} is given by several metrics; name each once"))
    if problems:
        raise ConfigurationError(problems)
    return metrics


def _named(text: str) -> tuple[str, Mapping[str, object]]:
    """A metric's name and options, as written on the command line."""
    from pixaris.search.file.yaml_file import parse_yaml

    if not text.lstrip().startswith("{"):
        return text, {}
    document = parse_yaml(text)
    reader = Reader(document)
    component = reader.component("", document.value)
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return component.type, component.options


def _eval_set(folder: Path, metrics: list[BaseMetric]) -> EvalSet:
    """The images and what they are compared with, as an eval set whose folders are called by their paths.

    Raises:
        DatasetError: A folder is missing or empty, names do not match, an image cannot be decoded; all faults
            are told at once.
    """
    from pixaris.data_loaders.base import aligned

    paths = dict.fromkeys([str(folder), *(name for metric in metrics for name in metric.reference_folders())])
    missing = [Problem(path, "is no folder") for path in paths if not Path(path).is_dir()]
    if missing:
        raise DatasetError(missing)
    try:
        files = {path: _files(Path(path)) for path in paths}
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", str(error.filename)) from None
    eval_set = aligned(
        "images to score", files, [path for path in paths if path != str(folder)], place="images to score"
    )
    for sentence in eval_set.passed_over:
        print(f"not used: {sentence}", file=sys.stderr)
    return eval_set


def _files(folder: Path) -> dict[str, Path]:
    # Other files too: what is passed over is told, not hidden.
    return {file.name: file for file in sorted(folder.iterdir()) if not file.is_dir()}


def as_json(scores: Scores, directions: Mapping[str, str]) -> str:
    """The scores as JSON: per item, and summed up."""
    items = []
    for item in scores.items:
        error = None if item.error is None else str(item.error)
        items.append({"name": item.name, "scores": dict(item.scores), "error": error})
    metrics = {
        name: {"mean": value.mean, "std": value.std, "count": value.count, "direction": directions.get(name)}
        for name, value in scores.metrics.items()
    }
    whole = {"items": items, "metrics": metrics, "failures": dict(scores.failures)}
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(scores: Scores) -> str:
    """The scores as CSV: a line per item; a score that is missing is empty."""
    names = list(dict.fromkeys(name for item in scores.items for name in item.scores))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["name", *names, "error"])
    for item in scores.items:
        writer.writerow([item.name, *(item.scores.get(name, "") for name in names), item.error or ""])
    return buffer.getvalue()


def _print_table(scores: Scores, directions: Mapping[str, str]) -> None:
    from rich.table import Table

    words = {"max": " ↑", "min": " ↓"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("image", overflow="fold")
    for name in scores.metrics:
        table.add_column(f"{name}{words.get(directions.get(name, ''), '')}", justify="right")
    for item in scores.items:
        table.add_row(item.name, *(_shown(item.scores.get(name)) for name in scores.metrics))
    table.add_section()
    summaries = scores.metrics.values()
    table.add_row("mean", *(_shown(value.mean) for value in summaries), style="bold")
    table.add_row("standard deviation", *(_shown(value.std) for value in summaries))
    table.add_row("images", *(str(value.count) for value in summaries))
    screen = console()
    (screen if screen.is_terminal else console(_PIPE_WIDTH)).print(table)


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}"
