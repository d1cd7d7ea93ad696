"""Where endpoints come from, as values: what a search file's ``endpoints`` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class StaticSource:
    """A server that somebody else runs.

    Attributes:
        url: ``http(s)://[user:password@]host[:port][/path]``.
        depth: Requests it is given at once.
    """

    url: str
    depth: int = 2


@dataclass(frozen=True)
class ManagedSource:
    """Server processes that Pixaris starts, watches and stops.

    Attributes:
        command: Arguments of the command; ``{port}`` stands for the port each replica is given.
        replicas: How many to start.
        environment: Variables added to the environment.
        working_directory: Where the command runs, or None for the current one.
        start_timeout: Seconds until it must answer.
        depth: Requests each is given at once.
    """

    command: tuple[str, ...]
    replicas: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    working_directory: str | None = None
    start_timeout: float = 120.0
    depth: int = 2


@dataclass(frozen=True)
class EmbeddedSource:
    """Replicas of the endpoint that ships with Pixaris (``python -m pixaris.comfyui.server``)."""

    replicas: int = 1


EndpointSource: TypeAlias = StaticSource | ManagedSource | EmbeddedSource
