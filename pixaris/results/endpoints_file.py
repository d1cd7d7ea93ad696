"""``endpoints.json``: the endpoints as a running search sees them, for whoever looks at it from outside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pixaris.endpoints.base import EndpointStatus
from pixaris.files import read_json, write_json
from pixaris.results.foreign import ForeignError, read_as
from pixaris.results.paths import SearchPaths, number_of

WRITE_SECONDS = 2.0
_FRESH_SECONDS = 15.0  # after that, the search has ended without saying so


def write_endpoints(folder: Path, endpoints: Sequence[EndpointStatus], now: float) -> None:
    """Write a search's endpoints into its folder.

    Args:
        folder: The search's folder.
        endpoints: As the pool sees them.
        now: Unix time.
    """
    write_json(
        SearchPaths(folder).endpoints,
        {"time": now, "endpoints": [asdict(endpoint) for endpoint in endpoints]},
    )


def running_search(
    parent: Path, name: str, now: float, source: Path | None = None
) -> tuple[Path, tuple[EndpointStatus, ...]] | None:
    """The newest search of a name that is running now, and its endpoints; None if none is.

    Args:
        parent: The project's results.
        name: The search's name; its folder may be called ``name-2`` and so on.
        now: Unix time.
        source: The search file: a search that was started from it under another name counts too.
    """
    folders = [
        head.parent
        for head in parent.glob(f"*/{SearchPaths.HEAD}")
        if number_of(head.parent.name, name) is not None or _is_from(head.parent, source)
    ]
    # Several may say that they run: a search that was killed never says otherwise.
    running = [found for folder in folders if (found := _read(folder, now)) is not None]
    if not running:
        return None
    _, folder, endpoints = max(running, key=lambda found: found[0])
    return folder, endpoints


def _is_from(folder: Path, source: Path | None) -> bool:
    """Whether a search was started from a file as it is now."""
    if source is None:
        return False
    try:
        return SearchPaths(folder).source(source.suffix).read_bytes() == source.read_bytes()
    except OSError:
        return False


def read_endpoints(folder: Path) -> tuple[EndpointStatus, ...]:
    """The endpoints as a search saw them last; empty if its folder does not say."""
    try:
        return read_as(_Content, read_json(SearchPaths(folder).endpoints)).endpoints
    except ForeignError:
        return ()


def endpoints_in(content: bytes) -> tuple[EndpointStatus, ...]:
    """The endpoints of a file's content; empty if it says something else."""
    try:
        return read_as(_Content, json.loads(content)).endpoints
    except (ForeignError, ValueError):
        return ()


@dataclass(frozen=True)
class _Content:
    """What ``endpoints.json`` has."""

    time: float
    endpoints: tuple[EndpointStatus, ...]


def _read(folder: Path, now: float) -> tuple[float, Path, tuple[EndpointStatus, ...]] | None:
    paths = SearchPaths(folder)
    head = read_json(paths.head) or {}
    try:
        content = read_as(_Content, read_json(paths.endpoints))
    except ForeignError:
        return None
    if head.get("status") != "running" or now - content.time > _FRESH_SECONDS:
        return None
    return content.time, folder, content.endpoints
