"""The search file: what a person writes, read whole, with every problem in it told at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixaris.comfyui.graph.recognise import is_workflow
from pixaris.endpoints.discovery import EndpointSource
from pixaris.endpoints.policy import Policy
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.experiment.run import MOST_SEEDS
from pixaris.files import safe_name
from pixaris.results.budget import Budget
from pixaris.search.file.budget import read_budget
from pixaris.search.file.endpoints import endpoints_of_urls, read_endpoints
from pixaris.search.file.limits import read_limits
from pixaris.search.file.overrides import apply_overrides
from pixaris.search.file.parameters import read_generation_params, read_parameters
from pixaris.search.file.python_module import read_search_module, read_space_module
from pixaris.search.file.reader import ComponentSpec, Reader, shown
from pixaris.search.file.strategies import SearchOptions, read_search_options
from pixaris.search.file.yaml_file import join, read_yaml
from pixaris.search.objectives import choose_one
from pixaris.search.space.space import Space
from pixaris.types import Direction, GenerationParam

__all__ = [
    "ComponentSpec",
    "DatasetSpec",
    "GeneratorSpec",
    "ObjectiveSpec",
    "SearchOptions",
    "SearchSpec",
    "read_search_file",
]

_KEYS = (
    "name",
    "project",
    "dataset",
    "generator",
    "endpoints",
    "generation_params",
    "parameters",
    "metrics",
    "objective",
    "search",
    "seeds",
    "budget",
    "limits",
    "cache",
    "results",
)
_RESOURCES = ("seconds", "cost")
_SCORE_IS_TYPE = frozenset(("ssim", "psnr", "mae", "iou", *_RESOURCES))
"""Metrics whose only score has their own name; of others, the score names are known only once they are
built.
"""


@dataclass(frozen=True)
class DatasetSpec:
    """The eval set.

    Attributes:
        name: Its name; with a path, the folder's.
        path: Its folder, or None where it is looked up by project and name.
        references: Folders that only metrics see.
    """

    name: str
    path: Path | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class GeneratorSpec:
    """The generator.

    Attributes:
        type: Its name (``comfyui``), or ``module:Class``.
        workflow: The workflow file in API format.
        options: Everything else, for the generator itself.
    """

    type: str
    workflow: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ObjectiveSpec:
    """The score to optimise; without a direction, the metric's own counts."""

    metric: str
    direction: Direction | None = None


@dataclass(frozen=True)
class SearchSpec:
    """A search file's content.

    Attributes:
        path: The file; relative paths in it start at its folder.
        name: The search's name, by default the file's.
        project: The project it belongs to.
        dataset: The eval set.
        generator: What generates, with its workflow.
        endpoints: Where it generates.
        generation_params: Values that are the same in every trial.
        space: The parameters.
        metrics: What scores the images.
        objectives: What is optimised, the leading one first; empty where the file names none.
        search: How the space is searched.
        budget: What the search may spend.
        limits: What the pool works by.
        results: Folder of the results, or None for the configured one.
        fixed_at: Places of the generation params in the file's list: those that cannot be read are left out
            of them.
        unbound: Path, node and input of the parameters that are left out of the space, because their domain
            is wrong.
        lines: Dotted path to line number, 0 for ``--set``; see `pixaris.search.file.yaml_file.place`.
        seeds: Images of every item, each with a seed of its own.
        cache: Whether images are taken from the cache and kept in it.
    """

    path: Path
    name: str
    project: str
    dataset: DatasetSpec
    generator: GeneratorSpec
    endpoints: tuple[EndpointSource, ...]
    generation_params: tuple[GenerationParam, ...]
    space: Space
    metrics: tuple[ComponentSpec, ...]
    objectives: tuple[ObjectiveSpec, ...]
    search: SearchOptions
    budget: Budget
    limits: Policy
    results: Path | None
    lines: Mapping[str, int]
    seeds: int = 1
    cache: bool = True
    fixed_at: tuple[int, ...] = ()
    unbound: tuple[tuple[str, tuple[str, str]], ...] = ()

    @property
    def objective(self) -> ObjectiveSpec:
        """What leads; its ``metric`` is "" where the file names none."""
        return self.objectives[0] if self.objectives else ObjectiveSpec("")


