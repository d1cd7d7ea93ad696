"""A search whose parts are loaded, held against each other and against the servers there are."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pixaris.comfyui.object_info import ObjectInfo
from pixaris.comfyui.workflow import Workflow
from pixaris.data_loaders.base import load
from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.several import static
from pixaris.exceptions import ConfigurationError, NoEndpointError, Problem
from pixaris.experiment.eval_sets import placed
from pixaris.experiment.setup import SEEDLESS, RunSetup
from pixaris.generation.base import ImageGenerator, ItemArgs, each, load_node, max_parallel_jobs
from pixaris.images import EncodedImage
from pixaris.results.folders import fault_of
from pixaris.results.objective import Objective
from pixaris.search import survey as surveys
from pixaris.search.problems import collect
from pixaris.search.settings import SearchSettings
from pixaris.search.settings_problems import settings_problems
from pixaris.search.size import SearchSize
from pixaris.search.space.one_generator import space_of_one
from pixaris.search.space.problems import problems_with_generator, problems_with_workflow
from pixaris.search.space.space import Space
from pixaris.search.steering.problems import steering_problems
from pixaris.types import EvalItem, EvalSet, ParamValue

_CANNOT_FAIL = ("auto", "gp", "grid", "random", "tpe")
"""Algorithms that can be made of any checked settings: trying them would only cost the import of Ray."""

_SCHEDULERS_CHECKED = ("fifo", "race")
"""Schedulers of which the same is true."""


@dataclass(frozen=True)
class CheckedSearch:
    """A search whose parts are loaded, with all that is wrong with it.

    Attributes:
        settings: The search.
        setup: Eval set, generator and metrics, loaded.
        survey: What its endpoints said.
        problems: All that is wrong with it.
        unreachable: Why each endpoint does not answer, where none does.
        held_out: Items that the search does not see.
    """

    settings: SearchSettings
    setup: RunSetup
    survey: surveys.Survey
    problems: tuple[Problem, ...] = ()
    unreachable: tuple[Problem, ...] = ()
    held_out: tuple[EvalItem, ...] = ()

    @property
    def space(self) -> Space:
        """What varies."""
        return self.settings.space

    @property
    def sources(self) -> tuple[EndpointSource, ...]:
        """Where images are generated."""
        return self.settings.sources

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised, the leading score first; of a search without problems."""
        return self.settings.objectives()

    @cached_property
    def size(self) -> SearchSize:
        """Its trials and images; of a search without problems."""
        return SearchSize.of(self.settings, self.baseline(), self.setup.images)

    @property
    def recheck_images(self) -> int:
        """Images that are made after the search, of the best sets and the baseline."""
        items = len(self.setup.eval_set) + len(self.held_out)
        return self.settings.evidence.images(items, self.setup.seeds)

    def without_recheck(self) -> CheckedSearch:
        """The search alone: its budget less what its re-check needs."""
        limits = self.settings.limits
        if limits.budget.images is None or not self.recheck_images:
            return self
        budget = replace(limits.budget, images=limits.budget.images - self.recheck_images)
        return replace(self, settings=replace(self.settings, limits=replace(limits, budget=budget)))

    @property
    def parallel(self) -> int:
        """Calls at once, for generators that make their images themselves."""
        return max_parallel_jobs(self.settings.images.args)

    @property
    def generator(self) -> ImageGenerator:
        """The generator, knowing its servers or its account."""
        generator = self.settings.generator.for_servers(list(self.survey.infos.values()))
        return generator.for_accounts(static(self.sources))

    def baseline(self) -> dict[str, ParamValue]:
        """The workflow's own values; without a workflow, the generator's, as far as it says them (see
        `Space.own_values`).

        Raises:
            WorkflowError: The workflow has no such value.
        """
        workflow = self.settings.generator.workflow
        infos = list(self.survey.infos.values())
        if workflow is None:
            return self.space.own_values(self.settings.generator.for_servers(infos))
        return self.space.baseline(workflow, infos[0] if infos else None)

    def each(self) -> dict[str, CheckedSearch]:
        """Where a parameter chooses one of several generators, name to the search with that one alone; else
        itself under no name.

        Raises:
            ConfigurationError: Two parameters set one input of a generator.
        """
        choice = self.settings.generator.choice
        if choice is None:
            return {"": self}
        found = {}
        for name, setup in self.setup.each().items():
            space = space_of_one(self.space, choice, name)
            settings = replace(self.settings, generator=setup.generator, space=space)
            found[name] = replace(self, settings=settings, setup=setup)
        return found

    def setup_in(self, name: str) -> RunSetup:
        """What its trials share.

        Args:
            name: The search's own, as its folder is called.
        """
        return replace(self.setup, generator=self.generator, search=name)

    def with_problems(self, problems: Sequence[Problem]) -> CheckedSearch:
        """The same with these problems, each once."""
        return replace(self, problems=tuple(dict.fromkeys(problems)))

    def raise_problems(self) -> None:
        """Raise all problems at once.

        Raises:
            ConfigurationError: There are some.
            NoEndpointError: The only one is that no endpoint answers.
        """
        if self.problems:
            raise ConfigurationError([*self.problems, *self.unreachable], self.settings.source_name)
        if self.unreachable:
            raise no_endpoint(self.unreachable)

    def admit(self, endpoints: Sequence[Endpoint]) -> CheckedSearch:
        """Hold workflow and space against the servers that were started.

        Args:
            endpoints: Those that answer by now.

        Returns:
            The same search, knowing what these servers can do.

        Raises:
            ConfigurationError: They lack something that the search needs.
        """
        if not self.survey.others:
            return self
        ours = surveys.survey_of(endpoints, surveys.graph_of(self.settings.generator))
        if ours.infos:
            found = replace(self, survey=ours)
            found.with_problems(fit_problems(found)).raise_problems()
        return replace(self, survey=replace(self.survey, infos={**self.survey.infos, **ours.infos}))


