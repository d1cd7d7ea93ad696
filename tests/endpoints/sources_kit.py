"""What the tests of sources share: a list of what a discovery emits, and a gcloud that is a script."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from pool_kit import until

from pixaris.endpoints.discovery import Discovery, Down, Event, Failed, Note, Up

FAKE = Path(__file__).with_name("fake_gcloud.py")


class Events:
    """Takes a discovery's events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken: list[Event] = []

    def __call__(self, event: Event) -> None:
        with self._lock:
            self.taken.append(event)

    @property
    def urls(self) -> list[str]:
        """The endpoints that are up."""
        with self._lock:
            found: list[str] = []
            for event in self.taken:
                if isinstance(event, Up):
                    found.append(event.endpoint.url)
                elif isinstance(event, Down):
                    found.remove(event.url)
            return found

    @property
    def errors(self) -> list[Exception]:
        with self._lock:
            return [event.error for event in self.taken if isinstance(event, Failed)]

    @property
    def sentences(self) -> list[str]:
        with self._lock:
            return [event.sentence for event in self.taken if isinstance(event, Note)]

    def wait_for(self, count: int) -> list[str]:
        """Wait until so many endpoints are up."""
        until(lambda: len(self.urls) == count)
        return self.urls


@contextlib.contextmanager
def running(discovery: Discovery) -> Iterator[Events]:
    """Run a discovery until the block ends."""
    events = Events()
    try:
        discovery.start(events)
        yield events
    finally:
        discovery.stop()


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
