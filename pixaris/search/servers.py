"""What the endpoints of a search say about themselves, before anything is generated."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pixaris.comfyui.client import ComfyClient, Timeouts
from pixaris.comfyui.graph.intake import intake_of
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.server.declarations import declarations
from pixaris.comfyui.transport import failure_kind
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.clients import connect
from pixaris.endpoints.discovery import (
    DnsSource,
    EmbeddedSource,
    EndpointSource,
    GivenSource,
    ManagedSource,
    StaticSource,
    TunnelSource,
    Variable,
    dns_source,
    endpoint_of,
)
from pixaris.endpoints.dns import DnsFeed, addresses
from pixaris.endpoints.feeds import Feed
from pixaris.endpoints.flux import FluxSource
from pixaris.endpoints.managed import LocalServers, embedded_command
from pixaris.endpoints.process import command_problem
from pixaris.endpoints.tunnels import TunnelFeed, gcloud_problem
from pixaris.exceptions import (
    AccountError,
    EndpointError,
    FarSideError,
    PixarisError,
    Problem,
    UnreachableError,
    WorkflowError,
)
from pixaris.experiment.run import RunSetup
from pixaris.flux import trust
from pixaris.generation.base import ImageGenerator, load_node
from pixaris.search.driver.session import begins_here
from pixaris.types import EndpointKind

EMBEDDED = "the embedded endpoint"
_IMPATIENT = Timeouts(read=5.0)


@dataclass(frozen=True)
class Survey:
    """What was learnt from asking the endpoints.

    Attributes:
        infos: Endpoint to its node classes.
        silent: Endpoint to why it did not answer.
        others: Whether there are endpoints that cannot be asked, because they are started with the search.
    """

    infos: Mapping[str, ObjectInfo] = field(default_factory=dict)
    silent: Mapping[str, PixarisError] = field(default_factory=dict)
    others: bool = False

    def problems(self, *, every_endpoint: bool) -> list[Problem]:
        """Endpoints that do not answer; with one that does or may, only if every one must."""
        if (self.infos or self.others) and not every_endpoint:
            return []
        hint = "start it, correct its address, or leave it out"
        problems = []
        for url, error in self.silent.items():
            message = error.message if isinstance(error, FarSideError) else str(error)
            problems.append(
                Problem(
                    f"endpoint {url}", message if isinstance(error, AccountError) else f"{message}; {hint}"
                )
            )
        return problems

    def workflow_problems(
        self, workflow: Workflow, setup: RunSetup, chosen: Sequence[str] = (), output_at: str = ""
    ) -> list[Problem]:
        """What the endpoints would refuse about the workflow; the same fault on several is told once.

        Args:
            workflow: It.
            setup: What is bound into it for every image.
            chosen: Titles of nodes that load an image of the parameter set.
            output_at: How errors name the place where the output node is chosen; by default the workflow.
        """
        loads = [load_node(folder) for folder in setup.eval_set.input_folders]
        loads = [name for name in (*loads, *setup.args.images, *chosen) if _once(workflow, name)]
        pending = [
            (param.node_name, param.input) for param in setup.args.params if _once(workflow, param.node_name)
        ]
        found: dict[Problem, list[str]] = {}
        known = (
            pending if setup.eval_set.items else None
        )  # without an eval set nobody can say which images are missing
        for url, info in self.infos.items():
            fed, unfed = _fed(workflow, loads, info)
            faults = [
                replace(one, where=_within(workflow.source, one.where))
                for one in [*unfed, *workflow.problems(info, None if known is None else [*fed, *known])]
            ]
            unfit = _output_problems(workflow, info, setup.generator.output_id)
            faults += [replace(one, where=_within(output_at or workflow.source, one.where)) for one in unfit]
            for problem in faults:
                found.setdefault(problem, []).append(url)
        return [
            problem
            if len(urls) == len(self.infos)
            else replace(problem, where=f"{problem.where} on {urls[0]}")
            for problem, urls in found.items()
        ]


def source_of(url: str, kind: EndpointKind = "comfyui") -> EndpointSource:
    """A URL as an endpoint source of a kind; ``host:port`` means http.

    Raises:
        ConfigurationError: It is no URL of a server.
    """
    if kind == "flux":
        return FluxSource(trust.base_url(url if "://" in url else f"http://{url}"))
    if url.startswith("dns://"):
        return dns_source(url)
    source = StaticSource(url if "://" in url else f"http://{url}")
    connect(endpoint_of(source)).close()
    return source


def limited(source: EndpointSource, generator: ImageGenerator, jobs: int | None) -> EndpointSource:
    """An account, given no more requests at once than its service allows and the user wants.

    Args:
        source: Any source; of servers that work on one request after the other, nothing is changed.
        generator: Its service may have a limit, which the file's own ``depth`` outweighs.
        jobs: ``args["max_parallel_jobs"]``, where it is given.
    """
    if isinstance(source, FluxSource):
        depth = source.depth or generator.most_at_once or source.places
        return replace(source, depth=min(depth, jobs or depth))
    if isinstance(source, GivenSource) and source.endpoint.kind == "flux":
        return GivenSource(replace(source.endpoint, depth=min(source.places, jobs or source.places)))
    return source


def kind_problems(sources: Sequence[EndpointSource], kind: EndpointKind, where: str) -> list[Problem]:
    """Sources without one that serves requests of a kind."""
    if not sources or any(kind_of(source) == kind for source in sources):
        return []
    wanted = {
        "flux": "the Flux API; write endpoints: {flux: {}}",
        "comfyui": "ComfyUI servers; write endpoints: {embedded: 2}",
    }
    shown = ", ".join(source.label for source in sources)
    return [Problem(where or "endpoints", f"the generator needs {wanted[kind]} (got {shown})")]


def kind_of(source: EndpointSource) -> EndpointKind:
    """Which requests the endpoints of a source serve."""
    if isinstance(source, GivenSource):
        return source.endpoint.kind
    return "flux" if isinstance(source, FluxSource) else "comfyui"


def accounts(sources: Sequence[EndpointSource]) -> Survey:
    """Ask the Flux API whether it takes the keys."""
    silent: dict[str, PixarisError] = {}
    for source in sources:
        if (
            kind_of(source) == "flux"
            and not _missing(source)
            and isinstance(source, FluxSource | GivenSource)
        ):
            endpoint = endpoint_of(source)
            client = connect(endpoint)
            try:
                client.probe()
            except PixarisError as error:
                silent[endpoint.url] = error
            finally:
                client.close()
    return Survey(silent=silent)


def variable_problems(sources: Sequence[EndpointSource]) -> list[Problem]:
    """Environment variables with credentials that are missing or wrong."""
    return [
        Problem(f"endpoint {source.label}", problem) for source in sources for problem in _missing(source)
    ]


def program_problems(sources: Sequence[EndpointSource], where: str) -> list[Problem]:
    """Programs of endpoints that are not installed on this machine; commands may be run on another one of a
    cluster.
    """
    lacking = [gcloud_problem(source) for source in sources if isinstance(source, TunnelSource)]
    commands = [command_problem(source) for source in managed(sources)] if begins_here() else []
    found = [Problem(where, problem) for problem in lacking if problem] + [
        problem for problem in commands if problem
    ]
    return list(dict.fromkeys(found))


def _missing(source: EndpointSource) -> list[str]:
    if isinstance(source, FluxSource):
        return [problem] if (problem := source.problem()) else []
    if not isinstance(source, StaticSource | DnsSource):
        return []
    variables = [value for _, value in source.headers if isinstance(value, Variable)]
    return [problem for variable in variables if (problem := variable.problem(os.environ))]


def static(sources: Sequence[EndpointSource]) -> list[Endpoint]:
    """The endpoints that somebody else runs, at addresses of their own."""
    return [
        endpoint_of(source)
        for source in sources
        if isinstance(source, StaticSource | GivenSource | FluxSource)
    ]


def managed(sources: Sequence[EndpointSource]) -> list[ManagedSource]:
    """The servers that a command starts."""
    return [source for source in sources if isinstance(source, ManagedSource)]


def embedded(sources: Sequence[EndpointSource]) -> list[ManagedSource]:
    """The embedded endpoints, as commands."""
    return [embedded_command(source) for source in sources if isinstance(source, EmbeddedSource)]


def feeds(sources: Sequence[EndpointSource], started: Sequence[ManagedSource], logs: Path) -> list[Feed]:
    """What brings endpoints up from this process: look-ups, tunnels, and servers on this machine.

    Args:
        sources: Where endpoints come from.
        started: The servers to start on this machine.
        logs: Where their logs go.
    """
    found: list[Feed] = [LocalServers(started, logs)] if started else []
    found += [DnsFeed(source) for source in sources if isinstance(source, DnsSource)]
    return found + [TunnelFeed(source, logs) for source in sources if isinstance(source, TunnelSource)]


def survey(sources: Sequence[EndpointSource], workflow: Workflow | None) -> Survey:
    """Ask every endpoint that runs already; the embedded one is known without asking."""
    if workflow is None:
        return Survey()
    usable = [source for source in sources if not _missing(source)]
    found, unresolved = [one for one in static(usable) if one.kind == "comfyui"], {}
    for source in usable:
        if isinstance(source, DnsSource):
            try:
                found += [source.endpoint(address) for address in addresses(source)]
            except UnreachableError as error:
                unresolved[source.label] = error
    asked = survey_of(found, workflow)
    infos = dict(asked.infos)
    if any(isinstance(source, EmbeddedSource) for source in sources):
        infos[EMBEDDED] = ObjectInfo(declarations())
    others = any(isinstance(source, ManagedSource | TunnelSource) for source in sources)
    return Survey(infos, {**asked.silent, **unresolved}, others)


def survey_of(endpoints: Sequence[Endpoint], workflow: Workflow | None) -> Survey:
    """Ask these endpoints."""
    endpoints = [endpoint for endpoint in endpoints if endpoint.kind == "comfyui"]
    if workflow is None or not endpoints:
        return Survey()
    with ThreadPoolExecutor(max_workers=min(32, len(endpoints))) as threads:
        answers = list(threads.map(partial(_ask, workflow), endpoints))
    infos = {
        e.url: answer for e, answer in zip(endpoints, answers, strict=True) if isinstance(answer, ObjectInfo)
    }
    silent = {
        e.url: answer
        for e, answer in zip(endpoints, answers, strict=True)
        if isinstance(answer, EndpointError)
    }
    return Survey(infos, silent)


def _ask(workflow: Workflow, endpoint: Endpoint) -> ObjectInfo | EndpointError:
    client = ComfyClient(endpoint.url, headers=dict(endpoint.headers), timeouts=_IMPATIENT)
    try:
        _knock(client)
        info = client.object_info()
        return info.with_files(client.model_files()) if workflow.affinity_key(info) else info
    except EndpointError as error:
        return error
    finally:
        client.close()


def _knock(client: ComfyClient) -> None:
    """Make a short call first: a frozen server is not waited for as long as half a megabyte may take.

    Raises:
        EndpointError: It does not answer.
    """
    try:
        client.system_stats()
    except UnreachableError as error:
        if (
            failure_kind(error) is not None
        ):  # else it did answer, and what it says to the call that counts is told
            raise


def _within(whole: str, part: str) -> str:
    return f"{whole}, {part}" if part else whole  # a circle of links, say, is a fault of the whole workflow


def _fed(
    workflow: Workflow, names: Sequence[str], info: ObjectInfo
) -> tuple[list[tuple[str, str]], list[Problem]]:
    """Nodes that are given images: each with the input that takes it, and what keeps others from it."""
    places: list[tuple[str, str]] = []
    problems: list[Problem] = []
    for name in names:
        try:
            intake = intake_of(workflow.node(name), workflow.nodes, workflow.source, info)
            places.append((name, intake.input))
        except WorkflowError as error:
            problems += error.problems
    return places, problems


def _once(workflow: Workflow, name: str) -> bool:
    """Whether a node is found by this name (a title that stands twice is a problem told elsewhere)."""
    return workflow.has(name) and sum(node.title == name for node in workflow.nodes.values()) <= 1


def _output_problems(workflow: Workflow, info: ObjectInfo, output: str) -> list[Problem]:
    node = workflow.nodes.get(output)
    if node is None or node.class_type not in info or info.is_output(node.class_type):
        return []
    saving = [other.title for other in workflow.nodes.values() if info.is_output(other.class_type)]
    hint = f"; nodes that do: {', '.join(map(repr, saving))}" if saving else ""
    return [Problem(f"output node {node.title!r}", f"its class {node.class_type} saves no image{hint}")]