def check(settings: SearchSettings, *, probing: bool = True, searching: bool = True) -> CheckedSearch:
    """Find everything that can be known of a search without generating.

    Args:
        settings: The search.
        probing: Whether endpoints without nodes are asked too whether they can be used: an account whether
            its key is taken.
        searching: Whether there must be an objective; a single run needs none.

    Returns:
        What was loaded, and all problems, each with the dotted path of its setting.
    """
    problems: list[Problem] = []
    setup = _load(settings, problems)
    held_out: tuple[EvalItem, ...] = ()
    if searching:
        setup, held_out = _split(settings, setup)
    settings = replace(settings, sources=_limited(settings))
    bare = CheckedSearch(settings, setup, surveys.Survey())
    parts = collect(problems, bare.each, "parameters") or {}
    for one in parts.values():
        problems += _setup_problems(one.settings, one.setup)
    if searching:
        problems += settings_problems(settings, len(setup.eval_set))
        problems += steering_problems(settings)
    problems += _place_problems(settings)
    survey, unreachable = _asked(settings, probing=probing)
    checked = CheckedSearch(settings, setup, survey, unreachable=tuple(unreachable), held_out=held_out)
    if parts:
        problems += fit_problems(checked)
    if searching and not (problems or unreachable) and strategies_may_fail(checked):
        collect(problems, lambda: try_strategies(checked), "search")
    return checked.with_problems(problems)


def no_endpoint(unreachable: Sequence[Problem]) -> NoEndpointError:
    """The error of a search whose endpoints all do not answer; each says why."""
    reasons = "\n".join(f"  - {problem}" for problem in unreachable)
    return NoEndpointError(f"no endpoint answers\n{reasons}")


def _load(settings: SearchSettings, problems: list[Problem]) -> RunSetup:
    """Load the eval set and what stands in the arguments."""
    images = settings.images
    args = collect(problems, lambda: ItemArgs.of(images.args)) or ItemArgs({})
    collect(problems, lambda: max_parallel_jobs(images.args))
    loader, generator = settings.data_loader, settings.generator
    eval_set = collect(problems, lambda: placed(load(loader), generator), "dataset") or EvalSet("", ())
    picture = images.args.get("workflow_pillow_image")
    drawn = None if picture is None else collect(problems, lambda: EncodedImage.of(picture))
    return RunSetup(
        settings.home.project,
        eval_set,
        settings.generator,
        settings.metrics,
        args,
        workflow_image=drawn,
        seeds=images.seeds,
        objectives=settings.objective.names,
    )


def _split(settings: SearchSettings, setup: RunSetup) -> tuple[RunSetup, tuple[EvalItem, ...]]:
    """The setup without the items that are held out, drawn with the search's seed, and those."""
    items, count = setup.eval_set.items, settings.evidence.holdout
    if not count or count >= len(items):
        return setup, ()
    out = set(random.Random(settings.strategy.seed or 0).sample(range(len(items)), count))
    kept = [item for item in items if item.index not in out]
    numbered = tuple(replace(item, index=index) for index, item in enumerate(kept))
    return (
        replace(setup, eval_set=replace(setup.eval_set, items=numbered)),
        tuple(item for item in items if item.index in out),
    )


def _limited(settings: SearchSettings) -> tuple[EndpointSource, ...]:
    """The sources, given no more requests at once than their service allows and the user wants."""
    jobs = settings.images.args.get("max_parallel_jobs")
    wanted = jobs if isinstance(jobs, int) and jobs > 0 else None
    return tuple(surveys.limited(one, settings.generator, wanted) for one in settings.sources)


