"""What the tests of endpoint sources share: a list of what a feed reports, and a gcloud that is a script."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pool_kit import until

from pixaris.endpoints.feeds import Down, Failed, Feed, Notice, Told, Up

FAKE = Path(__file__).with_name("fake_gcloud.py")


class Reports:
    """Takes a feed's notices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.notices: list[Notice] = []

    def __call__(self, notice: Notice) -> None:
        with self._lock:
            self.notices.append(notice)

    @property
    def urls(self) -> list[str]:
        """The endpoints that are up."""
        with self._lock:
            found: list[str] = []
            for notice in self.notices:
                if isinstance(notice, Up):
                    found.append(notice.endpoint.url)
                elif isinstance(notice, Down):
                    found.remove(notice.url)
            return found

    @property
    def errors(self) -> list[Exception]:
        with self._lock:
            return [notice.error for notice in self.notices if isinstance(notice, Failed)]

    @property
    def sentences(self) -> list[str]:
        with self._lock:
            return [notice.sentence for notice in self.notices if isinstance(notice, Told)]

    def wait_for(self, count: int) -> list[str]:
        """Wait until so many endpoints are up."""
        until(lambda: len(self.urls) == count)
        return self.urls


@contextlib.contextmanager
def reporting(feed: Feed) -> Iterator[Reports]:
    """Run a feed until the block ends."""
    reports = Reports()
    try:
        feed.start(reports)
        yield reports
    finally:
        feed.stop()


class Gcloud:
    """A program of that name in a folder of its own, which does what it is told beforehand.

    Args:
        folder: An empty folder.
        target: Port of the server at the far end of its tunnels.
    """

    def __init__(self, folder: Path, target: int) -> None:
        folder.mkdir()
        self.folder = folder
        self.program = str(folder / "gcloud")
        Path(self.program).write_text(f'#!/bin/sh\nexec {sys.executable} -S -E {FAKE} {folder} "$@"\n')
        Path(self.program).chmod(0o755)
        self.does(target=target)

    def does(self, *modes: str, target: int | None = None) -> None:
        """What the next calls do, one after the other; further ones open tunnels."""
        target = self._plan()["target"] if target is None else target
        (self.folder / "plan.here").write_text(json.dumps({"modes": modes, "target": target}))
        (self.folder / "plan.here").replace(self.folder / "plan.json")  # a tunnel that is open reads it

    def _plan(self) -> dict[str, int]:
        plan: dict[str, int] = json.loads((self.folder / "plan.json").read_text())
        return plan

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        file = self.folder / "calls.jsonl"
        return (
            [json.loads(line)["arguments"] for line in file.read_text().splitlines()] if file.exists() else []
        )

    @property
    def pids(self) -> list[int]:
        """The process of every call."""
        return [json.loads(line)["pid"] for line in (self.folder / "calls.jsonl").read_text().splitlines()]

    @property
    def ends(self) -> list[str]:
        """How calls ended that were asked to end."""
        file = self.folder / "ends.txt"
        return file.read_text().split() if file.exists() else []
