"""Searches and runs of a results folder as the review page shows them, under names that lead to no file."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.exceptions import ConfigurationError
from pixaris.files import JsonMapping, JsonObject, read_json
from pixaris.frontend.sessions import Keyring
from pixaris.report.model import Cell, SearchPart, cell_of
from pixaris.results import folders
from pixaris.results.evidence.eval_set import PicturedSet, read_pictures
from pixaris.results.evidence.items import read_items
from pixaris.results.manifest import read_manifest
from pixaris.results.paths import RunPaths, SearchPaths
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.types import Direction, ParamValue

_KEPT = 24
"""Searches that are kept read."""

_FRESH_SECONDS = 1.0
"""A search that was read so lately is not looked at again: a page asks for many images at once, and a search
that runs changes all the time.
"""


@dataclass(frozen=True)
class Origin:
    """What a trial belongs to.

    Attributes:
        search: Its search.
        trial: The trial itself, as the search has it.
    """

    search: Search
    trial: TrialResult


@dataclass(frozen=True)
class Run:
    """A trial of a search, or an experiment run of its own.

    Attributes:
        ref: Its name in addresses.
        name: ``restore/trial_0003``, or the run's name.
        project: The project's name.
        dataset: The eval set's name, or "".
        paths: Its files.
        status: How it stands.
        values: Its parameters.
        means: Score name to its mean.
        directions: Score name to what is better, where that is known.
        failures: Items without an image or a score.
        items: Names of the eval set's items, where they are known.
        origin: Where it is a trial of a search; None of a run of its own.
    """

    ref: str
    name: str
    project: str
    dataset: str
    paths: RunPaths
    status: str
    values: Mapping[str, ParamValue]
    means: Mapping[str, float]
    directions: Mapping[str, Direction]
    failures: int
    items: Sequence[str]
    origin: Origin | None = None

    def cells(self) -> dict[int, Cell]:
        """What it made, by index of the item."""
        return {index: cell_of(self.paths.folder, row) for index, row in read_items(self.paths).items()}


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        id: Its name in addresses.
        project: The project's name.
        part: Everything that its folder has.
        changed: Unix time of its last change.
        version: Another one once anything has changed.
    """

    id: str
    project: str
    part: SearchPart
    changed: float
    version: str

    @property
    def result(self) -> SearchResult:
        """The search as it stands."""
        return self.part.result

    @property
    def name(self) -> str:
        """The name of its folder, which tells searches of one name apart."""
        return self.part.title

    @property
    def pictures(self) -> PicturedSet:
        """The eval set's pictures."""
        return self.part.pictures

    def run(self, trial: TrialResult) -> Run:
        """One of its trials."""
        directions: dict[str, Direction] = {}
        for name, direction in self.part.directions.items():
            if direction == "min":
                directions[name] = "min"
            else:
                directions[name] = "max"
        return Run(
            f"{self.id}-{trial.number}",
            f"{self.name}/{trial.name}",
            self.project,
            self.pictures.name,
            self.part.paths.trial(trial.number),
            trial.status,
            trial.values,
            trial.scores,
            directions,
            trial.failures,
            self.result.items,
            Origin(self, trial),
        )

    def runs(self) -> list[Run]:
        """All of its trials, the best first, those without a score last."""
        ranking = self.part.ranking
        known = {trial.number for trial in ranking}
        rest = [trial for trial in self.result.trials if trial.number not in known]
        return [self.run(trial) for trial in (*ranking, *rest)]


