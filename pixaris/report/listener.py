"""Writes a search's report while it runs, and once more at its end."""

from __future__ import annotations

import math
import os
import threading
import time
from pathlib import Path

from pixaris.exceptions import PixarisError
from pixaris.files import write_bytes
from pixaris.report.comparison import write_comparison
from pixaris.report.data import Originals
from pixaris.report.gallery import gallery
from pixaris.report.model import read_report
from pixaris.report.page import Written, page
from pixaris.report.thumbnails import Thumbnails
from pixaris.results.evidence.eval_set import write_pictures
from pixaris.results.paths import SearchPaths
from pixaris.results.progress import ProgressListener, SearchProgress
from pixaris.results.records import SearchResult
from pixaris.results.trial import TrialResult
from pixaris.types import EvalSet

EVERY_SECONDS = 10.0
"""How often the report is written, at most."""
_SHARE = 64.0
"""A report that takes a second to write is written every so many seconds. All in all that is about two per
cent of the time, also of a search that ends before its last report's pause is over.
"""

_LEAST_PICTURES = 0.25
"""Seconds for new pictures in every report, so that each has some."""


class ReportWriter:
    """Passes on how a search goes, and writes its report beside that, in a thread of its own.

    The thread keeps thumbnails between two reports, so that each image is decoded once. A report that cannot
    be written is told once and ends nothing.

    Args:
        inner: Who else listens.
        eval_set: The search's; its pictures are kept first.
    """

    def __init__(self, inner: ProgressListener, eval_set: EvalSet) -> None:
        self._inner = inner
        self._eval_set = eval_set
        self._wanted = threading.Condition()
        self._latest: SearchResult | None = None
        self._ended = False
        self._told = False
        self._thread = threading.Thread(target=self._work, name="pixaris-report", daemon=True)
        self._thread.start()

    def update(self, progress: SearchProgress) -> None:
        # First, so that whoever listens may take as long as it likes.
        self._offer(progress.result)
        self._inner.update(progress)

    def trial_ended(self, trial: TrialResult, progress: SearchProgress) -> None:
        self._offer(progress.result)
        self._inner.trial_ended(trial, progress)

    def event(self, sentence: str) -> None:
        self._inner.event(sentence)

    def finish(self, result: SearchResult) -> None:
        """Write the final report of a search that has ended, and wait for it."""
        with self._wanted:
            self._latest, self._ended = result, True
            self._wanted.notify()
        # The process may end right after, and would take the thread with it.
        self._thread.join()

    def __enter__(self) -> ReportWriter:
        return self

    def __exit__(self, *_: object) -> None:
        """End without a final report, where none was asked for: the search ended with an error."""
        with self._wanted:
            if not self._ended:
                self._latest, self._ended = None, True
                self._wanted.notify()
        self._thread.join()

    def _offer(self, result: SearchResult) -> None:
        with self._wanted:
            # Only the latest: what came between two reports is in it. Nobody is woken, since the thread looks
            # by itself.
            self._latest = result

    def _work(self) -> None:
        thumbnails: Thumbnails | None = None
        pause, spent, began = EVERY_SECONDS, 0.0, time.monotonic()
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._ended, timeout=pause)
                result, ended = self._latest, self._ended
            if result is None and ended:
                break
            # Before the search's first line is written there is no folder to write into, and it must not be
            # made here.
            if result is not None and SearchPaths(result.folder).head.is_file():
                if thumbnails is None:
                    thumbnails = self._begin(result)
                if ended:
                    every, most = 0.0, math.inf
                    thumbnails.workers = os.cpu_count() or 1  # nobody else needs them now
                else:
                    every = max(EVERY_SECONDS, pause)
                    most = seconds_for_pictures(time.monotonic() - began, spent)
                seconds = self._write(result, thumbnails, every, most)
                spent += seconds
                # Large searches take seconds to write: the process is also the one that runs the search.
                pause = pause_after(seconds)
            if ended:
                break
        if thumbnails is not None:
            thumbnails.close()

    def _begin(self, result: SearchResult) -> Thumbnails:
        paths = SearchPaths(result.folder)
        try:
            if paths.manifest.is_file():  # else the folder was moved away, and is not made anew
                write_pictures(paths, self._eval_set)
        except OSError as error:
            self._tell(f"pictures of the eval set cannot be kept: {error}")
        return Thumbnails(paths.thumbnails)

    def _write(self, result: SearchResult, thumbnails: Thumbnails, every: float, most: float) -> float:
        """Write the report; gives the seconds that took."""
        began = time.monotonic()
        try:
            write_report(result, thumbnails, every, most)
        except (OSError, PixarisError) as error:
            self._tell(f"the report cannot be written: {error}")
        return time.monotonic() - began

    def _tell(self, sentence: str) -> None:
        if not self._told:
            self._told = True
            self._inner.event(sentence)


def seconds_for_pictures(elapsed: float, spent: float) -> float:
    """How long a running search's report may make pictures that it has not yet.

    Args:
        elapsed: Seconds since the search began.
        spent: Seconds that its reports have taken.
    """
    return max(_LEAST_PICTURES, elapsed / _SHARE - spent)


def pause_after(spent: float) -> float:
    """Seconds until a running search's report is written again.

    Args:
        spent: Seconds that writing it took.
    """
    return max(EVERY_SECONDS, _SHARE * spent)


def write_report(result: SearchResult, thumbnails: Thumbnails, every: float, most: float = math.inf) -> Path:
    """Write a search's report into its folder; of one that has ended, the small picture too.

    Args:
        result: The search as it stands.
        thumbnails: Those that there are.
        every: Seconds until it is written again; 0 for the last one.
        most: Seconds for making pictures; those for which there was no time are left out.
    """
    file = SearchPaths(result.folder).report
    report = read_report([result])
    thumbnails.hurry(most)
    pictures = gallery(report, thumbnails)
    pieces = page(report, pictures, Originals.beside(report, file), Written(time.time(), every))
    write_bytes(file, pieces, make_folder=False)
    # The picture is for sharing, so it is drawn of the final state alone.
    if not every:
        write_comparison(report)
    return file