def read_search_file(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    endpoints: Sequence[str] = (),
    need_parameters: bool = True,
) -> tuple[SearchSpec, list[Problem]]:
    """Read a search file, as far as it can be read.

    Args:
        path: The YAML file, or a Python module with SEARCH and SPACE.
        overrides: ``dotted.key=value`` each; they win over the file.
        endpoints: URLs that stand in for the file's ``endpoints``.
        need_parameters: False for a single run: parameters, metrics and objective may be absent.

    Returns:
        The file's content, with harmless values where it is wrong, and all that is wrong. The caller adds
        what later stages find and raises one `ConfigurationError`; with problems the content is good for
        nothing else.

    Raises:
        ConfigurationError: There is no file, or no YAML mapping in it.
    """
    path = Path(path)
    _refuse_workflows(path)
    document = read_search_module(path) if path.suffix == ".py" else read_yaml(path)
    if not isinstance(document.value, dict):
        raise ConfigurationError(
            f"must be a mapping, starting with name: ... (got {shown(document.value)})", source=str(path)
        )
    if is_workflow(document.value):
        raise ConfigurationError(
            "is a workflow, not a search file; pixaris space writes one from it", source=str(path)
        )
    document = apply_overrides(document, overrides)
    reader = Reader(document)
    fields = reader.section("", document.value, _KEYS)
    if need_parameters and not fields.get("parameters"):
        hint = (
            "name what to vary: radius: {node_name: Blur, input: blur_radius, randint: [1, 6]} (pixaris run"
            " needs none)"
        )
        reader.tell("parameters", f"is {'empty' if fields.get('parameters') == {} else 'missing'}; {hint}")
    flux = _is_flux(fields.get("generator"))
    fixed = read_generation_params(
        reader, "generation_params", fields.get("generation_params", []), nodes=not flux
    )
    parameters, folder = _parameters(reader, fields.get("parameters") or {}, path.parent)
    space = read_parameters(reader, "parameters", parameters, fixed, folder, nodes=not flux)
    metrics = _metrics(reader, fields, required=need_parameters or "objective" in fields)
    spec = SearchSpec(
        path=path,
        name=_folder_name(reader, "name", fields.get("name", path.stem)),
        project=(
            _folder_name(reader, "project", fields["project"])
            if _has(reader, fields, "project", "project: demo")
            else ""
        ),
        dataset=_dataset(reader, fields, path.parent),
        generator=_generator(reader, fields, path.parent),
        endpoints=(
            endpoints_of_urls(reader, endpoints, flux=flux)
            if endpoints
            else _endpoints(reader, fields, path.parent, flux=flux)
        ),
        generation_params=fixed,
        space=space,
        metrics=(metrics := _with_resources(metrics, fields.get("objective"))),
        objectives=(objectives := _objectives(reader, fields, metrics, required=need_parameters)),
        search=read_search_options(reader, fields.get("search", {}), space, len(objectives)),
        budget=read_budget(reader, "budget", fields.get("budget", {})),
        limits=read_limits(reader, "limits", fields.get("limits", {})),
        results=path.parent / reader.text("results", fields["results"]) if "results" in fields else None,
        lines=reader.lines,
        fixed_at=tuple(reader.fixed_at),
        unbound=tuple(reader.unbound),
        cache=_cache(reader, fields.get("cache", True)),
        seeds=reader.whole("seeds", fields.get("seeds", 1), at_least=1, at_most=MOST_SEEDS) or 1,
    )
    return spec, reader.problems


def _refuse_workflows(path: Path) -> None:
    """Say what to do with a workflow that is given in place of a search file.

    Raises:
        ConfigurationError: It is one, or a picture that may hold one.
    """
    if path.suffix.lower() not in (".json", ".png"):
        return
    what = "a picture"
    if path.suffix.lower() == ".json":
        try:
            what = "a workflow" if is_workflow(json.loads(path.read_bytes())) else ""
        except (OSError, ValueError, RecursionError):
            what = ""
    if what:
        raise ConfigurationError(
            f"is {what}, not a search file; pixaris space {path} writes one from it", source=str(path)
        )


