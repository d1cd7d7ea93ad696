"""The search file: what a person writes, read whole, with every problem in it told at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pixaris.comfyui.graph.recognise import is_workflow
from pixaris.config import Config
from pixaris.endpoints.base import EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import api_of_generator, bare_source
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.gcp.storage import BucketPath
from pixaris.search.algorithms.guided import with_samples
from pixaris.search.file.components import DatasetSpec, GeneratorSpec, chooser, read_dataset, read_generator
from pixaris.search.file.endpoints import endpoints_of_urls, read_endpoints
from pixaris.search.file.limits import read_budget, read_evidence, read_limits
from pixaris.search.file.overrides import apply_overrides
from pixaris.search.file.parameters import read_generation_params, read_parameters
from pixaris.search.file.python_module import read_search_module, read_space_module
from pixaris.search.file.reader import ComponentSpec, Reader, located, shown
from pixaris.search.file.schema.keys import FILE, key_of, names, read_values
from pixaris.search.file.scores import read_metrics, read_objective, with_resources
from pixaris.search.file.source import FileSource
from pixaris.search.file.strategies import read_strategy
from pixaris.search.file.yaml_file import Document, read_yaml
from pixaris.search.settings import (
    EvidenceSettings,
    Home,
    ImageSettings,
    LimitSettings,
    ObjectiveSettings,
    StrategySettings,
)
from pixaris.search.space.fit import Target
from pixaris.search.space.space import Space
from pixaris.types import GenerationParam


@dataclass(frozen=True)
class CacheSpec:
    """The cache of a search.

    Attributes:
        used: Whether images are taken from it and kept in it.
        shared: The bucket that it is shared through, or None.
    """

    used: bool = True
    shared: BucketPath | None = None


@dataclass(frozen=True)
class SearchSpec:
    """A search file's content: settings, and descriptions of what the composition root makes.

    Attributes:
        source: Where in the file everything stands.
        home: Whose search it is, and where its results go.
        dataset: The eval set.
        generator: What generates, with its workflow.
        endpoints: Where it generates.
        images: What every image is made with.
        space: The parameters.
        metrics: What scores the images.
        objective: What is optimised; without names where the file has none.
        search: How the space is searched.
        limits: What it may take.
        evidence: What is done after it for a surer answer.
        cache: The cache of images that it uses.
    """

    source: FileSource
    home: Home
    dataset: DatasetSpec
    generator: GeneratorSpec
    endpoints: tuple[EndpointSource, ...]
    images: ImageSettings
    space: Space
    metrics: tuple[ComponentSpec, ...]
    objective: ObjectiveSettings
    search: StrategySettings
    limits: LimitSettings
    evidence: EvidenceSettings
    cache: CacheSpec = CacheSpec()

    @property
    def generation_params(self) -> tuple[GenerationParam, ...]:
        """Values that are the same in every trial."""
        params: tuple[GenerationParam, ...] = self.images.args.get("generation_params", ())
        return params


def read_search_file(
    path: str | Path,
    overrides: Sequence[str] = (),
    *,
    endpoints: Sequence[str] = (),
    need_parameters: bool = True,
    trust: bool = True,
) -> tuple[SearchSpec, list[Problem]]:
    """Read a search file, as far as it can be read.

    Args:
        path: The YAML file, or a Python module with SEARCH and SPACE.
        overrides: ``dotted.key=value`` each; they win over the file.
        endpoints: URLs that stand in for the file's ``endpoints``.
        need_parameters: False for a single run: parameters, metrics and objective may be absent.
        trust: Whether modules that the file names may be run. Without, they are left out, and told in
            ``source.unread``.

    Returns:
        The file's content, with harmless values where it is wrong, and all that is wrong. The caller adds
        what later stages find and raises one `ConfigurationError`; with problems the content is good for
        nothing else.

    Raises:
        ConfigurationError: There is no file, or no YAML mapping in it.
    """
    path = Path(path)
    document = _document(path, overrides, trust=trust)
    reader = Reader(document, trust=trust)
    fields = reader.section("", document.value, names(FILE))
    if need_parameters and not fields.get("parameters"):
        _tell_missing_parameters(reader, fields)
    spec = _spec(reader, fields, path, endpoints, scored=need_parameters)
    # Only now: while the parts are read, the reader learns what is wrong, left out and not looked into.
    source = _source(path, reader, _changes(endpoints, overrides))
    return replace(spec, source=source), source.located(reader.problems)


def _spec(
    reader: Reader, fields: Mapping[str, Any], path: Path, urls: Sequence[str], *, scored: bool
) -> SearchSpec:
    """The parts of the file; what is missing is told in the order in which they are read.

    Args:
        reader: Collects the problems.
        fields: The file's keys.
        path: The file.
        urls: Endpoints that stand in for the file's.
        scored: Whether metrics and an objective are needed.
    """
    folder = path.parent
    apis = _apis(fields.get("generator"))
    nodes = any(api.has_nodes for api in apis)
    home = _home(reader, fields, path)
    dataset = read_dataset(reader, fields, folder)
    generator = read_generator(reader, fields, folder)
    sources = _endpoints(reader, fields, folder, urls, apis)
    fixed = read_generation_params(
        reader, "generation_params", fields.get("generation_params", []), nodes=nodes
    )
    space = _space(reader, fields, folder, fixed, nodes=nodes)
    metrics, objective = _scoring(reader, fields, required=scored)
    strategy, limits = _strategy(reader, fields, folder, space, len(objective.names))
    seeds = read_values(reader, "", fields, [key_of(FILE, "seeds")]).get("seeds", 1)
    return SearchSpec(
        source=FileSource(path),
        home=home,
        dataset=dataset,
        generator=generator,
        endpoints=sources,
        images=ImageSettings({"generation_params": fixed}, seeds),
        space=space,
        metrics=metrics,
        objective=objective,
        search=strategy,
        limits=limits,
        evidence=read_evidence(reader, fields),
        cache=_cache(reader, fields.get("cache", True)),
    )


def _scoring(
    reader: Reader, fields: Mapping[str, Any], *, required: bool
) -> tuple[tuple[ComponentSpec, ...], ObjectiveSettings]:
    """What scores the images, and which of the scores count."""
    found = read_metrics(reader, fields, required=required or "objective" in fields)
    metrics = with_resources(found, fields.get("objective"))
    return metrics, read_objective(reader, fields, metrics, required=required)


def _strategy(
    reader: Reader, fields: Mapping[str, Any], folder: Path, space: Space, objectives: int
) -> tuple[StrategySettings, LimitSettings]:
    """How the space is searched, and what that may take: a budget can say how many sets are tried."""
    budget = read_budget(reader, "budget", fields.get("budget", {}))
    strategy = read_strategy(reader, fields.get("search", {}), space, objectives, folder)
    policy = read_limits(reader, "limits", fields.get("limits", {}))
    return with_samples(strategy, budget), LimitSettings(budget, policy)


def _document(path: Path, overrides: Sequence[str], *, trust: bool) -> Document:
    """The file's content with the command line's values, if it is a search file."""
    _refuse_workflows(path)
    if path.suffix == ".py" and not trust:
        raise ConfigurationError("is a Python module, which would have to be run; add --trust", str(path))
    if path.suffix == ".py":
        document = read_search_module(path)
    else:
        document = read_yaml(path)
    if not isinstance(document.value, dict):
        raise ConfigurationError(
            f"must be a mapping, starting with name: ... (got {shown(document.value)})", source=str(path)
        )
    if is_workflow(document.value):
        raise ConfigurationError(
            "is a workflow, not a search file; pixaris space writes one from it", source=str(path)
        )
    return apply_overrides(document, overrides)


def _tell_missing_parameters(reader: Reader, fields: Mapping[str, Any]) -> None:
    if fields.get("parameters") == {}:
        word = "empty"
    else:
        word = "missing"
    hint = "name what to vary: radius: {node_name: Blur, input: blur_radius, randint: [1, 6]}"
    reader.add_problem("parameters", f"is {word}; {hint} (pixaris run needs none)")


def _space(
    reader: Reader,
    fields: Mapping[str, Any],
    folder: Path,
    fixed: tuple[GenerationParam, ...],
    *,
    nodes: bool,
) -> Space:
    """What is varied, the choice of a generator among it."""
    given = fields.get("parameters") or {}
    if _is_module(given) and not reader.trust:
        reader.unread.append(f"parameters: the module {given}")
        given = {}
    parameters, images_at = _parameters(reader, given, folder)
    choosing = chooser(fields.get("generator"))
    if choosing and isinstance(parameters, dict):
        if "generator" in parameters:
            reader.add_problem("parameters.generator", "is the choice of the generator; name it otherwise")
        parameters = {**choosing, **parameters}
    return read_parameters(reader, "parameters", parameters, fixed, images_at, nodes=nodes)


def _changes(endpoints: Sequence[str], overrides: Sequence[str]) -> tuple[str, ...]:
    """What a file is read with, as options of a command."""
    words = [word for url in endpoints for word in ("--endpoint", url)]
    words += [word for override in overrides for word in ("--set", override)]
    return tuple(words)


def _source(path: Path, reader: Reader, changes: tuple[str, ...]) -> FileSource:
    unbound = {where: Target(*target) for where, target in reader.unbound}
    faulty = frozenset(problem.path for problem in reader.problems)
    fixed_at, unread = tuple(reader.fixed_at), tuple(reader.unread)
    return FileSource(path, reader.lines, fixed_at, unbound, faulty, changes, unread)


def _home(reader: Reader, fields: Mapping[str, Any], path: Path) -> Home:
    name = reader.folder_name("name", fields.get("name", path.stem))
    project = ""
    if reader.has(fields, "project", "project: demo"):
        project = reader.folder_name("project", fields["project"])
    results = Config.load().results_dir
    if "results" in fields:
        results = located(reader, "results", reader.text("results", fields["results"]), path.parent)
    return Home(project, name, results, _storage(reader, fields))


def _storage(reader: Reader, fields: Mapping[str, Any]) -> BucketPath | None:
    if "storage" not in fields:
        return None
    given = reader.text("storage", fields["storage"])
    return _bucket_path(reader, "storage", given, "; a folder is named with results")


def _bucket_path(reader: Reader, key: str, given: str, hint: str = "") -> BucketPath | None:
    try:
        return BucketPath.of(given)
    except ConfigurationError as error:
        reader.add_problem(key, f"{error.problems[0].message}{hint}")
        return None


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
            if is_workflow(json.loads(path.read_bytes())):
                what = "a workflow"
            else:
                what = ""
        except (OSError, ValueError, RecursionError):
            what = ""
    if what:
        raise ConfigurationError(
            f"is {what}, not a search file; pixaris space {path} writes one from it", source=str(path)
        )


def _cache(reader: Reader, value: object) -> CacheSpec:
    if isinstance(value, bool):
        return CacheSpec(value)
    if isinstance(value, str) and value.startswith("gs://"):
        return CacheSpec(shared=_bucket_path(reader, "cache", value))
    reader.add_problem(
        "cache",
        f"must be true, false or gs://BUCKET/FOLDER (got {shown(value)}); where it lies on this machine says"
        " the configuration (cache_dir)",
    )
    return CacheSpec()


def _is_module(value: object) -> bool:
    return isinstance(value, str) and value.endswith(".py")


def _parameters(reader: Reader, value: object, folder: Path) -> tuple[object, Path]:
    """The parameters, and where paths in them start; a name ending in ``.py`` is a module that has them."""
    if not _is_module(value):
        return value, folder
    module = located(reader, "parameters", str(value), folder)
    try:
        return read_space_module(module), module.parent
    except ConfigurationError as error:
        for problem in error.problems:
            reader.add_problem("parameters", f"{module}: {problem}")
        return {}, folder


def _types(generator: object) -> list[str]:
    """Names of the generators: one, or those of a choice."""
    if isinstance(generator, dict) and isinstance(generator.get("choice"), dict):
        return [name for one in generator["choice"].values() for name in _types(one)]
    if isinstance(generator, dict):
        name = generator.get("type")
    else:
        name = generator
    return [name if isinstance(name, str) else ""]


def _apis(generator: object) -> list[EndpointApi]:
    """What kinds of endpoint are asked, by the generators' names alone, each once."""
    apis = [api_of_generator(name) for name in _types(generator)] or [api_of_generator("")]
    return list({api.kind: api for api in apis}.values())


def _endpoints(
    reader: Reader, fields: Mapping[str, Any], folder: Path, urls: Sequence[str], apis: Sequence[EndpointApi]
) -> tuple[EndpointSource, ...]:
    """The section ``endpoints``, or the command line's URLs in its place."""
    if urls:
        return endpoints_of_urls(reader, urls, apis[0])
    if "endpoints" in fields:
        return read_endpoints(reader, "endpoints", fields["endpoints"], folder)
    bare = [key for key in map(bare_source, apis) if key]
    if len(bare) == len(apis):
        return read_endpoints(reader, "endpoints", bare, folder)
    types = _types(fields.get("generator"))
    if types and all(":" in name for name in types):
        return ()  # a generator of the user's own may make its images itself
    reader.has(fields, "endpoints", "endpoints: {embedded: 2}, or endpoints: [http://10.0.0.5:8188]")
    return ()
