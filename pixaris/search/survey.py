"""What the endpoints of a search say about themselves, before anything is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from pixaris.comfyui.graph.intake import intake_of
from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow, alternatives_of
from pixaris.endpoints.base import Endpoint, EndpointApi
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import serving
from pixaris.endpoints.sources.several import pool_of
from pixaris.exceptions import (
    AccountError,
    EndpointError,
    FarSideError,
    PixarisError,
    Problem,
    UnreachableError,
    WorkflowError,
)
from pixaris.experiment.setup import RunSetup
from pixaris.generation.base import ImageGenerator, each, load_node
from pixaris.search.driver.session.session import begins_here


@dataclass(frozen=True)
class Survey:
    """What was learnt from asking the endpoints.

    Attributes:
        infos: Endpoint to its node classes.
        silent: Endpoint to why it did not answer.
        answering: Endpoints that answer, and have no nodes.
        others: Whether there are endpoints that cannot be asked, because they are started with the search.
    """

    infos: Mapping[str, ObjectInfo] = field(default_factory=dict)
    silent: Mapping[str, PixarisError] = field(default_factory=dict)
    answering: tuple[str, ...] = ()
    others: bool = False

    @property
    def has_endpoint(self) -> bool:
        """Whether any endpoint answers, or may yet."""
        return bool(self.infos or self.answering or self.others)

    def silences(self) -> list[Problem]:
        """Endpoints that do not answer, and why."""
        hint = "start it, correct its address, or leave it out"
        problems = []
        for url, error in self.silent.items():
            if isinstance(error, FarSideError):
                message = error.message
            else:
                message = str(error)
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
            workflow: The workflow that the images are made with.
            setup: What is bound into it for every image.
            chosen: Titles of nodes that load an image of the parameter set.
            output_at: Dotted path of the setting that chooses the output node; by default the workflow does.
        """
        loads = [load_node(folder) for folder in setup.eval_set.input_folders]
        loads = [name for name in (*loads, *setup.args.images, *chosen) if _once(workflow, name)]
        pending = [
            (param.node_name, param.input) for param in setup.args.params if _once(workflow, param.node_name)
        ]
        columns = (place for places in setup.eval_set.feeds.values() for place in places)
        pending += [place for place in columns if _once(workflow, place[0])]
        found: dict[Problem, list[str]] = {}
        # without an eval set nobody can say which images are missing
        known = pending if setup.eval_set.items else None
        for url, info in self.infos.items():
            fed, unfed = _fed(workflow, loads, info)
            missing = [*unfed, *workflow.problems(info, None if known is None else [*fed, *known])]
            faults = [replace(one, where=_within(workflow.source, one.where)) for one in missing]
            unfit = _output_problems(workflow, info, setup.generator.output_id)
            if output_at:
                faults += [replace(one, path=output_at) for one in unfit]
            else:
                faults += [replace(one, where=_within(workflow.source, one.where)) for one in unfit]
            for problem in faults:
                found.setdefault(problem, []).append(url)
        problems = []
        for problem, urls in found.items():
            if len(urls) < len(self.infos):
                problem = replace(problem, where=f"{problem.where} on {urls[0]}")
            problems.append(problem)
        return problems


def graph_of(generator: ImageGenerator) -> Workflow | None:
    """The nodes that a generator's servers are asked about: its workflow, or those of all that a parameter
    chooses from; None where there is none.
    """
    found = {name: one for name, one in each(generator).items() if one.workflow is not None}
    graphs = {name: (one.workflow, one.output_id) for name, one in found.items() if one.workflow is not None}
    if len(graphs) > 1:
        return alternatives_of(graphs)
    return next((workflow for workflow, _ in graphs.values()), None)


def apis_of(generator: ImageGenerator) -> list[EndpointApi]:
    """The kinds of endpoint that a generator asks, each once."""
    found = {one.kind: one.api for one in each(generator).values() if one.uses_endpoints}
    return list(found.values())


def together(answers: Sequence[Survey]) -> Survey:
    """Several surveys of a search's endpoints as one."""
    found = Survey()
    for one in answers:
        found = Survey(
            {**found.infos, **one.infos},
            {**found.silent, **one.silent},
            (*found.answering, *one.answering),
            others=found.others or one.others,
        )
    return found


def limited(source: EndpointSource, generator: ImageGenerator, jobs: int | None) -> EndpointSource:
    """A source as a generator needs it: of its kind, and given no more requests at once than its service
    allows and the user wants.

    Args:
        source: Any. Of several generators' kinds it has its own, if that is one of them, else the first one's
            that it can serve.
        generator: Its service may have a limit.
        jobs: ``args["max_parallel_jobs"]``, where it is given.
    """
    apis = apis_of(generator) or [generator.api]
    if source.api.kind not in [api.kind for api in apis]:
        offers = [serving(source, api) for api in apis]
        kinds = [(offer, api) for offer, api in zip(offers, apis, strict=True) if offer.api.kind == api.kind]
        source = next((offer for offer, _ in kinds), source)
    limits = [
        one.most_at_once
        for one in each(generator).values()
        if one.kind == source.api.kind and one.most_at_once is not None
    ]
    return source.limited(min(limits, default=None), jobs)


