"""What ``pixaris endpoints`` shows: every endpoint as it answers, and as a running search sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pixaris.endpoints.apis.probe import ProbeResult
from pixaris.endpoints.base import Endpoint, EndpointStatus
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.exceptions import UnreachableError
from pixaris.results.endpoints_file import running_search
from pixaris.search.file.spec import SearchSpec

# Longer than a probe's own limit, so that a silent one shows its error and not nothing.
_WAIT_SECONDS = 8.0
_NONE = "–"
_OF_ACCOUNTS = ("credits", "charged")
"""Columns that are shown where an account is among the endpoints."""


class Watched:
    """An endpoint that is probed again and again in a thread of its own: one that hangs holds up nobody.

    Attributes:
        result: The latest probe's, or None before the first.
        probed: Set after the first.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.result: ProbeResult | None = None
        self.probed = threading.Event()
        self._prober = endpoint.api.prober(endpoint)
        # Ends with the command, whatever it waits for.
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.result = self._prober.probe()
            self.probed.set()
            time.sleep(self._prober.pause)


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

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said besides: of searches that run, of sources that cannot be asked."""
        return tuple(self._notes)

    def update(self) -> None:
        """Find out which endpoints there are, and what runs on them.

        Raises:
            ConfigurationError: A variable with credentials is missing.
        """
        self._notes = []
        found: dict[str, Endpoint] = {}
        for source in self._sources:
            try:
                found.update({endpoint.url: endpoint for endpoint in source.present()})
            except UnreachableError as error:
                self._notes.append(str(error))
        self._statuses = self._searches()
        for url in self._statuses:
            # A running search may have endpoints that the file no longer names, and those that it has
            # started.
            found.setdefault(url, Endpoint(url))
        if not self._statuses:
            started = [source.label for source in self._sources if source.starts and not source.pool]
            self._notes += [f"{label}: started with a search, and none runs now" for label in started]
            pools = [source.label for source in self._sources if source.pool]
            self._notes += [f"{label}: on its cluster, pixaris pool list tells of it" for label in pools]
        for url, endpoint in found.items():
            # Kept while it is gone: it may come back, and its thread goes on asking.
            if url not in self._watched:
                self._watched[url] = Watched(endpoint)
        self._present = list(found)

    def _searches(self) -> dict[str, EndpointStatus]:
        statuses: dict[str, EndpointStatus] = {}
        for spec in self._specs:
            self._notes += [f"{line}: not asked, that runs its code (--trust does)" for line in _own(spec)]
            home = spec.home
            running = running_search(home.project_folder, home.name, time.time(), spec.source.path)
            if running is None:
                self._notes.append(f"no search of {spec.source.path} runs now")
            else:
                self._notes.append(f"{running[0]} runs")
                statuses.update({status.url: status for status in running[1]})
        return statuses

    def wait(self) -> None:
        """Wait until each has been probed."""
        deadline = time.monotonic() + _WAIT_SECONDS
        for url in self._present:
            self._watched[url].probed.wait(max(0.0, deadline - time.monotonic()))

    @property
    def answers(self) -> bool:
        """Whether any of them answers."""
        results = [self._watched[url].result for url in self._present]
        return any(result is not None and not result.error for result in results)

    def facts(self) -> list[dict[str, object]]:
        """The endpoints as they stand, for scripts; what is not known is null."""
        return [facts(url, self._watched[url].result, self._statuses.get(url)) for url in self._present]

    def picture(self) -> Group:
        """The table as it stands."""
        rows = []
        for url in self._present:
            cells = row(url, self._watched[url].result)
            rows.append({**cells, **(search_row(self._statuses.get(url)) if self._specs else {})})
        known = {name for cells in rows for name in cells}
        for name in _OF_ACCOUNTS:
            if name in known:
                rows = [{**cells, name: cells.get(name, _NONE)} for cells in rows]
        return Group(*([table(rows)] if rows else []), *(Text(note, "dim") for note in self._notes))


def _own(spec: SearchSpec) -> list[str]:
    """Sources of the user's own that were left out."""
    return [line for line in spec.source.unread if line.startswith("endpoints: ")]


def facts(url: str, result: ProbeResult | None, status: EndpointStatus | None) -> dict[str, object]:
    """What is known of an endpoint, by name.

    Args:
        url: Its address, without credentials.
        result: What it said of itself, or None where it has not answered yet.
        status: How a running search sees it, or None.
    """
    told = result or ProbeResult(error="has not answered yet")
    free, total = told.memory or (None, None)
    found: dict[str, object] = {
        "endpoint": url,
        "answers": not told.error,
        "error": told.error or None,
        "busy": told.busy,
        "running": _counted(told.running),
        "waiting": _counted(told.waiting),
        "version": told.version or None,
        "device": told.device or None,
        "memory_free": free,
        "memory_total": total,
        "credits": told.credits,
    }
    if status is not None:
        found["search"] = {"state": status.state, "images": status.done, "failures": status.failures}
    return found


def _counted(requests: tuple[int, int] | None) -> dict[str, int] | None:
    if requests is None:
        return None
    return {"of_pixaris": requests[0], "of_others": requests[1]}


def row(url: str, result: ProbeResult | None) -> dict[str, str]:
    """What an endpoint says of itself."""
    cells = {"endpoint": url, "state": "asking …", "running": _NONE, "waiting": _NONE}
    cells |= {"version": _NONE, "device": _NONE, "memory free": _NONE}
    if result is None:
        return cells
    if result.error:
        if result.refused:
            state = result.error
        else:
            state = f"does not answer: {result.error}"
        return {**cells, "state": state}
    if result.busy:
        cells["state"] = "busy"
    else:
        cells["state"] = "healthy"
    if result.credits is not None:
        cells["credits"] = f"{result.credits:.10g}"
    if result.running is not None:
        cells["running"] = _requests(result.running)
    if result.waiting is not None:
        cells["waiting"] = _requests(result.waiting)
    if result.memory is not None:
        free, total = result.memory
        cells["memory free"] = f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB"
    return {**cells, "version": result.version or _NONE, "device": result.device or _NONE}


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
        "models": "; ".join(map(_model_files, status.models)) or _NONE,
    }


def _model_files(affinity_key: str) -> str:
    """The files of a key, which has a line for each: ``input=file``."""
    return ", ".join(line.rpartition("=")[2] for line in affinity_key.split("\n"))


def table(rows: Sequence[Mapping[str, str]]) -> Table:
    """A table of rows that have the same columns."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        is_url = name == "endpoint"
        made.add_column(name, overflow="fold", no_wrap=is_url)  # it is pasted as it stands
    for cells in rows:
        made.add_row(*(Text(cell, _style(cell) if name == "state" else "") for name, cell in cells.items()))
    return made


def _style(state: str) -> str:
    return {"healthy": "green", "busy": "cyan"}.get(state, "dim" if state.startswith("asking") else "red")


def _requests(count: tuple[int, int]) -> str:
    ours, others = count
    return f"{ours}" + (f" + {others} of others" if others else "")
