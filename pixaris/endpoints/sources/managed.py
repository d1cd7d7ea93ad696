"""Server processes that Pixaris starts, watches and stops."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.declarations import declarations
from pixaris.endpoints.apis.comfyui import ComfyUIApi
from pixaris.endpoints.base import EndpointApi
from pixaris.endpoints.sources.base import EndpointSource, ServerCommand
from pixaris.endpoints.sources.options import Folder, Number, Seconds, Variables, Whole, Words
from pixaris.endpoints.sources.process import command_problem
from pixaris.exceptions import ConfigurationError, Problem

# It comes up in about a second; the rest is for a machine that is busy.
_EMBEDDED_SECONDS = 30.0


def _gpus(number: float) -> float:
    # Ray gives whole GPUs, or parts of one.
    if number < 0 or (number > 1 and number != int(number)):
        raise ConfigurationError(f"must be 0, a fraction below 1, or a whole number (got {number:g})")
    return float(number)


def _with_port(words: tuple[str, ...]) -> tuple[str, ...]:
    if not any("{port}" in word for word in words):
        raise ConfigurationError("must contain {port}, which stands for the port each replica is given")
    return words


@dataclass(frozen=True)
class ManagedSource(EndpointSource):
    """Server processes that Pixaris starts, watches and stops.

    Attributes:
        command: As `ServerCommand.command`.
        replicas: How many to start.
        environment: As `ServerCommand.environment`.
        working_directory: As `ServerCommand.working_directory`.
        start_timeout: As `ServerCommand.start_timeout`.
        depth: Requests each is given at once.
        num_gpus: As `ServerCommand.num_gpus`, for each.
        api: As `ServerCommand.api`.
    """

    key = "managed"
    options = (
        Words(
            "command",
            required="it starts the server and takes {port}: [python, main.py, --port, '{port}']",
            rule=_with_port,
        ),
        Whole("replicas"),
        Number("num_gpus", rule=_gpus),
        Variables("environment"),
        Folder("working_directory"),
        Seconds("start_timeout"),
        Whole("depth"),
    )
    starts = True

    command: tuple[str, ...]
    replicas: int = 1
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_directory: str | None = None
    start_timeout: float = ServerCommand.start_timeout
    depth: int = ServerCommand.depth
    num_gpus: float = 0.0
    api: EndpointApi = field(default_factory=ComfyUIApi, repr=False)

    @property
    def label(self) -> str:
        return f"{self.replicas} managed" + (f" with {self.num_gpus:g} GPU each" if self.num_gpus else "")

    @property
    def slots(self) -> int:
        return self.replicas * self.depth

    @property
    def count(self) -> int:
        return self.replicas

    def servers(self) -> tuple[ServerCommand, ...]:
        one = ServerCommand(
            self.command,
            self.environment,
            self.working_directory,
            self.start_timeout,
            self.depth,
            self.num_gpus,
            self.api,
        )
        return (one,) * self.replicas

    def needs_ray(self, *, on_cluster: bool) -> bool:
        return True

    def serving(self, api: EndpointApi) -> ManagedSource:
        return replace(self, api=api)

    def problems(self, *, here: bool) -> list[Problem]:
        if here:
            # Of one only: replicas have the same command. On a cluster it runs elsewhere, and only that node
            # can tell.
            problem = command_problem(self.servers()[0])
        else:
            problem = None
        if problem is not None:
            return [problem]
        return []


@dataclass(frozen=True)
class EmbeddedSource(EndpointSource):
    """Replicas of the endpoint that ships with Pixaris (``python -m pixaris.comfyui.server``)."""

    key = "embedded"
    options = (Whole("replicas"),)
    short = "replicas"
    starts = True

    replicas: int = 1

    @property
    def label(self) -> str:
        return f"{self.replicas} embedded"

    @property
    def slots(self) -> int:
        return self.replicas * ServerCommand.depth

    @property
    def count(self) -> int:
        return self.replicas

    def servers(self) -> tuple[ServerCommand, ...]:
        module = (sys.executable, "-m", "pixaris.comfyui.server")
        command = (*module, "--listen", "{host}", "--port", "{port}")
        return (ServerCommand(command, start_timeout=_EMBEDDED_SECONDS),) * self.replicas

    def needs_ray(self, *, on_cluster: bool) -> bool:
        return on_cluster

    def object_infos(self) -> dict[str, ObjectInfo]:
        return {"the embedded endpoint": ObjectInfo(declarations())}
