"""``pixaris space WORKFLOW``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.cli import files
from pixaris.cli.invocation import command
from pixaris.comfyui.graph.saved import workflow_of
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.declarations import declarations
from pixaris.comfyui.workflow import Workflow
from pixaris.components import METRICS
from pixaris.config import Config
from pixaris.data_loaders import prompts
from pixaris.data_loaders.leftovers import PLACEHOLDER, placeholder
from pixaris.data_loaders.local import INPUT, ITEM_LIST, LocalDatasetLoader, folders_of, is_flat
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.sources.catalog import source_of
from pixaris.endpoints.sources.several import static
from pixaris.exceptions import ConfigurationError
from pixaris.files import safe_name, write_bytes, write_json, write_text
from pixaris.images import has_image_suffix
from pixaris.metrics.base import BaseMetric
from pixaris.plugins import resolve
from pixaris.results.folders import find_search
from pixaris.results.records import SearchResult
from pixaris.search import survey as surveys
from pixaris.search.draft.default_domains import RULE
from pixaris.search.draft.folders import reference
from pixaris.search.draft.inputs import Draft, draft
from pixaris.search.draft.narrower import best_sets, file_of, narrower
from pixaris.search.draft.render import Frame, render
from pixaris.search.file.schema.document import FILE_NAME, MODELINE
from pixaris.search.file.spec import read_search_file
from pixaris.search.objectives import WAYS, Aim, aim, asked_for

_DEFAULT_SERVER = "http://localhost:8188"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = f"which parameters are searched, and which are commented out: {RULE}\n\n{parser.epilog}"
    parser.add_argument(
        "workflow",
        metavar="WORKFLOW",
        type=Path,
        nargs="?",
        help="a workflow in API format (JSON), or a PNG that ComfyUI saved",
    )
    parser.add_argument(
        "--around",
        metavar="SEARCH",
        help=(
            "instead of a workflow: an earlier search (its name, PROJECT/NAME, or its folder); its file is"
            " written anew with narrower domains around its best sets, which are run first"
        ),
    )
    parser.add_argument(
        "--top", metavar="N", type=int, default=5, help="with --around: how many best sets (default: 5)"
    )
    parser.add_argument(
        "--endpoint",
        metavar="URL",
        action="append",
        default=[],
        help=(
            "a ComfyUI server whose node descriptions and models count, and which the file names; may be"
            " given several times, the first counts. Without it, the descriptions of the endpoint that comes"
            " with Pixaris are used"
        ),
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        help="the search file; by default NAME.yaml in this folder",
    )
    parser.add_argument(
        "--dataset",
        metavar="SET",
        help=(
            "the eval set: a folder, a name, or a file of prompts (.csv, .tsv, .txt, .jsonl); without it, one"
            " with placeholders is made"
        ),
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        action="append",
        default=[],
        help=(
            "what scores the images (see pixaris metrics); may be given several times, the first is the"
            " objective"
        ),
    )
    parser.add_argument("--project", metavar="NAME", default="default", help="the project (default: default)")
    parser.add_argument("--force", action="store_true", help="write over files that exist")


@dataclass(frozen=True)
class EvalSetOnDisk:
    """The eval set that the file will name.

    Attributes:
        entry: Its name or path, as the file has it.
        folders: Its folders; None if it is still to be made.
        path: Where it lies.
        items: How many it has.
    """

    entry: Mapping[str, str]
    folders: tuple[str, ...] | None
    path: Path
    items: int = 1


def main(options: argparse.Namespace) -> int:
    """Write the file, check it, and say what it holds."""
    if (options.workflow is None) == (options.around is None):
        raise ConfigurationError("give a workflow, or --around SEARCH")
    if options.around is None:
        return _of_workflow(options)
    return _around(options)


def _around(options: argparse.Namespace) -> int:
    """Write a search's file anew, around its best sets."""
    if options.top < 1:
        raise ConfigurationError(f"--top must be at least 1 (got {options.top})")
    result = SearchResult.load(find_search(Config.load().results_dir, options.around))
    source = file_of(result)
    output: Path = options.output or source.with_name(f"{source.stem}_around.yaml")
    if output.parent.resolve() != source.parent.resolve():
        raise ConfigurationError(f"--output must lie in {source.parent}, where paths in the file start")
    _refuse_overwriting(output, force=options.force)
    sets = best_sets(result, options.top)
    text, said = narrower(result, sets, output.parent)
    write_text(output, text)
    print(f"{output}: around {', '.join(trial.name for trial in sets)}")
    for line in said:
        print(f"  {line}")
    print(f"check it with: {command('check', str(output))}")
    return 0


