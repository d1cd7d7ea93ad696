"""What ``pixaris endpoints`` shows: every endpoint as it answers, and as a running search sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pixaris.endpoints.base import Endpoint, EndpointStatus
from pixaris.endpoints.discovery import DnsSource, EndpointSource, StaticSource
from pixaris.endpoints.dns import addresses
from pixaris.endpoints.flux import FluxSource
from pixaris.endpoints.look import Look, observer_of
from pixaris.exceptions import UnreachableError
from pixaris.results.endpoints_file import running_search
from pixaris.search import servers
from pixaris.search.file.spec import SearchSpec

_WAIT_SECONDS = 8.0
_NONE = "–"
_OF_ACCOUNTS = ("credits", "charged")
"""Columns that are shown where an account is among the endpoints."""


class Watched:
    """A server that is looked at again and again in a thread of its own: one that hangs holds up nobody.

    Attributes:
        look: The latest look, or None before the first.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.look: Look | None = None
        self.looked = threading.Event()
        self._observer = observer_of(endpoint)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.look = self._observer.look()
            self.looked.set()
            time.sleep(self._observer.pause)


class Board:
    """The table.

    Args:
        specs: Search files; of each, the newest search that runs is shown too.
        sources: Where endpoints come from.
    """

    def __init__(self, specs: Sequence[SearchSpec], sources: Sequence[EndpointSource]) -> None:
        self._specs = specs
        self._sources = sources
        self._watched: dict[str, Watched] = {}
        self._present: list[str] = []
        self._statuses: dict[str, EndpointStatus] = {}
        self._notes: list[str] = []

    def update(self) -> None:
        """Find out which endpoints there are, and what runs on them.

        Raises:
            ConfigurationError: A variable with credentials is missing.
        """
        self._notes = []
        found = {endpoint.url: endpoint for endpoint in servers.static(self._sources)}
        for source in self._sources:
            if isinstance(source, DnsSource):
                try:
                    found.update({one.url: one for one in map(source.endpoint, addresses(source))})
                except UnreachableError as error:
                    self._notes.append(str(error))
        self._statuses = self._searches()
        for url in self._statuses:
            found.setdefault(url, Endpoint(url))
        if not self._statuses:
            there = StaticSource | FluxSource | DnsSource
            started = [source.label for source in self._sources if not isinstance(source, there)]
            self._notes += [f"{label}: started with a search, and none runs now" for label in started]
        for url, endpoint in found.items():
            if url not in self._watched:
                self._watched[url] = Watched(endpoint)
        self._present = list(found)

    def _searches(self) -> dict[str, EndpointStatus]:
        statuses: dict[str, EndpointStatus] = {}
        for spec in self._specs:
            home = spec.home
            running = running_search(home.project_folder, home.name, time.time())
            if running is None:
                self._notes.append(f"no search of {spec.source.path} runs now")
            else:
                self._notes.append(f"{running[0]} runs")
                statuses.update({status.url: status for status in running[1]})
        return statuses

    def wait(self) -> None:
        """Wait until each has been looked at."""
        deadline = time.monotonic() + _WAIT_SECONDS
        for url in self._present:
            self._watched[url].looked.wait(max(0.0, deadline - time.monotonic()))

    @property
    def answers(self) -> bool:
        """Whether any of them answers."""
        looks = [self._watched[url].look for url in self._present]
        return any(look is not None and not look.error for look in looks)

    def picture(self) -> Group:
        """The table as it stands."""
        rows = [
            row(url, self._watched[url].look) | (search_row(self._statuses.get(url)) if self._specs else {})
            for url in self._present
        ]
        for name in [name for name in _OF_ACCOUNTS if any(name in cells for cells in rows)]:
            rows = [{**cells, name: cells.get(name, _NONE)} for cells in rows]
        return Group(*([table(rows)] if rows else []), *(Text(note, "dim") for note in self._notes))


def row(url: str, look: Look | None) -> dict[str, str]:
    """What a server says of itself."""
    cells = {"endpoint": url, "state": "asking …", "running": _NONE, "waiting": _NONE}
    cells |= {"version": _NONE, "device": _NONE, "memory free": _NONE}
    if look is None:
        return cells
    if look.error:
        return {**cells, "state": look.error if look.refused else f"does not answer: {look.error}"}
    if look.credits is not None:
        return {**cells, "state": "healthy", "credits": f"{look.credits:.10g}"}
    return {
        **cells,
        "state": "busy" if look.busy else "healthy",
        "running": _prompts(look.running),
        "waiting": _prompts(look.waiting),
        "version": look.version or _NONE,
        "device": look.device or _NONE,
        "memory free": f"{look.memory[0] / 2**30:.1f} of {look.memory[1] / 2**30:.1f} GiB"
        if look.memory
        else _NONE,
    }


def search_row(status: EndpointStatus | None) -> dict[str, str]:
    """What a running search says of a server."""
    if status is None:
        return dict.fromkeys(
            ("in the search", "images", "images/s", "failures", "last failure", "models"), _NONE
        )
    return {
        "in the search": status.state,
        "images": str(status.done),
        "images/s": f"{1 / status.speed:.2f}" if status.speed else _NONE,
        "failures": str(status.failures),
        "last failure": status.last_failure or _NONE,
        **({"charged": f"{status.cost:.10g}"} if status.cost is not None else {}),
        "models": "; ".join(
            ", ".join(line.rpartition("=")[2] for line in key.split("\n")) for key in status.models
        )
        or _NONE,
    }


def table(rows: Sequence[Mapping[str, str]]) -> Table:
    """A table of rows that have the same columns."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        made.add_column(name, overflow="fold")
    for cells in rows:
        made.add_row(*(Text(cell, _style(cell) if name == "state" else "") for name, cell in cells.items()))
    return made


def _style(state: str) -> str:
    return {"healthy": "green", "busy": "cyan"}.get(state, "dim" if state.startswith("asking") else "red")


def _prompts(count: tuple[int, int]) -> str:
    ours, others = count
    return f"{ours}" + (f" + {others} of others" if others else "")