def _setup_problems(settings: SearchSettings, setup: RunSetup) -> list[Problem]:
    """What would make every image fail, apart from the space's own faults, which `fit_problems` finds."""
    generator, space, args = settings.generator, settings.space, setup.args
    problems = []
    if setup.eval_set.items:
        told = space.with_params(args)
        if generator.workflow is not None:  # what does not fit it, `fit_problems` finds
            told = args.without_params()
            items = tuple(replace(item, params=()) for item in setup.eval_set.items)
            setup = replace(setup, eval_set=replace(setup.eval_set, items=items))
        faults = [fault.message for param in told.params if (fault := generator.fault(param))]
        found = replace(setup, args=told).problems()
        problems = [one for one in found if one.message not in (*faults, SEEDLESS)]
    if not generator.takes_seed(space.with_params(args)):
        if setup.seeds > 1:
            problems.append(Problem("", SEEDLESS, "seeds"))
        if settings.evidence.recheck is not None:
            problems.append(Problem("", SEEDLESS.replace("remove seeds", "remove recheck"), "recheck"))
    return problems


def _place_problems(settings: SearchSettings) -> list[Problem]:
    """What is wrong with where images are generated and results go."""
    problems = surveys.program_problems(settings.sources)
    generator = settings.generator
    problems += surveys.kind_problems(settings.sources, generator, "endpoints")
    problems += surveys.pool_problems(settings.sources, "endpoints")
    home = settings.home
    if unkept := fault_of(home.results, kept_elsewhere=home.storage is not None):
        problems.append(Problem("", unkept, "results"))
    return problems


def _asked(settings: SearchSettings, *, probing: bool) -> tuple[surveys.Survey, list[Problem]]:
    """What the endpoints say, and why none answers of a kind of which none does."""
    graph = surveys.graph_of(settings.generator)
    answers = [surveys.survey(settings.sources, graph)]
    nodeless = {one.kind for one in each(settings.generator).values() if not one.has_nodes}
    if probing:
        answers += [surveys.probed(settings.sources, kind) for kind in sorted(nodeless)]
    silences = [problem for one in answers if not one.has_endpoint for problem in one.silences()]
    return surveys.together(answers), silences


def fit_problems(checked: CheckedSearch) -> list[Problem]:
    """What keeps workflow and space from running on the endpoints; of several generators, each."""
    return [problem for one in checked.each().values() for problem in _fit_problems(one)]


def _fit_problems(checked: CheckedSearch) -> list[Problem]:
    generator, fixed = checked.settings.generator, checked.setup.args.params
    workflow = generator.workflow
    if workflow is None:
        return problems_with_generator(checked.space, generator, fixed, checked.setup.eval_set)
    chosen = [title for _, title in checked.space.image_nodes]
    found = checked.survey.workflow_problems(workflow, checked.setup, chosen, "generator.output_node")
    return [*found, *_image_problems(checked, workflow), *_unfit(checked, workflow)]


def _unfit(checked: CheckedSearch, workflow: Workflow) -> list[Problem]:
    """What of the space does not fit; the same fault on all servers is told once."""
    infos: Mapping[str, ObjectInfo | None] = checked.survey.infos or {"": None}
    faults: dict[Problem, list[str]] = {}
    for url, info in infos.items():
        setup = checked.setup
        for fault in problems_with_workflow(checked.space, workflow, info, setup.args.params, setup.eval_set):
            faults.setdefault(fault, []).append(url)
    problems = []
    for fault, urls in faults.items():
        everywhere = len(urls) == len(infos)
        problems.append(fault if everywhere else replace(fault, where=f"on {', '.join(urls)}"))
    return problems


def _image_problems(checked: CheckedSearch, workflow: Workflow) -> list[Problem]:
    """Nodes that would be given two images."""
    given = dict.fromkeys(checked.setup.args.images, "pillow_images")
    for folder in checked.setup.eval_set.input_folders:
        given[load_node(folder)] = f"the folder {folder!r} of the eval set"
    problems = []
    for name, title in checked.space.image_nodes:
        for node in workflow.nodes.values():
            already = given.get(node.title) or given.get(node.id)
            if already and title in (node.title, node.id):
                rule = (
                    f"node {title!r} is given its image by {already} already; let the parameter set another"
                )
                problems.append(Problem("", f"{rule} node", f"parameters.{name}"))
    return problems


def strategies_may_fail(checked: CheckedSearch) -> bool:
    """Whether `try_strategies` can find anything that checking the settings has not found."""
    algorithm, scheduler = checked.settings.strategy.algorithm, checked.settings.strategy.scheduler
    return algorithm.type not in _CANNOT_FAIL or scheduler.type not in _SCHEDULERS_CHECKED


def try_strategies(checked: CheckedSearch) -> None:
    """Make algorithm and scheduler, to see that they can be.

    Raises:
        ConfigurationError: They cannot be made of their options, or for this space and these objectives.
    """
    from pixaris.search.algorithms import factory, schedulers  # need Ray

    strategy, objectives = checked.settings.strategy, checked.objectives
    factory.make(strategy, factory.context_of(checked.settings, checked.baseline(), seed=strategy.seed))
    schedulers.make(
        strategy,
        items=len(checked.setup.eval_set),
        direction=objectives[0].direction,
        objectives=len(objectives),
    )
