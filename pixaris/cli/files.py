"""What the commands that take a search file share: its arguments, how it is read, checked and described."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from pixaris.components import assemble
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.search.check import Checked
from pixaris.search.file.spec import SearchSpec, read_search_file
from pixaris.search.price import price_of
from pixaris.search.space.space import Parameter
from pixaris.types import ParamValue

_OBJECTIVE = "objective"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a search file."""
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="the search file: YAML, or a Python module with SEARCH and SPACE",
    )
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        action="append",
        default=[],
        help="generate here instead of on the file's endpoints; may be given several times",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help=(
            "change a key of the file, e.g. --set search.num_samples=4 --set dataset=./photos; may be given"
            " several times"
        ),
    )


def cache_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--no-cache``."""
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="generate every image, and keep none for later (pixaris cache info tells what there is)",
    )


def read(
    options: argparse.Namespace, overrides: list[str], *, need_parameters: bool = True
) -> tuple[SearchSpec, list[Problem]]:
    """Read the search file with what the command line changes."""
    cache = ["cache=false"] if getattr(options, "no_cache", False) else []
    return read_search_file(
        options.file,
        [*options.overrides, *cache, *overrides],
        endpoints=options.endpoint,
        need_parameters=need_parameters,
    )


def check(
    spec: SearchSpec, problems: list[Problem], *, every_endpoint: bool, searching: bool = True
) -> Checked:
    """Check a search as far as possible, and raise all that is wrong at once.

    Args:
        spec: The file's content.
        problems: What is wrong with it so far.
        every_endpoint: Whether every endpoint must answer, or just one.
        searching: Whether it must have an objective.

    Raises:
        ConfigurationError: Something is wrong.
    """
    search = assemble(spec, problems)
    complete = search is not None and len(search.metrics) == len(
        spec.metrics
    )  # else its scores are not all known
    checked = (
        search.check(every_endpoint=every_endpoint, searching=searching and complete)
        if search is not None
        else None
    )
    more = checked.problems if checked else ()
    if any(one.where == _OBJECTIVE for one in problems):  # told already, by the names of the metrics
        more = tuple(one for one in more if one.where != _OBJECTIVE)
    found = list(dict.fromkeys([*problems, *more]))
    if found or checked is None:
        raise ConfigurationError(found, str(spec.path))
    return checked


def owner(checked: Checked) -> str:
    """Whose values the baseline has."""
    return "workflow" if checked.search.image_generator.workflow is not None else "default"


def describe(checked: Checked) -> str:
    """What will be run, in a few lines."""
    search, setup = checked.search, checked.setup
    places = [source.label for source in checked.sources]
    lines = [
        f"eval set    {setup.eval_set.name}: {len(setup.eval_set)} items"
        + (f", {setup.seeds} seeds each" if setup.seeds > 1 else "")
        + (f", inputs {', '.join(setup.eval_set.input_folders)}" if setup.eval_set.input_folders else "")
        + (
            f", references {', '.join(setup.eval_set.reference_folders)}"
            if setup.eval_set.reference_folders
            else ""
        ),
        *(f"not used    {sentence}" for sentence in setup.eval_set.passed_over),
        *(f"result      {sentence}" for sentence in search.image_generator.remarks),
        f"endpoints   {', '.join(places) or search.image_generator.__class__.__name__}",
    ]
    if budget := search.limits_of_spending():
        lines.append(f"budget      {budget.describe()}")
    baseline = checked.baseline()
    whose = owner(checked)
    for index, parameter in enumerate(checked.space.parameters):
        head = "parameters" if index == 0 else ""
        only = (
            f", when {', '.join(condition.describe() for condition in parameter.when)}"
            if parameter.when
            else ""
        )
        lines.append(
            f"{head:<11} {parameter.name}: {parameter.describe()}{only}{_own(baseline, parameter, whose)}"
        )
    lines += [f"{'':<11} {template.name}: {template.text}" for template in checked.space.templates]
    if (price := price_of(checked)) is not None:
        lines.append(f"price       {price.describe()}")
    return "\n".join(lines)


def _own(baseline: Mapping[str, ParamValue], parameter: Parameter, whose: str) -> str:
    """The value that the baseline has; a constant has the same in every set."""
    if parameter.name not in baseline or parameter.domain.kind == "constant":
        return ""
    value = baseline[parameter.name]
    return f" ({whose}: {'empty text' if value == '' else value})"
