"""What the commands that take a search file share: its arguments, how it is read, checked and described."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from pixaris.cli.searches import UNTOLD
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.components import assemble, is_foreign
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.experiment.setup import RunSetup
from pixaris.generation.base import each
from pixaris.search.check import CheckedSearch
from pixaris.search.check import check as check_search
from pixaris.search.estimate import price_of
from pixaris.search.file.spec import SearchSpec, read_search_file
from pixaris.search.space.parameter import Parameter
from pixaris.search.space.problems import unknown_inputs
from pixaris.search.steering.steering import Steering
from pixaris.terminal import say
from pixaris.types import ParamValue


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a search file."""
    parser.add_argument(
        "file",
        metavar="FILE",
        type=Path,
        help="the search file: YAML, or a Python module with SEARCH and SPACE",
    )
    changes_arguments(parser)


def changes_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that change a search file's content."""
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
    options: argparse.Namespace,
    overrides: list[str],
    *,
    need_parameters: bool = True,
    trust: bool = True,
) -> tuple[SearchSpec, list[Problem]]:
    """Read the search file with what the command line changes."""
    if getattr(options, "no_cache", False):
        cache = ["cache=false"]
    else:
        cache = []
    return read_search_file(
        options.file,
        [*options.overrides, *cache, *overrides],
        endpoints=options.endpoint,
        need_parameters=need_parameters,
        trust=trust,
    )


def check(
    spec: SearchSpec,
    problems: list[Problem],
    *,
    probing: bool,
    searching: bool = True,
    trust: bool = True,
) -> CheckedSearch:
    """Check a search as far as possible, and raise all that is wrong at once.

    Args:
        spec: The file's content.
        problems: What is wrong with it so far.
        probing: Whether endpoints without nodes are asked too whether they can be used.
        searching: Whether it must have an objective.
        trust: Whether classes of the user's own may be imported.

    Raises:
        ConfigurationError: Something is wrong.
    """
    made: list[Problem] = []
    if spec.endpoints:
        asked = " and the endpoints"
    else:
        asked = ""
    say(f"checking    {spec.source.path}: the eval set{asked} …")
    settings = assemble(spec, made, trust=trust)
    found = [*problems, *spec.source.located(made)]
    if settings is None:
        raise ConfigurationError(tuple(dict.fromkeys(found)), str(spec.source.path))
    # An objective of a metric that could not be made would be told as unknown.
    complete = len(settings.metrics) == len(spec.metrics)  # else its scores are not all known
    checked = check_search(settings, probing=probing, searching=searching and complete)
    later = [*spec.source.fresh(checked.problems), *_unknown_inputs(spec, checked)]
    found += spec.source.located(later)
    if found:
        # Last, and only beside other problems: by itself it is no fault of the file.
        found += checked.unreachable
        # Two stages may find the same.
        raise ConfigurationError(tuple(dict.fromkeys(found)), str(spec.source.path))
    checked.raise_problems()
    for silence in checked.survey.silences():
        say(f"note: {silence}")
    return checked


def foreign_code(spec: SearchSpec) -> list[str]:
    """What the file names that would run code of somebody's own when it is checked: one line each."""
    named = spec.generator.types
    named.update({one.where: one.type for one in spec.metrics})
    own = [f"{where}: {name}" for where, name in named.items() if is_foreign(name)]
    return [*own, *spec.source.unread]


def _unknown_inputs(spec: SearchSpec, checked: CheckedSearch) -> list[Problem]:
    """Inputs that do not exist, of the parameters that are left out because their values are wrong."""
    found: list[Problem] = []
    infos: list[ObjectInfo | None] = [*checked.survey.infos.values()]
    # Without any server the workflow alone tells which inputs there are.
    for info in infos or [None]:
        found += unknown_inputs(spec.source.unbound, checked.settings.generator, info)
    return found


def owner(checked: CheckedSearch) -> str:
    """Whose values the baseline has."""
    first = next(iter(each(checked.settings.generator).values()))
    if first.workflow is not None:
        return "workflow"
    return "default"


def describe(checked: CheckedSearch, values: Mapping[str, ParamValue] | None = None) -> str:
    """What will be run, in a few lines.

    Args:
        checked: The search.
        values: The parameter set of a single run; by default the parameters' domains are told.
    """
    settings, setup = checked.settings, checked.setup
    sources = ", ".join(source.label for source in checked.sources)
    remarks = [f"not used    {sentence}" for sentence in setup.eval_set.passed_over]
    remarks += [f"guessed     {sentence}" for sentence in setup.eval_set.remarks]
    remarks += [f"result      {sentence}" for sentence in settings.generator.remarks]
    lines = [
        f"eval set    {_eval_set(setup, len(checked.held_out))}",
        *remarks,
        f"endpoints   {sources or type(settings.generator).__name__}",
    ]
    if budget := settings.limits.budget:
        lines.append(f"budget      {budget.describe()}")
    if values is None and (steering := Steering.of(checked)) is not None:
        lines.append(f"votes       {steering.describe()}")
    if values is None:
        rows = _domains(checked)
    else:
        rows = _values(checked, values)
    heads = ["parameters", *[""] * len(rows)]
    lines += [f"{head:<11} {row}" for head, row in zip(heads, rows, strict=False)]
    if (price := price_of(checked)) is not None:
        lines.append(f"price       {price.describe()}")
    return "\n".join(lines)


def _eval_set(setup: RunSetup, held_out: int) -> str:
    eval_set = setup.eval_set
    parts = [f"{eval_set.name}: {len(eval_set)} items"]
    if held_out:
        parts.append(f"{held_out} more held out")
    if setup.seeds > 1:
        parts.append(f"{setup.seeds} seeds each")
    if eval_set.input_folders:
        parts.append(f"inputs {', '.join(eval_set.input_folders)}")
    if eval_set.reference_folders:
        parts.append(f"references {', '.join(eval_set.reference_folders)}")
    if eval_set.columns:
        parts.append(f"columns {', '.join(eval_set.columns)}")
    return ", ".join(parts)


def _domains(checked: CheckedSearch) -> list[str]:
    """What varies, with the baseline's values."""
    baseline, whose = checked.baseline(), owner(checked)
    rows = []
    for parameter in checked.space.parameters:
        conditions = ", ".join(condition.describe() for condition in parameter.when)
        if conditions:
            only = f", when {conditions}"
        else:
            only = ""
        rows.append(f"{parameter.name}: {parameter.describe()}{only}{_own(baseline, parameter, whose)}")
    return rows + [f"{template.name}: {template.text}" for template in checked.space.templates]


def _values(checked: CheckedSearch, values: Mapping[str, ParamValue]) -> list[str]:
    """A parameter set, and what of it differs from the baseline."""
    baseline, whose = checked.baseline(), owner(checked)
    rows = []
    for name, value in values.items():
        if name in baseline and baseline[name] != value:
            changed = f" ({whose}: {baseline[name]})"
        else:
            changed = ""
        rows.append(f"{name} = {value}{changed}")
    return rows


def _own(baseline: Mapping[str, ParamValue], parameter: Parameter, whose: str) -> str:
    """The value that the baseline has; a constant has the same in every set."""
    if parameter.domain.kind == "constant":
        return ""
    if parameter.name not in baseline:
        if whose == "default":
            return f" ({UNTOLD})"
        return ""
    value = baseline[parameter.name]
    return f" ({whose}: {'empty text' if value == '' else value})"