def kind_problems(sources: Sequence[EndpointSource], generator: ImageGenerator, path: str) -> list[Problem]:
    """Kinds of endpoint that a generator asks and that no source has."""
    if not sources and generator.choice is None:
        return []
    return [problem for api in apis_of(generator) for problem in _kind_problems(sources, api, path)]


def _kind_problems(sources: Sequence[EndpointSource], api: EndpointApi, path: str) -> list[Problem]:
    if any(source.api.kind == api.kind for source in sources):
        return []
    shown = ", ".join(source.label for source in sources) or "none"
    if api.example:
        wanted = f"{api.label or api.kind}; write {api.example}"
    else:
        wanted = api.label or api.kind
    return [Problem("", f"the generator needs {wanted} (got {shown})", path)]


def pool_problems(sources: Sequence[EndpointSource], path: str) -> list[Problem]:
    """What is wrong with sharing a pool: it stands alone."""
    pool = pool_of(sources)
    if not pool or len(sources) == 1:
        return []
    rule = f"endpoints are either a pool's ({pool}) or the search's own"
    return [Problem("", f"{rule} (got {', '.join(source.label for source in sources)}); keep one", path)]


def variable_problems(sources: Sequence[EndpointSource]) -> list[Problem]:
    """Environment variables with credentials that are missing or wrong."""
    problems = []
    for source in sources:
        problems += [Problem(f"endpoint {source.label}", problem) for problem in source.missing()]
    return problems


def program_problems(sources: Sequence[EndpointSource]) -> list[Problem]:
    """Programs of endpoints that are not installed on this machine; commands may be run on another one of a
    cluster.
    """
    here = begins_here()
    problems: dict[Problem, None] = {}
    for source in sources:
        problems.update(dict.fromkeys(source.problems(here=here)))
    return list(problems)


def survey(sources: Sequence[EndpointSource], workflow: Workflow | None) -> Survey:
    """Ask every endpoint that runs already what its nodes are; some are known without asking."""
    if workflow is None:
        return Survey()
    found: list[Endpoint] = []
    unresolved: dict[str, PixarisError] = {}
    known: dict[str, ObjectInfo] = {}
    for source in sources:
        known.update(source.object_infos())
        try:
            found += () if source.missing() else source.present()
        except UnreachableError as error:
            unresolved[source.label] = error
    asked = survey_of(found, workflow)
    others = any(source.starts and not source.object_infos() for source in sources)
    return Survey({**asked.infos, **known}, {**asked.silent, **unresolved}, others=others)


def survey_of(endpoints: Sequence[Endpoint], workflow: Workflow | None) -> Survey:
    """Ask these endpoints."""
    if workflow is None or not endpoints:
        return Survey()
    with ThreadPoolExecutor(max_workers=min(32, len(endpoints))) as threads:
        answers = list(threads.map(partial(_ask, workflow), endpoints))
    infos: dict[str, ObjectInfo] = {}
    silent: dict[str, PixarisError] = {}
    for endpoint, answer in zip(endpoints, answers, strict=True):
        if isinstance(answer, ObjectInfo):
            infos[endpoint.url] = answer
        elif answer is not None:
            silent[endpoint.url] = answer
    return Survey(infos, silent)


def _ask(workflow: Workflow, endpoint: Endpoint) -> ObjectInfo | EndpointError | None:
    try:
        return endpoint.api.object_info(endpoint, workflow)
    except EndpointError as error:
        return error


def probed(sources: Sequence[EndpointSource], kind: str) -> Survey:
    """Ask the endpoints of a kind that run already only whether they can be used: an account whether its key
    is taken.
    """
    silent: dict[str, PixarisError] = {}
    answering: list[str] = []
    for source in sources:
        if source.api.kind != kind or source.missing():
            continue
        for endpoint in source.endpoints():
            client = endpoint.connect()
            try:
                client.probe()
                answering.append(endpoint.url)
            except PixarisError as error:
                silent[endpoint.url] = error
            finally:
                client.close()
    return Survey(silent=silent, answering=tuple(answering))


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
    if saving:
        hint = f"; nodes that do: {', '.join(map(repr, saving))}"
    else:
        hint = ""
    return [Problem(f"output node {node.title!r}", f"its class {node.class_type} saves no image{hint}")]