def _cache(reader: Reader, value: object) -> bool:
    if isinstance(value, bool):
        return value
    reader.tell(
        "cache",
        f"must be true or false (got {shown(value)}); where it lies says the configuration (cache_dir)",
    )
    return True


def _parameters(reader: Reader, value: object, folder: Path) -> tuple[object, Path]:
    """The parameters, and where paths in them start; a name ending in ``.py`` is a module that has them."""
    if not (isinstance(value, str) and value.endswith(".py")):
        return value, folder
    module = folder / value
    try:
        return read_space_module(module), module.parent
    except ConfigurationError as error:
        for problem in error.problems:
            reader.tell("parameters", f"{module}: {problem}")
        return {}, folder


def _has(reader: Reader, fields: Mapping[str, Any], key: str, example: str) -> bool:
    return reader.required("", fields, key, f"write {example}")


def _folder_name(reader: Reader, path: str, value: object) -> str:
    text = reader.text(path, value)
    if text and safe_name(text) != text:
        allowed = (
            "only letters, digits, spaces and _ . , + = ( ) [ ] - may be in it, no space or dot at its ends,"
            " at most 120 bytes"
        )
        reader.tell(path, f"names a folder: {allowed} (got {shown(text)})")
    return text


def _dataset(reader: Reader, fields: Mapping[str, Any], folder: Path) -> DatasetSpec:
    if not _has(reader, fields, "dataset", "dataset: photos"):
        return DatasetSpec("")
    value: object = fields["dataset"]
    references: tuple[str, ...] = ()
    if isinstance(value, dict):
        inner = reader.section("dataset", value, ("name", "path", "references"))
        if "references" in inner:
            references = reader.texts(
                "dataset.references", inner["references"], "write references: [Original]"
            )
        if "name" in inner and "path" in inner:
            reader.tell("dataset", "has a name and a path; keep one of them")
        if "path" in inner:
            text = reader.text("dataset.path", inner["path"])
            return DatasetSpec(_last_name(folder / text), folder / text, references)
        if not reader.required("dataset", inner, "name", "write name: photos, or path: ../photos"):
            return DatasetSpec("", None, references)
        return DatasetSpec(_folder_name(reader, "dataset.name", inner["name"]), None, references)
    text = reader.text("dataset", value)
    if "/" in text or text.startswith("."):
        return DatasetSpec(_last_name(folder / text), folder / text)
    return DatasetSpec(_folder_name(reader, "dataset", text) if text else "")


def _last_name(path: Path) -> str:
    return os.path.basename(os.path.abspath(path))


def _is_flux(generator: object) -> bool:
    """Whether it is one of the Flux API's models, whose inputs belong to no nodes."""
    name = generator.get("type") if isinstance(generator, dict) else generator
    return isinstance(name, str) and re.match(r"flux_|pixaris\.generation\.flux:", name) is not None


def _generator(reader: Reader, fields: Mapping[str, Any], folder: Path) -> GeneratorSpec:
    example = "generator: {type: comfyui, workflow: workflows/restore_apiformat.json}"
    if not _has(reader, fields, "generator", example):
        return GeneratorSpec("")
    component = reader.component("generator", fields["generator"])
    options = dict(component.options)
    workflow = options.pop("workflow", None)
    if workflow is None:
        if component.type.startswith("comfyui"):
            typo = nearest("workflow", options).replace("did you mean", "is it")
            reader.tell(
                "generator.workflow", f"is missing{typo}; write workflow: workflows/restore_apiformat.json"
            )
        return GeneratorSpec(component.type, None, options)
    text = reader.text("generator.workflow", workflow)
    return GeneratorSpec(component.type, folder / text if text else None, options)