def _of_workflow(options: argparse.Namespace) -> int:
    workflow = workflow_of(options.workflow)
    stem = options.workflow.stem.removesuffix("_apiformat")
    output: Path = options.output or Path(f"{safe_name(stem)}.yaml")
    _refuse_overwriting(output, force=options.force)
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise ConfigurationError(f"--output must end in .yaml (got {str(output)!r})")
    info = _object_info(options.endpoint)
    eval_set = _eval_set(options, output)
    found = draft(workflow, info, eval_set.folders or ())
    file = options.workflow
    pictured = options.workflow.suffix.lower() == ".png"
    copied = pictured or found.workflow is not workflow
    if copied:
        # The file must name a workflow that can be loaded: a picture cannot, and titles that were added are
        # not in the original.
        file = output.parent / f"{output.stem}{'' if pictured else '_titled'}_apiformat.json"
        # Never the workflow it was asked for, not even with --force.
        _refuse_overwriting(file, force=options.force and file.resolve() != options.workflow.resolve())
    endpoints, advice = _endpoints(options.endpoint, found.workflow, info)
    unfed = _unfed(eval_set, found)
    chosen = _aim(options.metric, unfed)
    frame = Frame(
        name=safe_name(output.stem),
        project=options.project,
        dataset=eval_set.entry,
        references=unfed,
        workflow=_from(output.parent, file),
        endpoints=endpoints,
        aim=chosen,
        head=_head(options, found, unfed, advice, copied=copied),
        items=eval_set.items,
    )
    text = _schema_line(output.parent) + render(found, frame)
    if copied:
        write_json(file, found.workflow.as_dict())
        print(f"{file}: the workflow")
    if eval_set.folders is None:
        _placeholders(eval_set.path, found.folders)
        print(
            f"{eval_set.path}: placeholders for an eval set; put your images there, or name yours with"
            " --dataset"
        )
    write_text(output, text)
    _print_draft(output, found, chosen, advice)
    if advice and endpoints == [_DEFAULT_SERVER]:
        return 0  # nobody can say yet what that server takes
    # What was written is read again: a file that we make must have no problems.
    spec, problems = read_search_file(output, need_parameters=False)
    searching = bool(spec.space.parameters and spec.objective.names)
    files.check(spec, problems, probing=True, searching=searching)
    if chosen.objective:
        print(f"pixaris check {output} finds no problems")
    return 0


def _print_draft(output: Path, found: Draft, chosen: Aim, advice: Sequence[str]) -> None:
    """Say what the file holds, and what is left to its user."""
    active = found.active
    searched = f"{active} parameter{'' if active == 1 else 's'} to search"
    print(f"{output}: {searched}; {len(found.rows) - active} more are commented out")
    for note in [*advice, *found.notes, *(chosen.about if chosen.objective else ())]:
        print(f"note: {note}")
    if not active:
        print("note: no parameter is searched; uncomment some before you search")
    if not chosen.objective:
        names = ", ".join(name for name, _ in WAYS)
        print(f"note: the objective is left open: choose one of {names} in {output} before you search")


