"""Rounds of a search that votes steer: sets are made, put up, voted on, and the votes are fitted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias

from pixaris.exceptions import PixarisError, SearchFailedError, StorageError
from pixaris.feedback_handlers.base import AnyEntry, Iteration, IterationKey, Vote, votes_of
from pixaris.files import storing, write_json
from pixaris.report.listener import ReportWriter
from pixaris.results.bucket.mirror import Mirror
from pixaris.results.evidence.preferences import keep_preferences
from pixaris.results.journal import History
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import Planned, ProgressListener, SearchProgress
from pixaris.results.records import SearchResult, SearchStatus
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.steering.interrupts import Interrupts
from pixaris.search.steering.opinion import preferences_of
from pixaris.search.steering.putting_up import Stage
from pixaris.search.steering.visible import questions

_POLL_SECONDS = 1.0
_TELL_SECONDS = 10.0

Place: TypeAlias = Callable[[IterationKey], str]
"""Says where people vote on an iteration."""


def on_the_page(key: IterationKey) -> str:
    """Where people vote, for who knows no address."""
    return "the review page (pixaris ui)"


@dataclass(frozen=True)
class Waited:
    """How a wait for votes has ended.

    Attributes:
        seconds: How long it took.
        status: What the search has become; "running" where the votes have come.
        reason: Why, or "".
    """

    seconds: float
    status: SearchStatus = "running"
    reason: str = ""


class Rounds:
    """Runs the rounds of a search, from where it stands. Its folder is held by this process.

    Args:
        checked: The search.
        stage: Where its sets are put up.
        paths: Its files.
        run_round: Makes sets until there are so many besides the baseline; where some are there already, they
            count.
        listener: Is told how it goes.
        place: Says where people vote.
        mirror: Keeps its folder in a bucket; None where that is not wished.
    """

    def __init__(
        self,
        checked: CheckedSearch,
        stage: Stage,
        paths: SearchPaths,
        run_round: Callable[[int], SearchResult],
        listener: ProgressListener,
        place: Place = on_the_page,
        mirror: Mirror | None = None,
    ) -> None:
        self._checked = checked
        self._stage = stage
        self._steering = stage.steering
        self._paths = paths
        self._run_round = run_round
        self._listener = listener
        self._place = place
        self._mirror = mirror

    def run(self) -> SearchResult:
        """Make, put up and wait until there are as many sets and votes as were asked for, the budget is spent
        or somebody interrupts; then it can be gone on with.
        """
        spent = ""  # why the budget pays for no more sets
        for sets in self._steering.rounds:
            if not self._is_made(sets):
                result = self._run_round(sets)
                if result.error is not None or result.status in ("interrupted", "failed"):
                    return result
                if result.status == "stopped":
                    spent = result.reason
                else:
                    spent = ""
            result = SearchResult.load(self._paths.folder)
            last = sets == self._steering.rounds[-1] or bool(spent)
            if last:
                due = self._steering.votes
            else:
                due = self._steering.due(sets)
            try:
                waited = self._wait(result, due)
            except SearchFailedError as error:
                return self._closed("failed", str(error), error=error)
            except PixarisError as error:
                return self._closed("interrupted", str(error), error=error)
            if waited.reason:
                return self._closed(waited.status, waited.reason, waited.seconds)
            self._add(waited.seconds)
            if last:
                break
        return self._closed("stopped" if spent else "finished", spent)

    def _is_made(self, sets: int) -> bool:
        """Whether the sets of a round have all been made."""
        history = History.read(self._paths)
        return len(history.values) > sets and not history.unfinished

    # Waiting

    def _wait(self, result: SearchResult, due: int) -> Waited:
        """Put up what was made, and wait until there are so many votes; fit them as they come."""
        began = time.monotonic()
        entries: list[AnyEntry] = []
        until, told, missing = 0, -_TELL_SECONDS, 0
        known: list[Vote] | None = None
        with Interrupts() as interrupts:
            iteration = self._stage.put_up(result)
            due = min(due, questions(iteration.images, due))  # of few sets not more can be asked
            while True:
                waited = time.monotonic() - began
                if self._mirror is not None and self._mirror.failed is not None:
                    raise self._mirror.failed
                log = self._steering.handler.read(iteration.key, until)
                entries, until = [*entries, *log.entries], log.until
                votes = votes_of(entries)
                if votes != known:
                    known = votes
                    self._fit(iteration, votes)
                if len(votes) >= due:
                    return Waited(waited)
                limit = self._checked.settings.limits.budget.seconds
                if limit is not None and result.seconds + waited >= limit:
                    reason = f"the budget of {limit:g} seconds is spent, with {len(votes)} of {due} votes"
                    return Waited(waited, "stopped", reason)
                if waited - told >= _TELL_SECONDS and due - len(votes) != missing:
                    missing = due - len(votes)
                    self._tell(missing, first=told < 0)
                    told = waited
                if interrupts.wait(max(_POLL_SECONDS, self._steering.handler.look_seconds)):
                    return Waited(time.monotonic() - began, "interrupted", interrupts.reason)

    def _fit(self, iteration: Iteration, votes: Sequence[Vote]) -> None:
        trials = SearchResult.load(self._paths.folder).trials
        space = self._checked.space
        keep_preferences(self._paths, preferences_of(self._stage, iteration, votes, trials, space))

    def _tell(self, count: int, *, first: bool) -> None:
        """Say that votes are waited for, also to whoever looks from outside."""
        key = self._steering.key
        words = f"waiting for about {count} vote{'' if count == 1 else 's'}"
        if first:
            self._listener.event(f"{words} on {key.name!r} (project {key.project!r}) at {self._place(key)}")
        current = SearchResult.load(self._paths.folder)
        planned = Planned(self._steering.rounds[-1] + 1, self._checked.size.images)
        self._listener.update(SearchProgress(words, current, planned, current.seconds))
        self._write_head(replace(current, status="running", reason=f"{words} on {key.name!r}"))

    # The search's own files

    def _write_head(self, result: SearchResult) -> None:
        with storing(self._paths.folder):
            write_json(self._paths.head, result.head(), make_folder=False)

    def _add(self, seconds: float) -> SearchResult:
        """Count the time of a wait as the search's."""
        result = SearchResult.load(self._paths.folder)
        longer = replace(result, totals=replace(result.totals, seconds=result.seconds + seconds))
        if self._checked.settings.limits.budget:
            spent = replace(result.spent, seconds=result.spent.seconds + seconds)
            longer = replace(longer, spent=spent)
            with storing(self._paths.folder):
                write_json(self._paths.spent, asdict(spent))
        self._write_head(longer)
        return longer

    def _closed(
        self, status: SearchStatus, reason: str, seconds: float = 0.0, error: PixarisError | None = None
    ) -> SearchResult:
        """Write down how the search has ended, its report too."""
        try:
            result = replace(self._add(seconds), status=status, reason=reason)
            self._write_head(result)
        except StorageError as unkept:
            loaded = SearchResult.load(self._paths.folder)
            return replace(loaded, status="interrupted", reason=str(unkept), error=unkept)
        if status == "finished":
            shutil.rmtree(self._paths.store, ignore_errors=True)  # its images are in the trials' folders
        with ReportWriter(self._listener, self._checked.setup.eval_set) as reporting:
            reporting.finish(result)
        return replace(result, error=error)
