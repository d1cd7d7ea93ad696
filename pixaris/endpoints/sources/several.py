"""What several sources give together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.discovery import Discovery
from pixaris.endpoints.sources.base import EndpointSource, ServerCommand
from pixaris.endpoints.sources.local_servers import LocalServers


def static(sources: Sequence[EndpointSource]) -> list[Endpoint]:
    """The endpoints that somebody else runs, at addresses of their own."""
    found: list[Endpoint] = []
    for source in sources:
        found += source.endpoints()
    return found


def servers(
    sources: Sequence[EndpointSource], *, on_cluster: bool
) -> tuple[list[ServerCommand], list[ServerCommand]]:
    """The servers to start: those that this process starts itself, and those that Ray is to place."""
    own: list[ServerCommand] = []
    placed: list[ServerCommand] = []
    for source in sources:
        (placed if source.needs_ray(on_cluster=on_cluster) else own).extend(source.servers())
    return own, placed


def discoveries(
    sources: Sequence[EndpointSource], own: Sequence[ServerCommand], logs: Path
) -> list[Discovery]:
    """What brings endpoints up from this process.

    Args:
        sources: Where endpoints come from.
        own: The servers to start on this machine.
        logs: Where their logs go.
    """
    found: list[Discovery] = [LocalServers(own, logs)] if own else []
    found += [one for source in sources if (one := source.discovery(logs)) is not None]
    return found


def pool_of(sources: Sequence[EndpointSource]) -> str:
    """Name of the cluster's pool that a search shares with others; "" where its endpoints are its own."""
    return next((source.pool for source in sources if source.pool), "")
