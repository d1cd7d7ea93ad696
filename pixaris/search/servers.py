"""What the endpoints of a search say about themselves, before anything is generated."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from pixaris.comfyui.client import ComfyClient
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.nodes.registry import declarations
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.clients import connect
from pixaris.endpoints.discovery import EmbeddedSource, EndpointSource, ManagedSource, StaticSource, endpoint_of
from pixaris.exceptions import EndpointError, Problem
from pixaris.generation.base import load_node
from pixaris.orchestration.run import RunSetup

EMBEDDED = "the embedded endpoint"


@dataclass(frozen=True)
class Survey:
    """What was learnt from asking the endpoints.

    Attributes:
        infos: Endpoint to its node classes.
        silent: Endpoint to why it did not answer.
    """

    infos: Mapping[str, ObjectInfo] = field(default_factory=dict)
    silent: Mapping[str, EndpointError] = field(default_factory=dict)

    def problems(self, *, every_endpoint: bool) -> list[Problem]:
        """Endpoints that do not answer; with one that does, only if every one must."""
        if self.infos and not every_endpoint:
            return []
        hint = "start it, correct its address, or leave it out"
        return [Problem(f"endpoint {url}", f"{error.message}; {hint}") for url, error in self.silent.items()]

    def workflow_problems(self, workflow: Workflow, setup: RunSetup) -> list[Problem]:
        """What the endpoints would refuse about the workflow; the same fault on several is told once."""
        pending = [(load_node(folder), "image") for folder in setup.eval_set.input_folders]
        pending += [(name, "image") for name in setup.args.images]
        pending = [place for place in pending if workflow.find(place[0]) is not None]
        pending += [(param.node_name, param.input) for param in setup.args.params if workflow.find(param.node_name) is not None]
        found: dict[Problem, list[str]] = {}
        known = pending if setup.eval_set.items else None  # without an eval set nobody can say which images are missing
        for url, info in self.infos.items():
            for problem in workflow.problems(info, known):
                found.setdefault(problem, []).append(url)
        return [
            replace(
                problem, where=f"{workflow.source}, {problem.where}" + ("" if len(urls) == len(self.infos) else f" on {urls[0]}")
            )
            for problem, urls in found.items()
        ]


def source_of(url: str) -> StaticSource:
    """A URL as an endpoint source; ``host:port`` means http.

    Raises:
        ConfigurationError: It is no URL of a server.
    """
    source = StaticSource(url if "://" in url else f"http://{url}")
    connect(endpoint_of(source)).close()
    return source


def static(sources: Sequence[EndpointSource]) -> list[Endpoint]:
    """The endpoints that somebody else runs."""
    return [endpoint_of(source) for source in sources if isinstance(source, StaticSource)]


def managed(sources: Sequence[EndpointSource]) -> list[ManagedSource]:
    """The servers to start."""
    return [
        embedded_command(source) if isinstance(source, EmbeddedSource) else source
        for source in sources
        if not isinstance(source, StaticSource)
    ]


def embedded_command(source: EmbeddedSource) -> ManagedSource:
    """The embedded endpoint as a command."""
    command = (sys.executable, "-m", "pixaris.comfyui.server", "--port", "{port}")
    return ManagedSource(command=command, replicas=source.replicas, start_timeout=30.0)


def answers(url: str) -> None:
    """Return if a server answers.

    Raises:
        EndpointError: It does not.
    """
    client = connect(Endpoint(url))
    try:
        client.probe()
    finally:
        client.close()


def survey(sources: Sequence[EndpointSource], workflow: Workflow | None) -> Survey:
    """Ask every endpoint that runs already; the embedded one is known without asking."""
    asked = _survey(static(sources), workflow)
    if any(isinstance(source, EmbeddedSource) for source in sources):
        return replace(asked, infos={**asked.infos, EMBEDDED: ObjectInfo(declarations())})
    return asked


def survey_urls(urls: Iterable[str], workflow: Workflow | None) -> Survey:
    """Ask the servers at these URLs."""
    return _survey([Endpoint(url) for url in urls], workflow)


def _survey(endpoints: Sequence[Endpoint], workflow: Workflow | None) -> Survey:
    if workflow is None or not endpoints:
        return Survey()
    with ThreadPoolExecutor(max_workers=min(32, len(endpoints))) as threads:
        answers = list(threads.map(_ask, endpoints))
    infos = {e.url: answer for e, answer in zip(endpoints, answers, strict=True) if isinstance(answer, ObjectInfo)}
    silent = {e.url: answer for e, answer in zip(endpoints, answers, strict=True) if isinstance(answer, EndpointError)}
    return Survey(infos, silent)


def _ask(endpoint: Endpoint) -> ObjectInfo | EndpointError:
    client = ComfyClient(endpoint.url, headers=dict(endpoint.headers))
    try:
        return client.object_info()
    except EndpointError as error:
        return error
    finally:
        client.close()
