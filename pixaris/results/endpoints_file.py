"""``endpoints.json``: the endpoints as a running search sees them, for whoever looks at it from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pixaris.endpoints.base import EndpointStatus
from pixaris.files import read_json, write_json
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


def running_search(parent: Path, name: str, now: float) -> tuple[Path, tuple[EndpointStatus, ...]] | None:
    """The newest search of a name that is running now, and its endpoints; None if none is.

    Args:
        parent: The project's results.
        name: The search's name; its folder may be called ``name-2`` and so on.
        now: Unix time.
    """
    folders = [
        head.parent
        for head in parent.glob(f"*/{SearchPaths.HEAD}")
        if number_of(head.parent.name, name) is not None
    ]
    running = [found for folder in folders if (found := _read(folder, now)) is not None]
    if not running:
        return None
    _, folder, endpoints = max(running, key=lambda found: found[0])
    return folder, endpoints


def _read(folder: Path, now: float) -> tuple[float, Path, tuple[EndpointStatus, ...]] | None:
    head, content = read_json(SearchPaths(folder).head), read_json(SearchPaths(folder).endpoints)
    if (
        head is None
        or content is None
        or head.get("status") != "running"
        or now - content["time"] > _FRESH_SECONDS
    ):
        return None
    known = EndpointStatus.__dataclass_fields__
    rows = [{key: value for key, value in row.items() if key in known} for row in content["endpoints"]]
    return (
        content["time"],
        folder,
        tuple(EndpointStatus(**{**row, "models": tuple(row.get("models", ()))}) for row in rows),
    )