def _endpoints(
    reader: Reader, fields: Mapping[str, Any], folder: Path, *, flux: bool
) -> tuple[EndpointSource, ...]:
    generator = fields.get("generator")
    if "endpoints" not in fields and isinstance(generator, dict) and ":" in str(generator.get("type", "")):
        return ()  # a generator of the user's own may make its images itself
    if "endpoints" not in fields and flux:
        return read_endpoints(reader, "endpoints", "flux", folder)
    example = "endpoints: {embedded: 2}, or endpoints: [http://10.0.0.5:8188]"
    return (
        read_endpoints(reader, "endpoints", fields["endpoints"], folder)
        if _has(reader, fields, "endpoints", example)
        else ()
    )


def _metrics(reader: Reader, fields: Mapping[str, Any], *, required: bool) -> tuple[ComponentSpec, ...]:
    example = "metrics: [{type: ssim, reference: Original}]"
    if "metrics" not in fields and not required:
        return ()
    if not _has(reader, fields, "metrics", example):
        return ()
    if fields["metrics"] == []:
        reader.tell("metrics", f"needs at least one metric; write {example}")
    entries = reader.items("metrics", fields["metrics"], f"write {example}")
    return tuple(reader.component(join("metrics", index), entry) for index, entry in enumerate(entries))


def _with_resources(metrics: Sequence[ComponentSpec], objective: object) -> tuple[ComponentSpec, ...]:
    """The metrics, with ``seconds`` or ``cost`` added where the objective names them: they need no
    options.
    """
    types = [metric.type for metric in metrics]
    entries = objective if isinstance(objective, list) else [objective]
    named = [entry.get("metric") if isinstance(entry, dict) else entry for entry in entries]
    if any(":" in one for one in types):  # the user's own metric may give such a score
        return tuple(metrics)
    return (
        *metrics,
        *(
            ComponentSpec(name, where="objective")
            for name in _RESOURCES
            if name in named and name not in types
        ),
    )


def _objectives(
    reader: Reader, fields: Mapping[str, Any], metrics: Sequence[ComponentSpec], *, required: bool
) -> tuple[ObjectiveSpec, ...]:
    types = [metric.type for metric in metrics if metric.type]
    example = f"objective: {{metric: {types[0] if types else 'ssim'}}}"
    if "objective" not in fields:
        if required:
            reader.tell("objective", choose_one(types) if types else f"is missing; write {example}")
        return ()
    if not _has(reader, fields, "objective", example):
        return ()
    value = fields["objective"]
    if not isinstance(value, list):
        return (_objective(reader, "objective", value, types),)
    if not value:
        reader.tell("objective", f"needs at least one score; write {example}")
    found: list[ObjectiveSpec] = []
    for index, entry in enumerate(value):
        path = join("objective", index)
        one = _objective(reader, path, entry, types)
        if one.metric and one.metric in [other.metric for other in found]:
            reader.tell(path, f"names {shown(one.metric)} twice; keep one of them")
        found.append(one)
    return tuple(found)


def _objective(reader: Reader, path: str, value: object, types: Sequence[str]) -> ObjectiveSpec:
    direction = None
    if isinstance(value, dict):
        inner = reader.section(path, value, ("metric", "direction"))
        if "direction" in inner:
            direction = _direction(reader, join(path, "direction"), inner["direction"])
        if not reader.required(path, inner, "metric", "name the score to optimise"):
            return ObjectiveSpec("", direction)
        path, value = join(path, "metric"), inner["metric"]
    metric = reader.text(path, value)
    if metric and types and metric not in types and all(name in _SCORE_IS_TYPE for name in types):
        message = (
            f"{shown(metric)} is no score of the metrics{nearest(metric, types)}; they give"
            f" {', '.join(types)}"
        )
        reader.tell(path, f"{message}; name one of these, or add the metric that gives it")
        metric = ""
    return ObjectiveSpec(metric, direction)


def _direction(reader: Reader, path: str, value: object) -> Direction | None:
    if value == "max":
        return "max"
    if value == "min":
        return "min"
    reader.tell(path, f"must be max or min (got {shown(value)}){nearest(str(value), ('max', 'min'))}")
    return None
