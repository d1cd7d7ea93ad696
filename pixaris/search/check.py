"""A search whose parts are loaded: start its endpoints, run it, go on with an earlier one."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.discovery import EndpointSource, ManagedSource, TunnelSource
from pixaris.endpoints.local import LocalPool
from pixaris.endpoints.roster import Roster
from pixaris.exceptions import ConfigurationError, Problem, SearchFailedError
from pixaris.experiment.run import RunSetup
from pixaris.experiment_handlers.base import ExperimentHandler, ExperimentHandlers
from pixaris.files import safe_name, write_bytes
from pixaris.generation.base import ImageGenerator, load_node, max_parallel_jobs
from pixaris.results.folders import holding, new_folder
from pixaris.results.manifest import component, items, write_recipe
from pixaris.search import servers
from pixaris.search.resume import Earlier
from pixaris.search.space.space import Space

if TYPE_CHECKING:  # Ray takes a second to import; checking a search needs none of it
    from pixaris.results.progress import ProgressListener
    from pixaris.results.records import SearchResult
    from pixaris.search.driver.plan import SearchPlan
    from pixaris.search.driver.session import RaySession
    from pixaris.search.search import Search


_EVENT_SECONDS = 0.5


@dataclass(frozen=True)
class Checked:
    """A search whose parts are loaded, with all that is wrong with it."""

    search: Search
    setup: RunSetup
    space: Space
    sources: tuple[EndpointSource, ...]
    survey: servers.Survey
    problems: tuple[Problem, ...] = ()

    def with_problems(self, problems: Sequence[Problem]) -> Checked:
        """The same with these problems, each once."""
        return replace(self, problems=tuple(dict.fromkeys(problems)))

    def fit_problems(self) -> list[Problem]:
        """What keeps workflow and space from running on the endpoints."""
        generator = self.search.image_generator
        search, fixed = self.search, self.setup.args.params
        if generator.workflow is None:
            return self.space.problems_without_workflow(
                generator, search.lines, fixed, search.fixed_at, search.unbound
            )
        chosen = [title for _, title in self.space.image_nodes]
        found = [
            *self.survey.workflow_problems(
                generator.workflow, self.setup, chosen, search.place("generator.output_node")
            ),
            *self._image_problems(generator.workflow),
        ]
        unfit: dict[Problem, list[str]] = {}
        infos: Mapping[str, ObjectInfo | None] = self.survey.infos or {"": None}
        for url, info in infos.items():
            for one in self.space.problems(
                generator.workflow, info, search.lines, fixed, search.fixed_at, search.unbound
            ):
                unfit.setdefault(one, []).append(url)
        return found + [
            (
                one
                if len(urls) == len(infos)
                else replace(one, where=f"{one.where} on {', '.join(urls)}".strip())
            )
            for one, urls in unfit.items()
        ]

    def _image_problems(self, workflow: Workflow) -> list[Problem]:
        """Nodes that would be given two images."""
        given = {
            load_node(folder): f"the folder {folder!r} of the eval set"
            for folder in self.setup.eval_set.input_folders
        }
        given.update(dict.fromkeys(self.setup.args.images, "pillow_images"))
        sources = {
            node.id: given[name]
            for node in workflow.nodes.values()
            for name in (node.title, node.id)
            if name in given
        }
        return [
            Problem(
                self.search.place(f"parameters.{name}"),
                f"node {title!r} is given its image by {sources[node.id]} already; let the parameter set"
                " another node",
            )
            for name, title in self.space.image_nodes
            for node in workflow.nodes.values()
            if title in (node.title, node.id) and node.id in sources
        ]

    def raise_problems(self) -> None:
        """Raise all problems at once.

        Raises:
            ConfigurationError: There are some.
        """
        if self.problems:
            raise ConfigurationError(self.problems, str(self.search.source or ""))

    def run(self, listener: ProgressListener | None = None, *, resume: bool = False) -> SearchResult:
        """Start the endpoints, search, stop the endpoints. An error that ends the search is in the result,
        with what was done.

        Args:
            listener: Is told how it goes.
            resume: Go on with the newest search of this name, if there is one.

        Raises:
            ConfigurationError: As `raise_problems`; or the earlier search is another one, or is still
                running.
        """
        from pixaris.search.driver.session import RaySession

        self.raise_problems()
        search, earlier = self.search, self.earlier() if resume else None
        if earlier is not None:
            with holding(earlier.folder):
                earlier.raise_problems(str(search.source or ""))
                with RaySession() as session:
                    return self._run(session, earlier.folder, listener, self.earlier())
        with RaySession() as session:  # it comes up while the rest is imported
            self.make_strategies()  # what cannot be made is told before anything is left behind
            folder = new_folder(search.results / safe_name(search.project), safe_name(search.name))
            with holding(folder):
                return self._run(session, folder, listener, None)

    def _run(
        self, session: RaySession, folder: Path, listener: ProgressListener | None, earlier: Earlier | None
    ) -> SearchResult:
        from pixaris.search.driver.run import run_search

        handler = self.search.experiment_handler
        plan = self._plan(folder, handler if isinstance(handler, ExperimentHandler) else handler(folder))
        if earlier is not None:
            if not earlier.left(plan.trials):
                result = earlier.result
                return (
                    replace(result, error=SearchFailedError(result.reason))
                    if result.status == "failed"
                    else result
                )
            plan = replace(
                plan,
                id=earlier.recipe.get("id", plan.id),
                proposal_seed=earlier.recipe.get("proposal_seed", plan.proposal_seed),
                history=earlier.history,
                seconds_before=earlier.result.seconds,
                images_before=earlier.images(plan.store),
            )
        self._keep_recipe(plan)
        return run_search(plan, session, listener)

    def make_strategies(self) -> None:
        """Make algorithm and scheduler, to see that they can be.

        Raises:
            ConfigurationError: They cannot be made of their options, or for this space and these objectives.
        """
        draft = self._plan(self.search.results, ExperimentHandlers(()))
        draft.searcher()
        draft.tune_scheduler()

    @contextlib.contextmanager
    def local_pool(self, logs: Path, tell: Callable[[str], None]) -> Iterator[tuple[LocalPool, Checked]]:
        """The endpoints in a pool on threads, started where they are ours to start, and stopped at the end.
        Needs no Ray.

        Args:
            logs: Where the logs of what is started go.
            tell: Told what happens to endpoints, from a thread of its own.

        Returns:
            The pool, as soon as one endpoint answers (the others join as they come up), and `admit`'s answer.

        Raises:
            ConfigurationError: No server comes up and the user's words are to blame, or one lacks what the
                workflow needs.
            UnreachableError: No server comes up.
        """
        started = [*servers.embedded(self.sources), *servers.managed(self.sources)]
        roster = Roster(servers.static(self.sources))
        with contextlib.ExitStack() as stack:
            for feed in servers.feeds(self.sources, started, logs):
                stack.enter_context(roster.fed_by(feed))
            pool = stack.enter_context(contextlib.closing(LocalPool((), policy=self.search.policy)))
            stack.enter_context(_telling(pool, tell))
            stack.enter_context(roster.feeding(pool))
            roster.wait()
            yield pool, self.admit(roster.started)

    def admit(self, endpoints: Sequence[Endpoint]) -> Checked:
        """Hold workflow and space against the servers that were started.

        Args:
            endpoints: Those that answer by now.

        Returns:
            The same search, knowing what these servers can do.

        Raises:
            ConfigurationError: They lack something that the search needs.
        """
        workflow = self.search.image_generator.workflow
        if not any(isinstance(source, ManagedSource | TunnelSource) for source in self.sources):
            return self
        ours = servers.survey_of(endpoints, workflow)
        if ours.infos:
            found = replace(self, survey=ours)
            found.with_problems(found.fit_problems()).raise_problems()
        return replace(self, survey=replace(self.survey, infos={**self.survey.infos, **ours.infos}))

    @property
    def generator(self) -> ImageGenerator:
        """The generator, knowing its servers or its account."""
        generator = self.search.image_generator.for_servers(list(self.survey.infos.values()))
        return generator.for_accounts([one.url for one in servers.static(self.sources) if one.kind == "flux"])

    def _setup(self, name: str) -> RunSetup:
        return replace(self.setup, generator=self.generator, search=name)

    def _plan(self, folder: Path, handler: ExperimentHandler) -> SearchPlan:
        from pixaris.search.driver.plan import SearchPlan

        search, setup = self.search, self._setup(folder.name)
        return SearchPlan(
            setup=setup,
            handler=handler,
            folder=folder,
            space=self.space,
            baseline=self.baseline(),
            objectives=search.objectives(),
            sources=self.sources,
            admit=lambda endpoints: self.admit(endpoints)._setup(folder.name),
            algorithm=search.algorithm,
            algorithm_options=tuple(search.algorithm_options.items()),
            scheduler=search.scheduler,
            scheduler_options=tuple(search.scheduler_options.items()),
            num_samples=search.num_samples,
            budget=search.limits_of_spending(),
            points_to_evaluate=tuple(self._point(point) for point in search.points_to_evaluate),
            seed=search.seed,
            proposal_seed=secrets.randbelow(2**31) if search.seed is None else search.seed,
            step=search.step,
            max_concurrent=search.max_concurrent,
            policy=search.policy,
            cache=search.cache,
            parallel=max_parallel_jobs(search.args),
        )

    def _point(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A point of the caller's in the form its values always have."""
        domains = {parameter.name: parameter.domain for parameter in self.space.parameters}
        return {
            name: domains[name].clean(value.item() if hasattr(value, "item") else value)
            for name, value in point.items()
        }

    def baseline(self) -> dict[str, Any]:
        """The workflow's own values; without a workflow, the generator's, or else each parameter's first or
        lowest.

        Raises:
            WorkflowError: The workflow has no such value.
        """
        workflow = self.search.image_generator.workflow
        if workflow is not None:
            infos = list(self.survey.infos.values())
            return dict(self.space.baseline(workflow, infos[0] if infos else None))
        return self.space.own_values(self.search.image_generator)

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What the search is made from, as plain JSON values."""
        search, generator = self.search, self.search.image_generator
        return {
            "space": self.space.as_dict(),
            "objectives": [asdict(objective) for objective in search.objectives()],
            "baseline": self.baseline(),
            "generation_params": [param.as_dict() for param in self.setup.args.params],
            "algorithm": _name(search.algorithm),
            "algorithm_options": dict(search.algorithm_options),
            "scheduler": _name(search.scheduler),
            "scheduler_options": dict(search.scheduler_options),
            "points_to_evaluate": [dict(point) for point in search.points_to_evaluate],
            "seeds": self.setup.seeds,
            **{name: getattr(search, name) for name in ("num_samples", "seed", "step", "max_concurrent")},
            "endpoints": [
                *(e.url for e in servers.static(self.sources)),
                *(type(s).__name__ for s in self.sources),
            ],
            "metrics": [component(metric) for metric in search.metrics],
            "generator": component(generator),
            "workflow": None if generator.workflow is None else generator.workflow.as_dict(),
            "items": items(self.setup.eval_set),
        }

    def earlier(self) -> Earlier | None:
        """The newest search of the same name and project, if there is one."""
        search = self.search
        return Earlier.find(search.results / safe_name(search.project), safe_name(search.name), self.recipe)

    def _keep_recipe(self, plan: SearchPlan) -> None:
        """Keep what the search was made from beside what it finds, without the credentials of URLs."""
        if self.search.source is not None:
            text = self.search.source.read_bytes()
            name = "search.py" if self.search.source.suffix == ".py" else "search.yaml"
            write_bytes(plan.folder / name, re.sub(rb"(?<=://)[^/\s]*@", b"***@", text))
        write_recipe(plan.folder, {**self.recipe, "id": plan.id, "proposal_seed": plan.proposal_seed})


def _name(strategy: object) -> str:
    return strategy if isinstance(strategy, str) else type(strategy).__name__


@contextlib.contextmanager
def _telling(pool: LocalPool, tell: Callable[[str], None]) -> Iterator[None]:
    """Pass on a pool's events as they come."""
    ended = threading.Event()

    def watch() -> None:
        seen, last = 0, False
        while not last:
            last = ended.wait(_EVENT_SECONDS)
            for sentence in pool.status(seen).events:
                tell(sentence)
                seen += 1

    thread = threading.Thread(target=watch, name="pixaris-events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
