"""The seam of where endpoints come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.discovery import Discovery
from pixaris.endpoints.sources.options import Option
from pixaris.exceptions import Problem


@dataclass(frozen=True)
class ServerCommand:
    """One server process to start, here or wherever Ray places it.

    Attributes:
        command: Its words; ``{port}`` stands for the port it is given, ``{host}`` for the address it is
            reached at (127.0.0.1, or on a cluster the node's own).
        environment: Variables added to the environment; not shown, because they may be secrets.
        working_directory: Where the command runs, or None for the current folder.
        start_timeout: Seconds until it must answer.
        depth: Requests it is given at once.
        num_gpus: GPUs that Ray reserves for it, and shows to it alone.
        api: What kind of endpoint it is.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_directory: str | None = None
    start_timeout: float = 120.0
    depth: int = 2
    num_gpus: float = 0.0
    api: EndpointApi = field(default_factory=ComfyUIApi)

    def endpoint(self, url: str) -> Endpoint:
        """The endpoint that it is at a URL."""
        return Endpoint(url, api=self.api, depth=self.depth)

    def probe(self, url: str) -> None:
        """Return if it answers at a URL.

        Raises:
            EndpointError: It does not.
        """
        client = self.endpoint(url).connect()
        try:
            client.probe()
        finally:
            client.close()


class EndpointSource(ABC):
    """Where endpoints come from, as a value: it pickles, compares, and holds names of environment variables
    instead of secrets.

    A subclass says what the user is shown (`label`, `slots`), and gives its endpoints in one of three ways:

    - `endpoints`: they are there already, at addresses of their own;
    - `servers`: they are processes to be started, and to be ended with the search;
    - `discovery`: it finds, opens or starts them itself, and watches them.

    A search file names a registered source by `key`, and any other as ``module:Class``.
    """

    key: ClassVar[str] = ""
    """Names it in a search file, where it is registered in `pixaris.endpoints.sources.catalog`."""
    options: ClassVar[tuple[Option, ...]] = ()
    """The keys of its section in a search file."""
    short: ClassVar[str] = ""
    """The option that a plain value in the section's place stands for: ``{embedded: 2}``."""
    several: ClassVar[bool] = False
    """Whether a search file may have a list of sections in its place."""
    addressed: ClassVar[bool] = False
    """Whether a search file names it by an address, with ``depth`` and credentials beside it."""
    bare: ClassVar[bool] = False
    """Whether its key alone, without a section, is a source."""
    schemes: ClassVar[tuple[str, ...]] = ()
    """What the addresses of such a source begin with (`at`)."""
    api: EndpointApi = ComfyUIApi()
    """What kind of endpoint it gives."""
    starts: bool = False
    """Whether its endpoints come up with the search, so that nobody can ask them before."""

    pool: str = ""
    """Name of the cluster's pool that it stands for, which searches share; "" where its endpoints are the
    search's own.
    """

    @classmethod
    def at(cls, address: str) -> EndpointSource:
        """The source of an address of one of its schemes.

        Raises:
            ConfigurationError: It is no such address.
        """
        raise NotImplementedError(f"{cls.__name__} has no address")

    @property
    @abstractmethod
    def label(self) -> str:
        """The source as the user is shown it, without credentials."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """Requests that its endpoints take at once, at the least."""

    @property
    def count(self) -> int:
        """How many endpoints there will be, at the least."""
        return 1

    def endpoints(self, environment: Mapping[str, str] | None = None) -> tuple[Endpoint, ...]:
        """The endpoints that somebody else runs, at addresses of their own.

        Args:
            environment: Where variables are looked up; by default this process's.

        Raises:
            ConfigurationError: A variable, or an address, cannot be used.
        """
        return ()

    def present(self) -> tuple[Endpoint, ...]:
        """The endpoints that can be asked now, before a search.

        Raises:
            ConfigurationError: As `endpoints`.
            UnreachableError: They cannot be found just now.
        """
        return self.endpoints()

    def servers(self) -> tuple[ServerCommand, ...]:
        """The processes to start."""
        return ()

    def needs_ray(self, *, on_cluster: bool) -> bool:
        """Whether Ray is to place its `servers`; a search starts the others itself, while Ray comes up.

        Args:
            on_cluster: Whether Ray has, or may get, other nodes than this machine.
        """
        return False

    def discovery(self, logs: Path) -> Discovery | None:
        """What brings its endpoints up from this process, and watches them; None if there is nothing to do.

        Args:
            logs: Folder for the logs of what is started.
        """
        return None

    def missing(self) -> list[str]:
        """Environment variables that are missing or wrong: one sentence each, without values."""
        return []

    def problems(self, *, here: bool) -> list[Problem]:
        """What keeps it from being used that can be told at once, such as a program that is not installed.

        Args:
            here: Whether its `servers` would run on this machine.
        """
        return []

    def object_infos(self) -> dict[str, ObjectInfo]:
        """What is known of its servers' nodes without asking them, by the name the user is shown."""
        return {}

    def limited(self, most: int | None, jobs: int | None) -> EndpointSource:
        """The source, given no more requests at once than its service allows and the user wants. Of servers
        that work on one request after the other nothing is changed.

        Args:
            most: The generator's own limit, where its service has one; the source's own depth outweighs it.
            jobs: ``args["max_parallel_jobs"]``, where it is given.
        """
        return self

    def serving(self, api: EndpointApi) -> EndpointSource:
        """The source as one of another kind, where address or command does not say which; else itself."""
        return self

    def identities(self) -> frozenset[str]:
        """What may be listed once, in words: an endpoint that is there twice would get twice its depth."""
        return frozenset()
