"""What a report shows, read from the folders of its searches and from nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from pixaris.files import JsonMapping, read_json
from pixaris.report.thumbnails import Source
from pixaris.results.evidence.eval_set import PicturedSet, Role, read_pictures
from pixaris.results.evidence.items import ItemRow, read_items
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.ranking import Row, Rules, ranked
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.results.verdict import Verdict
from pixaris.statistics.intervals import MeanInterval

_PROMPTS = ("prompt", "text")


@dataclass(frozen=True)
class Cell:
    """What a set made of an item.

    Attributes:
        row: As the set's folder has it.
        source: Its images, where there are any.
        problem: Why nothing can be shown, or "".
    """

    row: ItemRow
    source: Source | None
    problem: str = ""


@dataclass(frozen=True)
class SetRow:
    """A parameter set: a trial of one of the searches.

    Attributes:
        search: Number of the search in the report.
        trial: As its results have it.
        cells: What it made, by place of the item in the report.
    """

    search: int
    trial: TrialResult
    cells: Mapping[int, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchPart:
    """A search in a report.

    Attributes:
        result: As its folder has it.
        manifest: What it was made from.
        pictures: Its eval set.
        record: ``run.json`` of its first trial, or an empty one.
    """

    result: SearchResult
    manifest: JsonMapping
    pictures: PicturedSet
    record: Mapping[str, object]

    @property
    def paths(self) -> SearchPaths:
        """The search's files."""
        return SearchPaths(self.result.folder)

    @cached_property
    def ranking(self) -> list[TrialResult]:
        """Its trials with a score, best first."""
        return self.result.ranking()

    @cached_property
    def verdict(self) -> Verdict:
        """What it says."""
        return self.result.verdict()

    @property
    def best(self) -> TrialResult | None:
        """Its best trial."""
        if self.ranking:
            return self.ranking[0]
        return None

    @property
    def title(self) -> str:
        """The name of its folder, which tells searches of one name apart."""
        return self.result.folder.name

    @cached_property
    def places(self) -> dict[str, int]:
        """Item name to its index."""
        return {name: index for index, name in enumerate(self.result.items)}

    @property
    def directions(self) -> dict[str, str]:
        """Score name to "max" or "min", where it is known."""
        metrics = self.record.get("metrics")
        found = {}
        for name, row in (metrics if isinstance(metrics, Mapping) else {}).items():
            if isinstance(row, Mapping) and row.get("direction") in ("max", "min"):
                found[name] = str(row["direction"])
        return found | {objective.metric: objective.direction for objective in self.result.objectives}

    @property
    def scores(self) -> list[str]:
        """Names of all scores, the objectives first."""
        objectives = [objective.metric for objective in self.result.objectives]
        return list(dict.fromkeys([*objectives, *(name for t in self.result.trials for name in t.scores)]))

    @property
    def prompt(self) -> str:
        """What the images were asked for, where the eval set has no inputs to show; else ""."""
        if "input" in self.pictures.folders.values():
            return ""
        params = self.record.get("params")
        for param in params if isinstance(params, list) else []:
            if isinstance(param, Mapping) and param.get("input") in _PROMPTS:
                return str(param.get("value", ""))
        for node in (self.manifest.get("workflow") or {}).values():
            text = (node.get("inputs") or {}).get("text")
            if "TextEncode" in str(node.get("class_type")) and isinstance(text, str):
                return text
        return ""

    def digests(self, item: str) -> Mapping[str, str]:
        """Folder name to digest of an item's images."""
        known = (self.manifest.get("items") or {}).get(item, {})
        return {folder: str(digest) for folder, digest in known.items()}


@dataclass(frozen=True)
class Report:
    """What a report shows.

    Attributes:
        parts: Its searches.
        items: Names of the items that all of them have, in the first one's order.
        metrics: Names of the scores that all of them have, the leading one first.
        sets: Best first; those without a score last.
    """

    parts: tuple[SearchPart, ...]
    items: tuple[str, ...]
    metrics: tuple[str, ...]
    sets: tuple[SetRow, ...]

    @property
    def first(self) -> SearchPart:
        """The search that gives the report its items and metrics; of one, the one."""
        return self.parts[0]

    @property
    def folders(self) -> Mapping[str, Role]:
        """Folders of the eval set and their roles."""
        return self.first.pictures.folders

    def scores(self, row: SetRow, metric: str) -> list[float | None]:
        """A set's score for each of the report's items."""
        known = row.trial.report.item_scores.get(metric, {})
        part = self.parts[row.search]
        if metric == part.result.metric and not known:
            known = {index: score for index, score in enumerate(row.trial.item_scores) if score is not None}
        return [known.get(part.places[name]) for name in self.items]

    def interval(self, row: SetRow, metric: str) -> MeanInterval | None:
        """A set's mean over the report's items that have the score; None where none has."""
        known = [score for score in self.scores(row, metric) if score is not None]
        if known:
            return MeanInterval.of(known)
        return None

    def mean(self, row: SetRow, metric: str) -> float | None:
        """A set's mean score; of a metric without scores per item, the one that it has for all of them."""
        known = [score for score in self.scores(row, metric) if score is not None]
        if known:
            return statistics.fmean(known)
        return row.trial.scores.get(metric)


