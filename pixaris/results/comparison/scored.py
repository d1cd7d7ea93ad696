"""A run as it is compared: its scores by item, and what made them. From a folder, or from a
``baseline.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.files import read_json, read_json_lines, write_json
from pixaris.results.folders import find_search, find_trial, runs
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import RunPaths, SearchPaths
from pixaris.results.records import SearchResult
from pixaris.types import Direction, ParamValue

Digests = Mapping[str, Mapping[str, str]]
"""Item name to the digests of its images, by folder."""


@dataclass(frozen=True)
class ScoredRun:
    """A run's scores, and what made them.

    Attributes:
        name: How it is called, for people.
        scores: Score name to item name to score; what failed is left out.
        items: Names of the eval set's items, in order.
        directions: Score name to what is better; None for what is only watched.
        eval_set: Digests of the eval set's images; empty where they were not kept.
        workflow: Digest of the workflow that made the images; "" without one.
        values: What its parameters were, by name or by node and input.
        folder: Where its images lie; None for a ``baseline.json``.
    """

    name: str
    scores: Mapping[str, Mapping[str, float]]
    items: tuple[str, ...]
    directions: Mapping[str, Direction | None] = field(default_factory=dict)
    eval_set: Digests = field(default_factory=dict)
    workflow: str = ""
    values: Mapping[str, ParamValue] = field(default_factory=dict)
    folder: Path | None = None

    def image(self, item: str) -> Path | None:
        """The image of an item's first seed, if it is there."""
        if self.folder is None:
            return None
        found = RunPaths(self.folder).images_of(item)
        if found:
            return found[0]
        return None

    def save(self, file: Path) -> None:
        """Keep it as a ``baseline.json``: scores per item and digests, no images.

        Raises:
            OSError: It cannot be written.
        """
        write_json(file, {"pixaris": "baseline", **asdict(replace(self, folder=None))})


def read_run(results: Path, reference: str) -> ScoredRun:
    """Read what a reference means.

    Args:
        results: The results folder.
        reference: A search (its winner is meant), ``SEARCH/TRIAL``, a single run, any of them by its folder;
            or a ``baseline.json``.

    Raises:
        ConfigurationError: There is no such thing, or it is damaged.
    """
    path = Path(reference)
    if path.is_file() or path.suffix == ".json":
        return _of_file(path)
    # A path before a name: whoever completes one with the tab key means the folder.
    for folder in (path, results / reference):
        if (folder / RunPaths.RECORD).is_file():
            return of_folder(folder)
    single = [folder for folder in runs(results) if folder.name == reference]
    if len(single) == 1:
        return of_folder(single[0])
    search, slash, trial = reference.rpartition("/")
    if slash and trial.removeprefix("trial_").isdigit():
        result = SearchResult.load(find_search(results, search))
        number = find_trial(result.folder, trial, [one.name for one in result.trials])
        return of_folder(result.folder / number)
    return _winner(SearchResult.load(find_search(results, reference)))


def _winner(result: SearchResult) -> ScoredRun:
    if result.best is None:
        raise ConfigurationError(f"{result.folder} has no winner: no trial has a score")
    found = of_folder(SearchPaths(result.folder).trial(result.best.number).folder)
    # Told with it, because a winner's own score is too good by the luck of having been picked.
    sets = sum(trial.objective is not None and trial.number != 0 for trial in result.trials)
    return replace(found, name=f"{found.name} (the winner, picked from {sets})")


def of_folder(folder: Path) -> ScoredRun:
    """Read a run's folder.

    Raises:
        ConfigurationError: It is damaged, or holds no run.
    """
    paths = RunPaths(folder)
    try:
        record = read_as(_Record, read_json(paths.record))
        rows = [read_as(_Item, row) for row in read_json_lines(paths.items)]
    except ForeignError as error:
        raise ConfigurationError(f"{folder} holds no run, or a damaged one: {error}") from None
    scores: dict[str, dict[str, float]] = {name: {} for name in record.metrics}
    for row in rows:
        for name, score in row.scores.items():
            scores.setdefault(name, {})[row.name] = score
    if record.search:
        manifest = read_manifest(SearchPaths(folder.parent))
    else:
        manifest = {}
    # A trial's eval set stands once, with its search.
    digests = manifest.get("items") or record.eval_set
    workflow = read_json(paths.workflow)
    return ScoredRun(
        name=f"{record.search}/{record.name}" if record.search else record.name,
        scores={name: found for name, found in scores.items() if found},
        items=tuple(digests) or tuple(row.name for row in rows),
        directions={name: metric.direction for name, metric in record.metrics.items()},
        eval_set=digests,
        workflow="" if workflow is None else workflow_digest(workflow),
        values=record.values or {_input(param): param.value for param in record.params},
        folder=folder,
    )


def workflow_digest(graph: Mapping[str, object]) -> str:
    """A workflow's digest; the order of its keys does not count."""
    # As many digits as an image's digest has in a manifest.
    return hashlib.sha256(json.dumps(graph, sort_keys=True).encode()).hexdigest()[:16]


def _of_file(file: Path) -> ScoredRun:
    row = read_json(file)
    if row is None or row.get("pixaris") != "baseline":
        raise ConfigurationError(
            f"{file} is no baseline; pixaris gate FILE --save {file} makes one, and --baseline takes a run, a"
            " trial or a search, too"
        )
    try:
        return replace(read_as(ScoredRun, row, without=["folder"]), folder=None)
    except ForeignError as error:
        raise ConfigurationError(f"{file} is a damaged baseline: {error}") from None


@dataclass(frozen=True)
class _Metric:
    direction: Direction | None = None


@dataclass(frozen=True)
class _Param:
    node_name: str
    input: str
    value: ParamValue


@dataclass(frozen=True)
class _Record:
    """What ``run.json`` has, as far as a comparison needs it."""

    name: str
    search: str = ""
    values: Mapping[str, ParamValue] = field(default_factory=dict)
    params: tuple[_Param, ...] = ()
    metrics: Mapping[str, _Metric] = field(default_factory=dict)
    eval_set: Digests = field(default_factory=dict)


@dataclass(frozen=True)
class _Item:
    """A line of ``items.jsonl``."""

    name: str
    scores: Mapping[str, float] = field(default_factory=dict)


def _input(param: _Param) -> str:
    if param.node_name:
        return f"{param.node_name}.{param.input}"
    return param.input