class Experiments:
    """Reads a results folder, again where it has changed. Safe to be used by several threads.

    Args:
        results: The results folder.
        keyring: Makes the names in addresses.
        clock: Gives seconds.
    """

    def __init__(self, results: Path, keyring: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self.results = results
        self._keyring = keyring
        # Held for looking up and keeping only: reading a large search takes seconds, and other searches need
        # not wait for it.
        self._lock = threading.Lock()
        self._clock = clock
        self._read: dict[str, tuple[float, Search]] = {}

    def searches(self) -> tuple[list[Search], list[str]]:
        """All searches, the newest first, and what is wrong with those that cannot be read."""
        found, problems = [], []
        for folder in folders.searches(self.results):
            try:
                found.append(self._search(folder))
            except (ConfigurationError, OSError) as error:  # one damaged folder hides no other
                problems.append(str(error))
        return sorted(found, key=lambda search: -search.changed), problems

    def runs(self) -> list[Run]:
        """All single runs, by name."""
        return [self._run(folder) for folder in self._single()]

    def search(self, identity: str) -> Search:
        """A search by its name in addresses.

        Raises:
            ConfigurationError: There is none, or it cannot be read.
        """
        for folder in folders.searches(self.results):
            if self._id(folder) == identity:
                return self._search(folder)
        raise ConfigurationError("there is no such search; it may have been deleted or moved")

    def run(self, ref: str) -> Run:
        """A trial or a run by its name in addresses.

        Raises:
            ConfigurationError: There is none.
        """
        identity, _, number = ref.partition("-")
        if number.isascii() and number.isdigit() and len(number) < 10:
            search = self.search(identity)
            for trial in search.result.trials:
                if trial.number == int(number):
                    return search.run(trial)
        # A number after the dash means a trial, of whatever folder.
        for folder in self._single() if not number else ():
            if self._id(folder) == identity:
                return self._run(folder)
        raise ConfigurationError("there is no such run; it may have been deleted or moved")

    def _single(self) -> list[Path]:
        """Folders of runs that are no trials."""
        found = folders.runs(self.results)
        return [folder for folder in found if not SearchPaths(folder.parent).head.is_file()]

    def _id(self, folder: Path) -> str:
        return self._keyring.opaque(folder.relative_to(self.results).as_posix())

    def _search(self, folder: Path) -> Search:
        identity, now = self._id(folder), self._clock()
        with self._lock:
            at, known = self._read.get(identity, (-math.inf, None))
        # Before the disk is looked at: a page asks for a hundred images at once.
        if known is not None and now - at < _FRESH_SECONDS:
            return known
        version, changed = _version(folder)
        # A search that says it runs may have been killed, which no file tells.
        if known is not None and known.version == version and known.result.status != "running":
            return known
        paths = SearchPaths(folder)
        result = SearchResult.load(folder)
        record = read_json(paths.trial(0).record) or {}
        part = SearchPart(result, read_manifest(paths), read_pictures(paths), record)
        search = Search(identity, folder.parent.name, part, changed, version)
        with self._lock:
            self._read[identity] = (now, search)
            while len(self._read) > _KEPT:
                # The one that was read first; a dict keeps that order.
                del self._read[next(iter(self._read))]
        return search

    def _run(self, folder: Path) -> Run:
        record = read_json(RunPaths(folder).record) or {}
        means: dict[str, float] = {}
        directions: dict[str, Direction] = {}
        for name, row in _table(record, "metrics").items():
            if isinstance(row, Mapping) and isinstance(row.get("mean"), int | float):
                means[name] = float(row["mean"])
                if row.get("direction") in ("max", "min"):
                    directions[name] = row["direction"]
        failed = _table(record, "items").get("failed", 0)
        return Run(
            self._id(folder),
            f"{folder.parent.name}/{folder.name}",
            folder.parent.parent.name,
            str(record.get("dataset", "")),
            RunPaths(folder),
            str(record.get("status", "")),
            _table(record, "values"),
            means,
            directions,
            failed if isinstance(failed, int) else 0,
            [row.name for _, row in sorted(read_items(RunPaths(folder)).items())],
        )


def _table(record: JsonMapping, key: str) -> JsonObject:
    """A section of a record that somebody may have edited."""
    value = record.get(key)
    if isinstance(value, Mapping):
        return dict(value)
    return {}


def _version(folder: Path) -> tuple[str, float]:
    """What changes whenever a search's files do, and when they last did."""
    paths = SearchPaths(folder)
    marks = []
    changed = 0.0
    for file in (paths.head, paths.trials, paths.journal):
        try:
            state = file.stat()
        except OSError:
            continue
        # Size and time: a file may change twice within the clock's tick.
        marks.append(f"{state.st_size:x}.{state.st_mtime_ns:x}")
        changed = max(changed, state.st_mtime)
    return "-".join(marks), changed
