"""``pixaris run FILE``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.cli import files
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.files import safe_name
from pixaris.results.paths import RunPaths, SearchPaths
from pixaris.search.check import CheckedSearch
from pixaris.search.local import local_pool
from pixaris.terminal import say
from pixaris.types import GenerationParam, ParamValue, RunRecord


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    files.arguments(parser)
    files.cache_argument(parser)
    parser.add_argument(
        "--name", default=None, help="name of the run (default: the file's name and the time)"
    )
    parser.add_argument(
        "--param",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="value of one of the file's parameters; the others keep the workflow's own",
    )


@dataclass(frozen=True)
class Prepared:
    """A single run, checked.

    Attributes:
        checked: The search file's content.
        name: The run's name.
        given: Its parameter set.
        params: What is bound into the workflow for it.
    """

    checked: CheckedSearch
    name: str
    given: Mapping[str, ParamValue]
    params: tuple[GenerationParam, ...]

    @property
    def folder(self) -> Path:
        """The folder it shares with others of its eval set."""
        home = self.checked.settings.home
        return home.project_folder / safe_name(self.checked.setup.eval_set.name)


def main(options: argparse.Namespace) -> int:
    """Run the eval set once, and say how it went."""
    prepared = prepare(options)
    say(files.describe(prepared.checked, prepared.given))
    run, own = execute(prepared)
    return report(run, own, prepared.folder)


def prepare(options: argparse.Namespace) -> Prepared:
    """Read and check what is to be run.

    Raises:
        ConfigurationError: All that is wrong with it.
    """
    import time

    spec, problems = files.read(options, [], need_parameters=False)
    checked = files.check(spec, problems, probing=False, searching=False)
    given = chosen(options.param, checked.baseline(), str(options.file), checked.space.names)
    # Where a parameter has no value the set is not whole: that one keeps the workflow's own.
    whole = bool(options.param) and not checked.space.lacking(given)
    if unfit := _unfit(checked, options.param, given):
        raise ConfigurationError(unfit, str(options.file))
    # With the time: two runs of one file are two runs.
    name = options.name or f"{spec.home.name}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    if safe_name(name) != name:
        raise ConfigurationError(
            f"--name {name!r} cannot name a folder; write for instance {safe_name(name)!r}"
        )
    params = (*spec.generation_params, *checked.space.bind(given, partial=not whole))
    return Prepared(checked, name, given, params)


def execute(prepared: Prepared) -> tuple[RunRecord, Path]:
    """Run it; gives the record and its own folder."""
    from pixaris.components import files_and_events
    from pixaris.experiment_handlers.local import LocalExperimentHandler
    from pixaris.orchestration.base import generate_images_based_on_dataset

    checked, settings, folder = prepared.checked, prepared.checked.settings, prepared.folder
    images = checked.space.bind_images(prepared.given)
    with local_pool(checked, SearchPaths(folder).logs / prepared.name, _tell) as (pool, admitted):
        run = generate_images_based_on_dataset(
            settings.data_loader,
            admitted.generator,
            files_and_events(settings.home.results, folder),
            settings.metrics,
            {
                "project": settings.home.project,
                "experiment_run_name": prepared.name,
                "generation_params": prepared.params,
                "pillow_images": [
                    {"node_name": title, "pillow_image": image} for title, image in images.items()
                ],
                "seeds": settings.images.seeds,
            },
            pool=pool,
            cache=settings.keeping.cache,
            progress=_say,
        )
    return run, LocalExperimentHandler(settings.home.results).folder_of(run)


def chosen(
    arguments: list[str], baseline: dict[str, ParamValue], source: str, names: Sequence[str] = ()
) -> dict[str, ParamValue]:
    """The workflow's own values, with those of ``--param``.

    Args:
        arguments: ``NAME=VALUE`` each.
        baseline: The workflow's own values.
        source: The search file.
        names: Of all parameters; some may have no value in the baseline.

    Raises:
        ConfigurationError: A name is unknown, or an argument has no ``=``.
    """
    from pixaris.search.file.yaml_file import scalar

    values, problems = dict(baseline), []
    for argument in arguments:
        name, sign, text = argument.partition("=")
        known_names = tuple(names) or tuple(baseline)
        if not sign or name not in known_names:
            known = ", ".join(known_names) or "none"
            problems.append(
                Problem(
                    f"--param {argument}",
                    f"must be NAME=VALUE of a parameter{nearest(name, known_names)}; there are {known}",
                )
            )
        else:
            # Read as the search file reads it, so that 0.5 is a number in both places.
            values[name] = scalar(text)[0]
    if problems:
        raise ConfigurationError(problems, source)
    return values


def _unfit(checked: CheckedSearch, arguments: list[str], given: dict[str, ParamValue]) -> list[Problem]:
    """Values of ``--param`` that no server takes, found before one is started."""
    generator = checked.settings.generator
    workflow = generator.workflow
    # None: what can be told by the workflow alone.
    infos: list[ObjectInfo | None] = [*checked.survey.infos.values()] or [None]
    problems: list[Problem] = []
    for argument in dict.fromkeys(arguments):
        name = argument.partition("=")[0]
        for param in checked.space.bind({name: given[name]}, partial=True):
            fault = generator.fault(param)
            if fault:
                told = [fault.message]
            else:
                told = []
            for info in infos:
                try:
                    if workflow is not None:
                        workflow.bind([param], info)
                except ConfigurationError as error:
                    told += [problem.message for problem in error.problems]
            where = f"--param {argument}"
            problems += [
                Problem(where, f"`{param.input}` of node {param.node_name!r} {text}")
                # Several servers say the same.
                for text in dict.fromkeys(told)
            ]
    return problems


def _say(run: RunRecord) -> None:
    scores = " · ".join(f"{name} {value.mean:.4f}" for name, value in run.metrics.items())
    if run.failures:
        failed = f" · {len(run.failures)} failed"
    else:
        failed = ""
    say(f"images {len(run.items)}/{len(run.eval_set)}{failed} · {scores}")


def _tell(event: str) -> None:
    print(f"note: {event}", flush=True)


def report(run: RunRecord, own: Path, folder: Path) -> int:
    """Print how it went; 1 if no image was made.

    Args:
        run: The run.
        own: Its own folder.
        folder: The folder it shares with others of its eval set.
    """
    from pixaris.cli.invocation import shown
    from pixaris.experiment_handlers.tensorboard import command
    from pixaris.words import credits

    for item in run.failures:
        print(f"{item.name}: {item.error}", file=sys.stderr)
    for remark in run.notes.get("remarks", ()):
        print(f"note: {remark}")
    for name, value in run.metrics.items():
        if value.count > 1:
            spread = f", spread {value.std:.4f}"
        else:
            spread = ""
        if value.count == 1:
            images = "image"
        else:
            images = "images"
        print(f"{name:<12} {value.mean:.4f} on {value.count} {images}{spread}")
    if charged := credits(run.cost, run.unaccounted):
        print(f"charged      {charged}")
    if run.cached:
        print(f"cache        {run.cached} images were taken from it")
    print(f"images       {shown(RunPaths(own).images)}")
    print(f"TensorBoard  {command(shown(SearchPaths(folder).tensorboard))}")
    if run.status == "failed":
        print("error: not one image was made", file=sys.stderr)
        return 1
    return 0