def read_report(results: Sequence[SearchResult]) -> Report:
    """Read what a report shows.

    Args:
        results: The searches, at least one; the first gives the order of items and scores.
    """
    parts = tuple(_part(result) for result in results)
    first, others = parts[0], parts[1:]
    items, metrics = list(first.result.items), first.scores
    for other in others:
        items = [name for name in items if _same(first, other, name)]
        metrics = [name for name in metrics if name in other.scores]
    sets = [row for number, part in enumerate(parts) for row in _sets(number, part, items)]
    report = Report(parts, tuple(items), tuple(metrics), tuple(sets))
    return replace(report, sets=tuple(_ranked(report)))


def _part(result: SearchResult) -> SearchPart:
    paths = SearchPaths(result.folder)
    # The baseline's, as it is the first that there is; every trial has the same metrics.
    record = read_json(paths.trial(0).record) or {}
    return SearchPart(result, read_manifest(paths), read_pictures(paths), record)


def _same(one: SearchPart, other: SearchPart, item: str) -> bool:
    """Whether an item is in both searches, with the same images as far as that is known."""
    if item not in other.places:
        return False
    mine, theirs = one.digests(item), other.digests(item)
    # A folder that one search lacks says nothing against the item.
    return all(theirs[folder] == digest for folder, digest in mine.items() if folder in theirs)


def _sets(search: int, part: SearchPart, items: Sequence[str]) -> list[SetRow]:
    found = []
    for trial in part.result.trials:
        paths = part.paths.trial(trial.number)
        rows = read_items(paths)
        cells = {}
        for place, name in enumerate(items):
            row = rows.get(part.places[name])
            if row is not None:
                cells[place] = cell_of(paths.folder, row)
        found.append(SetRow(search, trial, cells))
    return found


def cell_of(folder: Path, row: ItemRow) -> Cell:
    """What can be shown of an item of a run.

    Args:
        folder: The run's own.
        row: The item as the run has it.
    """
    if not row.images:
        return Cell(row, None, row.error or "it has no image")
    files = tuple(folder / str(made.image) for made in row.images)
    outside = [made.image for made in row.images if not _is_inside(str(made.image))]
    # Paths come from a file: a report is sent to others, and must hold nothing from elsewhere on this disk.
    if outside:
        return Cell(row, None, f"{outside[0]} is no file of this search")
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        return Cell(row, None, f"the image is missing: {missing.relative_to(folder.parent)}")
    return Cell(row, Source(":".join(str(made.digest) for made in row.images), files))


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\\" not in path


def _ranked(report: Report) -> list[SetRow]:
    """The sets, best first: as their search ranks them, or several searches' by their common items."""
    if len(report.parts) == 1:
        order = [trial.number for trial in report.first.ranking]
    elif report.metrics:
        order = _ranked_together(report)
    else:
        order = []
    by_key = {_key(report, number, row): row for number, row in enumerate(report.sets)}
    best = [by_key[key] for key in order]
    # What has no score comes last, in the order of trials.
    return [*best, *(row for key, row in by_key.items() if key not in set(order))]


def _key(report: Report, number: int, row: SetRow) -> int:
    if len(report.parts) == 1:
        return row.trial.number
    return number


def _ranked_together(report: Report) -> list[int]:
    metric = report.metrics[0]
    rows = []
    for number, row in enumerate(report.sets):
        scores = report.scores(row, metric)
        if any(score is not None for score in scores):
            whole = row.trial.items >= len(report.parts[row.search].result.items)
            if whole:
                items = len(scores)
            else:
                # It counts as stopped among the common items, however many its own search has.
                items = sum(score is not None for score in scores)
            rows.append(Row(number, scores, items))
    direction = report.first.directions.get(metric, "max")
    failures = report.first.result.failures
    return ranked(rows, Rules("min" if direction == "min" else "max", len(report.items), failures))
