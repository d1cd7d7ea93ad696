"""An earlier search of the same name: whether it can be gone on with, and what it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pixaris.cache.local import NO_LIMIT, LocalCache
from pixaris.exceptions import ConfigurationError, Problem
from pixaris.files import JsonMapping, read_json, safe_name
from pixaris.results.folders import latest_folder
from pixaris.results.journal import History
from pixaris.results.manifest import MAY_CHANGE, differences, read_manifest
from pixaris.results.paths import SearchPaths
from pixaris.results.records import SearchResult
from pixaris.search.check import CheckedSearch
from pixaris.search.manifest import manifest_of


@dataclass(frozen=True)
class Earlier:
    """A search that was begun before, held against the one that is to go on with it.

    Attributes:
        result: What it found.
        manifest: What it was made from.
        history: What happened in it.
        differences: What must be the same in both and is not, one sentence each.
    """

    result: SearchResult
    manifest: JsonMapping
    history: History
    differences: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Its folder."""
        return self.result.folder

    @property
    def unfinished(self) -> bool:
        """Whether it was stopped before its end, by whatever, and no process runs it now."""
        return self.result.status in ("interrupted", "stopped")

    @property
    def kept_no_journal(self) -> bool:
        """Whether it has trials that nobody can be told of: an earlier version made it."""
        return bool(self.result.trials) and not self.history.events

    def images(self, store: Path) -> int:
        """How many images it has made, also those that no trial has reported.

        Args:
            store: Its own store of images.
        """
        kept = LocalCache(store, NO_LIMIT, make_folder=False)
        return max(sum(1 for _ in kept.entries()), self.result.images - self.result.cached)

    def left(self, trials: int | None) -> bool:
        """Whether there is anything left to do, be it only to write down that it has ended.

        Args:
            trials: How many trials are to run; None if that is up to the searcher.
        """
        # "running": whoever asks holds its folder
        if trials is None or self.result.status in (
            "interrupted",
            "running",
        ):
            return self.result.status != "finished"
        return bool(self.history.unfinished) or len(self.history.values) < trials

    def raise_problems(self, source: str) -> None:
        """Refuse to go on with it where it is another search.

        Args:
            source: The search file, for the error.

        Raises:
            ConfigurationError: All that differs, what may differ, and the way out.
        """
        out = "or leave out the resuming, and a new search starts beside it"
        if self.kept_no_journal:
            raise ConfigurationError(
                f"{self.folder} was made by a version that cannot resume; {_start(out)}", source
            )
        if self.differences:
            head = f"{self.folder} holds another search, which this one cannot go on with"
            rule = f"only {MAY_CHANGE} may change; take the changes back, {out}"
            raise ConfigurationError(
                [Problem(head, rule), *(Problem("", line) for line in self.differences)], source
            )


def earlier_of(checked: CheckedSearch, folder: Path | None = None) -> Earlier | None:
    """The newest search of the same name and project, held against one that is to go on with it; None if
    there is none.

    Args:
        checked: The one that is to go on.
        folder: Where it lies, if that is known.
    """
    home = checked.settings.home
    folder = folder or latest_folder(home.project_folder, safe_name(home.name))
    if folder is None or read_json(SearchPaths(folder).head) is None:
        return None
    paths = SearchPaths(folder)
    kept = read_manifest(paths)
    found = tuple(differences(kept, manifest_of(checked)))
    return Earlier(SearchResult.load(folder), kept, History.read(paths), found)


def _start(words: str) -> str:
    return words.removeprefix("or ")


def described(lines: Sequence[str], most: int = 3) -> str:
    """Differences in one line."""
    more = len(lines) - most
    return "; ".join(lines[:most]) + (f"; and {more} more" if more > 0 else "")