def _refuse_overwriting(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise ConfigurationError(f"{path} is a folder; name a file")
    if path.exists() and not force:
        raise ConfigurationError(f"{path} exists; name another with --output, or write over it with --force")


def _object_info(urls: Sequence[str]) -> ObjectInfo:
    """What the first server says of its nodes; without one, what the endpoint that comes with Pixaris knows.

    Raises:
        ConfigurationError: No URL of a server.
        EndpointError: It does not answer.
    """
    if not urls:
        return ObjectInfo(declarations())
    endpoints = static([source_of(url, ComfyUIApi()) for url in urls])
    survey = surveys.survey_of(endpoints[:1], Workflow({}))
    # The first one's own words: it was named on purpose.
    for error in survey.silent.values():
        raise error
    if not survey.infos:
        raise ConfigurationError(
            f"--endpoint must be the address of a server, such as {_DEFAULT_SERVER} (got {urls[0]!r})"
        )
    return next(iter(survey.infos.values()))


def _endpoints(urls: Sequence[str], workflow: Workflow, info: ObjectInfo) -> tuple[list[str], list[str]]:
    """The file's endpoints, and what is to be said about them."""
    if urls:
        return [url if "://" in url else f"http://{url}" for url in urls], []
    lacking = sorted({node.class_type for node in workflow.nodes.values() if node.class_type not in info})
    if not lacking:
        return [], [
            "no --endpoint was given: the endpoint that comes with Pixaris knows all nodes, and the file"
            " names it"
        ]
    known = f"no --endpoint was given, and the endpoint that comes with Pixaris has no {', '.join(lacking)}"
    return [_DEFAULT_SERVER], [
        f"{known}: the file names {_DEFAULT_SERVER}; put your server there and run pixaris check"
    ]


def _eval_set(options: argparse.Namespace, output: Path) -> EvalSetOnDisk:
    if options.dataset is None:
        path = output.parent / f"{safe_name(output.stem)}_images"
        entry = {"path": f"./{path.name}"}
        return _images(path, entry) if path.is_dir() else EvalSetOnDisk(entry, None, path)
    path = Path(options.dataset)
    if path.suffix.lower() in prompts.SUFFIXES:
        return _prompts(path, output)
    entry = {"path": _from(output.parent, path)}
    if not path.is_dir():
        named = Config.load().eval_dir_local / options.project / options.dataset
        if not named.is_dir():
            LocalDatasetLoader(options.project, options.dataset, Config.load().eval_dir_local).load_dataset()
        path, entry = named, {"name": options.dataset}
    return _images(path, entry)


def _prompts(path: Path, output: Path) -> EvalSetOnDisk:
    """A file of prompts; its columns of images are the folders.

    Raises:
        DatasetError: It cannot be read as one.
    """
    eval_set = prompts.PromptDatasetLoader(path).load_dataset()
    entry = {"prompts": _from(output.parent, path)}
    return EvalSetOnDisk(entry, tuple(eval_set.items[0].inputs), path, len(eval_set.items))


def _images(path: Path, entry: Mapping[str, str]) -> EvalSetOnDisk:
    """Folders of images; photographs in the eval set directly are its input."""
    if is_flat(path):
        return EvalSetOnDisk(entry, (INPUT,), path, _count(path))
    folders = folders_of(path)
    return EvalSetOnDisk(entry, folders, path, _count(path / next(iter(folders), "")))


def _count(folder: Path) -> int:
    """How many images lie in a folder."""
    return sum(map(has_image_suffix, os.listdir(folder)))


def _unfed(eval_set: EvalSetOnDisk, found: Draft) -> tuple[str, ...]:
    return tuple(folder for folder in eval_set.folders or () if folder not in found.folders)


def _placeholders(path: Path, folders: Sequence[str]) -> None:
    """An eval set that a check takes: a picture per folder, or, where no image is loaded, a list of items."""
    for folder in folders:
        write_bytes(path / folder / f"{PLACEHOLDER}.png", placeholder().data)
    if not folders:
        write_text(path / ITEM_LIST, "".join(f"item {number}\n" for number in range(1, 9)))


def _aim(names: Sequence[str], folders: Sequence[str]) -> Aim:
    """What scores the images: the metrics that were named, the first as objective, or what suits the folders.

    Args:
        names: Of metrics; one that compares gets the likeliest folder.
        folders: The eval set's that feed no node.
    """
    # A guess is said in the file, where the user decides.
    likeliest, guessed = reference(folders)
    if guessed:
        others = [folder for folder in folders if folder != likeliest]
    else:
        others = []
    names = list(dict.fromkeys(names))
    if not names:
        return aim(likeliest, others)
    found: dict[str, dict[str, str]] = {}
    for name in names:
        compares = "reference" in resolve(name, METRICS, BaseMetric).needs  # type: ignore[attr-defined]
        if compares and not folders:
            raise ConfigurationError(
                f"--metric {name} compares with reference images; name an eval set with --dataset that has a"
                " folder of them which feeds no node"
            )
        if compares:
            found[name] = {"reference": likeliest}
        else:
            found[name] = {}
    return asked_for(names[0], found, likeliest, others)


def _schema_line(folder: Path) -> str:
    """What tells editors the schema, where it lies beside the file."""
    if (folder / FILE_NAME).is_file():
        return f"{MODELINE}{FILE_NAME}\n"
    return ""


def _head(
    options: argparse.Namespace,
    found: Draft,
    unfed: Sequence[str],
    advice: Sequence[str],
    *,
    copied: bool,
) -> list[str]:
    if options.endpoint:
        whose = f"the server {options.endpoint[0].rpartition('@')[2]}"
    else:
        whose = "the endpoint that comes with Pixaris"
    lines = [f"Written by pixaris space from {options.workflow.name}, with the node descriptions of {whose}."]
    if found.folders:
        read = f"The workflow reads {_named(found.folders)}"
        if unfed:
            compared = f"; {_named(unfed, bare=True)} only compared with"
        else:
            compared = ""
        lines.append(f"{read}{compared}.")
    lines += ["Its workflow is the copy beside this file."] if copied else []
    return [*lines, *advice]


def _named(folders: Sequence[str], *, bare: bool = False) -> str:
    """Folders by name: ``folder 'Clean'``, or, of a sentence that goes on, ``'Input' is``."""
    names = ", ".join(map(repr, folders))
    if bare:
        return f"{names} {'is' if len(folders) == 1 else 'are'}"
    return f"folder{'' if len(folders) == 1 else 's'} {names}"


def _from(folder: Path, path: Path) -> str:
    """A path as a file in the folder names it."""
    relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    if relative.startswith("."):
        return relative
    return f"./{relative}"
