"""``pixaris run FILE``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pixaris.cli import files
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.files import safe_name
from pixaris.types import ParamValue, RunRecord


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    files.arguments(parser)
    parser.add_argument("--name", default=None, help="name of the run (default: the file's name and the time)")
    parser.add_argument(
        "--param",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="value of one of the file's parameters; the others keep the workflow's own",
    )


def main(options: argparse.Namespace) -> int:
    """Run the eval set once, and say how it went."""
    import time

    from pixaris.components import files_and_events
    from pixaris.endpoints.local import LocalPool
    from pixaris.orchestration.base import generate_images_based_on_dataset

    spec, problems = files.read(options, [], need_parameters=False)
    checked = files.check(spec, problems, every_endpoint=False, searching=False)
    given = chosen(options.param, checked.baseline(), str(options.file))
    search = checked.search
    name = options.name or f"{spec.name}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
    print(files.describe(checked), flush=True)
    folder = search.results / safe_name(spec.project) / safe_name(checked.setup.eval_set.name)
    with checked.endpoints(folder / "logs" / name) as endpoints:
        pool = LocalPool(endpoints)
        try:
            run = generate_images_based_on_dataset(
                search.data_loader,
                search.image_generator.for_servers(list(checked.survey.infos.values())),
                files_and_events(search.results, folder),
                search.metrics,
                {
                    "project": spec.project,
                    "experiment_run_name": name,
                    "generation_params": [*spec.generation_params, *checked.space.bind(given)],
                },
                pool=pool,
                progress=_say,
            )
        finally:
            pool.close()
    return report(run, search.results, folder)


def chosen(arguments: list[str], baseline: dict[str, ParamValue], source: str) -> dict[str, ParamValue]:
    """The workflow's own values, with those of ``--param``.

    Raises:
        ConfigurationError: A name is unknown, or an argument has no ``=``.
    """
    from pixaris.search.yaml_file import scalar

    values, problems = dict(baseline), []
    for argument in arguments:
        name, sign, text = argument.partition("=")
        if not sign or name not in baseline:
            known = ", ".join(baseline) or "none"
            problems.append(
                Problem(f"--param {argument}", f"must be NAME=VALUE of a parameter{nearest(name, baseline)}; there are {known}")
            )
        else:
            values[name] = scalar(text)[0]
    if problems:
        raise ConfigurationError(problems, source)
    return values


def _say(run: RunRecord) -> None:
    scores = " · ".join(f"{name} {value.mean:.4f}" for name, value in run.metrics.items())
    failed = f" · {len(run.failures)} failed" if run.failures else ""
    print(f"images {len(run.items)}/{len(run.eval_set)}{failed} · {scores}", flush=True)


def report(run: RunRecord, results: Path, folder: Path) -> int:
    """Print how it went; 1 if no image was made."""
    from pixaris.cli.search import shown
    from pixaris.experiment_handlers.tensorboard import command

    for item in run.failures:
        print(f"{item.name}: {item.error}", file=sys.stderr)
    for name, value in run.metrics.items():
        print(f"{name:<12} {value.mean:.4f} ± {value.std:.4f} on {value.count} images")
    print(f"images       {shown(folder / run.name / 'generated_images')}")
    print(f"TensorBoard  {command(shown(folder / 'tensorboard'))}")
    if run.status == "failed":
        print("error: not one image was made", file=sys.stderr)
        return 1
    return 0
