"""A search from its parts, and all that can be known of it before anything is generated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pixaris.cache.base import CacheStore
from pixaris.config import Config
from pixaris.data_loaders.base import DatasetLoader
from pixaris.endpoints.discovery import EndpointSource, GivenSource
from pixaris.endpoints.dispatcher import Policy
from pixaris.exceptions import ConfigurationError, Problem, nearest
from pixaris.experiment.run import SEEDLESS, RunSetup, directions, seeds_of
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import ImageGenerator, ItemArgs, max_parallel_jobs
from pixaris.images import EncodedImage
from pixaris.metrics.base import BaseMetric
from pixaris.results.budget import Budget
from pixaris.results.folders import fault_of
from pixaris.results.records import Objective
from pixaris.search import servers
from pixaris.search.check import Checked
from pixaris.search.file.budget import read_budget
from pixaris.search.file.reader import Reader
from pixaris.search.file.strategies import problems_of
from pixaris.search.file.yaml_file import Document, place
from pixaris.search.objectives import choose_one
from pixaris.search.space.space import Space
from pixaris.types import Direction, EvalSet

if TYPE_CHECKING:  # Ray takes a second to import; checking a search needs none of it
    from ray.tune.schedulers import TrialScheduler
    from ray.tune.search import Searcher

    from pixaris.results.progress import ProgressListener
    from pixaris.results.records import SearchResult


T = TypeVar("T")


@dataclass(frozen=True)
class Search:
    """A hyperparameter search, from its parts.

    Attributes:
        data_loader: Loads the eval set.
        image_generator: Makes the images.
        space: What to vary: a `Space`, or parameter name to ``(node title, input, domain)``, where a domain
            is one of Ray Tune's (``tune.uniform(1, 12)``), a list of values or one value; what else a search
            file can say (``when``, ``targets``, ``template``, ``images``) stands in a mapping with the file's
            keys, and the domain under ``domain``.
        metrics: Score the images.
        objective: Name of the score to optimise, or several names, the leading one first.
        experiment_handler: Keeps the trials' results; or a function that makes it, given the search's folder.
        direction: "max" or "min", or a mapping of score names to these; by default the metrics' own.
        endpoints: Where images are generated: URLs (``dns://name:port`` among them), or sources of
            `pixaris.endpoints.discovery`. By default the generator's own.
        args: What every image is made with besides: ``generation_params``, ``pillow_images``,
            ``max_parallel_jobs``, ….
        project: The project's name.
        name: The search's name; a second search of that name is called ``name-2``.
        algorithm: ``grid``, ``random``, ``tpe``, ``optuna``, any other of Ray Tune's by name
            (docs/algorithms.md), or a searcher object of Ray Tune made for `pixaris.search.OBJECTIVE`.
        algorithm_options: Options of a named algorithm.
        scheduler: ``fifo``, ``asha``, ``median``, ``hyperband``, ``hb_bohb``, or a scheduler object of Ray
            Tune that counts ``items``.
        scheduler_options: Options of a named scheduler.
        num_samples: Parameter sets to try besides the baseline (a grid tries them all).
        points_to_evaluate: Parameter sets to try first, right after the baseline; they count as samples.
        budget: What the search may spend: a `Budget`, or a mapping of any of ``images``, ``seconds`` (wall
            time), ``endpoint_seconds`` and ``credits`` to their limits.
        seed: Makes the proposals and the order of the items repeatable.
        seeds: Images of every item in every trial, each with a seed of its own that is the same in all
            trials; an item's scores are means over them.
        step: Items between two reports; chosen by default.
        max_concurrent: Trials at once; chosen from the endpoints' places by default.
        policy: Limits of retries, quarantine and waiting for endpoints.
        cache: Images that it has are not generated again, and those that are generated are kept in it; by
            default there is none.
        results_dir: Where results go; by default what the configuration says.
        source: The search file, kept with the results, and named in errors.
        lines: The search file's keys and their lines, for errors.
        fixed_at: Places of the generation params in the file's list, for errors; by default 0, 1, 2, ….
        unbound: Path, node and input of the file's parameters that have no domain, to find out whether there
            is such an input.
    """

    data_loader: DatasetLoader
    image_generator: ImageGenerator
    space: Space | Mapping[str, Any]
    metrics: Sequence[BaseMetric]
    objective: str | Sequence[str]
    experiment_handler: ExperimentHandler | Callable[[Path], ExperimentHandler]
    direction: Direction | Mapping[str, Direction] | None = None
    endpoints: Sequence[EndpointSource | str] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    project: str = "default"
    name: str = "search"
    algorithm: str | Searcher = "tpe"
    algorithm_options: Mapping[str, Any] = field(default_factory=dict)
    scheduler: str | TrialScheduler = "fifo"
    scheduler_options: Mapping[str, Any] = field(default_factory=dict)
    num_samples: int | None = 20
    points_to_evaluate: Sequence[Mapping[str, Any]] = ()
    budget: Budget | Mapping[str, float] | None = None
    seed: int | None = None
    seeds: int = 1
    step: int | None = None
    max_concurrent: int | None = None
    policy: Policy | None = None
    cache: CacheStore | None = None
    results_dir: str | Path | None = None
    source: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    fixed_at: Sequence[int] = ()
    unbound: Sequence[tuple[str, tuple[str, str]]] = ()

    def check(self, *, every_endpoint: bool = True, searching: bool = True) -> Checked:
        """Find everything that can be known without generating.

        Args:
            every_endpoint: Whether an endpoint that does not answer is a problem as long as another does.
            searching: Whether there must be an objective; a single run needs none.

        Returns:
            What was loaded, and all problems.
        """
        problems: list[Problem] = []
        args = _collect(problems, lambda: ItemArgs.of(self.args)) or ItemArgs({})
        eval_set = _collect(problems, self.data_loader.load_dataset, self.place("dataset")) or EvalSet("", ())
        space = _collect(problems, self._space) or Space()
        sources = _collect(problems, self._sources) or ()
        _collect(problems, lambda: max_parallel_jobs(self.args))
        picture = self.args.get("workflow_pillow_image")
        setup = RunSetup(
            self.project,
            eval_set,
            self.image_generator,
            tuple(self.metrics),
            args,
            workflow_image=None if picture is None else _collect(problems, lambda: EncodedImage.of(picture)),
            seeds=_collect(problems, lambda: seeds_of({"seeds": self.seeds})) or 1,
        )
        if eval_set.items:  # parameters are held against workflow or generator together with the space, below
            told = (
                args.without_params()
                if self.image_generator.workflow is not None
                else space.with_params(args)
            )
            faults = [fault.message for param in told.params if (fault := self.image_generator.fault(param))]
            faults.append(SEEDLESS)  # told with its place, below
            found = [
                problem for problem in replace(setup, args=told).problems() if problem.message not in faults
            ]
            problems += [
                replace(one, where=self.place("metrics") or one.where) if one.where == "metrics" else one
                for one in found
            ]
        if setup.seeds > 1 and not self.image_generator.takes_seed(space.with_params(args)):
            problems.append(Problem(self.place("seeds") or "seeds", SEEDLESS))
        if searching:
            problems += self._objective_problems()
            problems += self._strategy_problems(space)
            problems += self._nothing_varies(space) + self._grace_problems(setup)
            problems += self._budget_problems(setup.images)
        if self.source is None:  # a file's are told with their lines
            problems += servers.variable_problems(sources)
        problems += servers.program_problems(sources, self.place("endpoints.iap") or "endpoints.iap")
        if self.image_generator.uses_endpoints:
            problems += servers.kind_problems(sources, self.image_generator.kind, self.place("endpoints"))
        if unkept := fault_of(self.results):
            problems.append(Problem(self.place("results") or "results", unkept))
        survey = servers.survey(sources, self.image_generator.workflow)
        if every_endpoint and self.image_generator.kind == "flux":
            survey = servers.accounts(sources)
        problems += survey.problems(every_endpoint=every_endpoint)
        checked = Checked(self, setup, space, sources, survey)
        checked = checked.with_problems([*problems, *checked.fit_problems()])
        if (
            searching and not checked.problems and self.algorithm not in ("grid", "random", "tpe")
        ):  # which cannot fail, and need Ray
            _collect(problems, checked.make_strategies, self.place("search"))
            checked = checked.with_problems([*checked.problems, *problems])
        return checked

    def run(self, listener: ProgressListener | None = None, *, resume: bool = False) -> SearchResult:
        """Check, start the endpoints, search, stop the endpoints.

        Args:
            listener: Is told how it goes.
            resume: Go on with the newest search of this name, if there is one; else every search is a new
                one, in a new folder.

        Raises:
            ConfigurationError: All that is wrong, before anything is generated.
            SearchFailedError: No trial has a score.
            PixarisError: Nothing could go on; what is done is kept.
        """
        result = self.check(every_endpoint=False).run(listener, resume=resume)
        if result.error is not None:
            raise result.error
        return result

    @property
    def results(self) -> Path:
        """The folder that results go to."""
        return Path(self.results_dir) if self.results_dir else Config.load().results_dir

    def place(self, path: str) -> str:
        """How problems name a key of the search file; "" without one."""
        return place(path, self.lines) if self.lines else ""

    def _space(self) -> Space:
        if isinstance(self.space, Space):
            return self.space
        from pixaris.search.algorithms.tune_domains import space_of

        return space_of(self.space)

    def _sources(self) -> tuple[EndpointSource, ...]:
        given = self.endpoints
        if not given and self.source is not None:
            return ()  # the file's are all wrong, which is a problem already
        generator, jobs = self.image_generator, self.args.get("max_parallel_jobs")
        found: list[EndpointSource]
        if given:
            found = [servers.source_of(one, generator.kind) if isinstance(one, str) else one for one in given]
        else:
            own = generator.endpoints()
            found = [servers.source_of(one.url) if one.kind == "comfyui" else GivenSource(one) for one in own]
        return tuple(
            servers.limited(one, generator, jobs if isinstance(jobs, int) and jobs > 0 else None)
            for one in found
        )

    @property
    def objective_names(self) -> tuple[str, ...]:
        """The scores to optimise, the leading one first."""
        return (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)

    def objectives(self) -> tuple[Objective, ...]:
        """The scores to optimise, with their directions; of a search without problems."""
        known = {**directions(tuple(self.metrics)), **self._directions()}
        return tuple(Objective(name, known[name]) for name in self.objective_names)

    def _directions(self) -> Mapping[str, Direction]:
        """The directions that were given."""
        if isinstance(self.direction, Mapping):
            return self.direction
        return {} if self.direction is None else dict.fromkeys(self.objective_names, self.direction)

    def _objective_problems(self) -> list[Problem]:
        known = [name for metric in self.metrics for name in _scores(metric)]
        unknown = any(
            not metric.directions() and not metric.scores for metric in self.metrics
        )  # its scores show when it runs
        given, own = self._directions(), directions(tuple(self.metrics))
        problems = [] if self.objective_names else [Problem("objective", choose_one(known))]
        for index, name in enumerate(self.objective_names):
            if self.source is not None and not (name and self.metrics):
                continue  # what is wrong with it, or that there are no metrics, is told already
            several = "objective.metric" not in self.lines
            where = self.place(f"objective.{index}.metric" if several else "objective.metric") or "objective"
            if name not in known and not (unknown and name in given):
                hint = f"the metrics give {', '.join(known) or 'nothing'}"
                problems.append(
                    Problem(where, f"{name!r} is no score of this search{nearest(name, known)}; {hint}")
                )
            elif name not in given and name not in own:
                problems.append(
                    Problem(
                        where, f"{name!r} does not say whether higher is better; add direction: max or min"
                    )
                )
        if isinstance(self.direction, str) and len(self.objective_names) > 1:
            problems.append(
                Problem("direction", "with several objectives write {score: 'max' or 'min'}, one for each")
            )
        for name, direction in given.items():
            if name not in self.objective_names or direction not in ("max", "min"):
                problems.append(
                    Problem("direction", f"must be max or min, of an objective (got {name!r}: {direction!r})")
                )
        if self.source is None and (
            repeated := {name for name in self.objective_names if self.objective_names.count(name) > 1}
        ):
            problems.append(
                Problem("objective", f"names {', '.join(sorted(repeated))} twice; keep one of them")
            )
        return problems

    def limits_of_spending(self) -> Budget:
        """What the search may spend; of a search without problems."""
        return self.budget if isinstance(self.budget, Budget) else Budget(**(self.budget or {}))  # type: ignore[arg-type]

    def _budget_problems(self, images: int) -> list[Problem]:
        given = self.budget.as_dict() if isinstance(self.budget, Budget) else dict(self.budget or {})
        reader = Reader(Document({"budget": given}, self.lines))
        budget = read_budget(reader, "budget", given)
        if self.source is not None and budget.images is None:
            return []  # a file's faults are told already
        if budget.images is not None and budget.images < images:
            reader.tell(
                "budget.images",
                f"pays for no trial: one takes {images} images; give it that many (got {budget.images})",
            )
        return reader.problems

    def _nothing_varies(self, space: Space) -> list[Problem]:
        if not space.parameters or space.varying:
            return []
        rule = (
            "all are constants, so every trial would be the same; give one of them several values, as choice:"
            " [1, 2]"
        )
        return [Problem(self.place("parameters") or "parameters", f"{rule} (pixaris run needs none)")]

    def _grace_problems(self, setup: RunSetup) -> list[Problem]:
        grace, items = self.scheduler_options.get("grace_period"), len(setup.eval_set.items)
        if not isinstance(grace, int) or not 0 < items < grace:
            return []
        where = "search.scheduler.grace_period"
        rule = (
            f"counts items, and the eval set has {items}, so no trial would be stopped; give it at most that"
            f" (got {grace})"
        )
        return [Problem(self.place(where) or where, rule)]

    def _strategy_problems(self, space: Space) -> list[Problem]:
        """What is wrong with algorithm, scheduler, points and numbers given in Python; a file's are told with
        their lines.
        """
        if self.source is not None:
            return []
        fields: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("num_samples", "seed", "step", "max_concurrent")
            if getattr(self, name) is not None
        }
        if self.algorithm == "grid":
            fields.pop("num_samples", None)
        for name, options in (("algorithm", self.algorithm_options), ("scheduler", self.scheduler_options)):
            strategy = getattr(self, name)
            if isinstance(strategy, str):
                fields[name] = {"type": strategy, **options}
            elif options:
                return [
                    Problem(
                        f"{name}_options",
                        f"belong to a named {name}; give {type(strategy).__name__} its own arguments",
                    )
                ]
        points = [
            {
                key: value.item() if hasattr(value, "item") else value for key, value in point.items()
            }  # numpy scalars
            for point in self.points_to_evaluate
        ]
        if points and not isinstance(self.algorithm, str):
            kind = type(self.algorithm).__name__
            return [Problem("points_to_evaluate", f"belong to a named algorithm; give them to {kind} itself")]
        fields["points_to_evaluate"] = points
        return problems_of(fields, space, len(self.objective_names))


def _scores(metric: BaseMetric) -> tuple[str, ...]:
    """The scores that a metric declares; some say no more of them than `BaseMetric.directions`."""
    scales, directed = metric.scales(), metric.directions()
    return tuple(scales if set(directed) <= set(scales) else directed)


def _collect(problems: list[Problem], load: Callable[[], T], where: str = "") -> T | None:
    """Load something; what is wrong with it is added to the problems, at the place it comes from."""
    try:
        return load()
    except ConfigurationError as error:
        for problem in error.problems:
            places = [place for place in (where, error.source, problem.where) if place]
            problems.append(Problem(", ".join(places), problem.message))
        return None
