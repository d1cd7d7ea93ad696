"""A search from its parts, in Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import get_args

from pixaris.cache.base import CacheStore
from pixaris.config import Config
from pixaris.data_loaders.base import DatasetLoader
from pixaris.endpoints.dispatch.policy import Policy
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.endpoints.sources.catalog import source_of
from pixaris.endpoints.sources.given import GivenSource
from pixaris.exceptions import Problem
from pixaris.experiment.setup import seeds_of
from pixaris.experiment_handlers.base import ExperimentHandler, adapted
from pixaris.feedback_handlers.base import FeedbackHandler
from pixaris.gcp.storage import BucketPath
from pixaris.generation.base import ImageGenerator
from pixaris.metrics.base import BaseMetric
from pixaris.report.progress import shown
from pixaris.results.budget import Budget
from pixaris.results.progress import ProgressListener
from pixaris.results.ranking import FailurePolicy
from pixaris.results.records import SearchResult
from pixaris.search.check import CheckedSearch, check
from pixaris.search.file.limits import read_budget, read_evidence
from pixaris.search.file.reader import Reader
from pixaris.search.file.strategies import read_strategy
from pixaris.search.file.yaml_file import Document
from pixaris.search.problems import collect
from pixaris.search.settings import (
    DEFAULT_SAMPLES,
    Choice,
    EvidenceSettings,
    HandlerMaker,
    Home,
    ImageSettings,
    Keeping,
    LimitSettings,
    ObjectiveSettings,
    Recheck,
    SearchSettings,
    StrategySettings,
)
from pixaris.search.space.space import Space
from pixaris.search.survey import variable_problems
from pixaris.types import Direction


@dataclass(frozen=True)
class Search:
    """A hyperparameter search, from its parts.

    Attributes:
        data_loader: Loads the eval set.
        image_generator: Makes the images.
        space: What to vary: a `Space`, or parameter name to ``(node title, input, domain)``, where a domain
            is one of Ray Tune's (``tune.uniform(1, 12)``), a list of values or one value; what else a search
            file can say (``when``, ``targets``, ``template``, ``images``) stands in a mapping with the file's
            keys, and the domain under ``domain``. Of a generator whose inputs belong to no nodes, the domain
            alone: the parameter has the input's name.
        metrics: Score the images.
        objective: Name of the score to optimise, or several names, the leading one first.
        experiment_handler: Keeps the trials' results; or a function that makes it, given the search's folder.
        direction: "max" or "min", or a mapping of score names to these; by default the metrics' own.
        failures: What becomes of items without an image or a score when parameter sets are compared: "skip"
            compares each set with the leader over the items that both have, "worst" counts them as the worst
            that can be. A set with a score for under half of the items cannot win.
        endpoints: Where images are generated: URLs (``dns://name:port`` among them), or sources of
            `pixaris.endpoints.sources`. By default the generator's own.
        args: What every image is made with besides: ``generation_params``, ``pillow_images``,
            ``max_parallel_jobs``, ….
        project: The project's name.
        name: The search's name; a second search of that name is called ``name-2``.
        algorithm: ``auto``, ``gp``, ``grid``, ``random``, ``tpe``, ``optuna``, any other of Ray Tune's by
            name (docs/algorithms.md), or a searcher object of Ray Tune made for `pixaris.search.OBJECTIVE`.
        algorithm_options: Options of a named algorithm.
        scheduler: ``race``, ``fifo``, ``asha``, ``median``, ``hyperband``, ``hb_bohb``, or a scheduler object
            of Ray Tune that counts ``items``.
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
        storage: ``gs://bucket/prefix``: the search is kept there as it grows, and any machine can go on with
            it.
        recheck: Run the best sets and the baseline once more after the search, with seeds it has not used: a
            `Recheck`, or ``{"top": 3, "seeds": 4}``.
        holdout: Items of the eval set that the search does not see, and that the winner and the baseline are
            run on in the end; at least 8.
        feedback_handler: Keeps the votes of a search that votes steer: ``LocalFeedbackHandler(results)``.
    """

    data_loader: DatasetLoader
    image_generator: ImageGenerator
    space: Space | Mapping[str, object]
    metrics: Sequence[BaseMetric]
    objective: str | Sequence[str]
    experiment_handler: ExperimentHandler | HandlerMaker
    direction: Direction | Mapping[str, Direction] | None = None
    failures: FailurePolicy = "skip"
    endpoints: Sequence[EndpointSource | str] = ()
    args: Mapping[str, object] = field(default_factory=dict)
    project: str = "default"
    name: str = "search"
    algorithm: str | object = "auto"
    algorithm_options: Mapping[str, object] = field(default_factory=dict)
    scheduler: str | object = "race"
    scheduler_options: Mapping[str, object] = field(default_factory=dict)
    num_samples: int | None = DEFAULT_SAMPLES
    points_to_evaluate: Sequence[Mapping[str, object]] = ()
    budget: Budget | Mapping[str, float] | None = None
    seed: int | None = None
    seeds: int = 1
    step: int | None = None
    max_concurrent: int | None = None
    policy: Policy | None = None
    cache: CacheStore | None = None
    results_dir: str | Path | None = None
    storage: str | None = None
    recheck: Recheck | Mapping[str, int] | None = None
    holdout: int = 0
    feedback_handler: FeedbackHandler | None = None

    def check(self, *, probing: bool = True, searching: bool = True) -> CheckedSearch:
        """Find everything that can be known without generating.

        Args:
            probing: Whether endpoints without nodes are asked too whether they can be used.
            searching: Whether there must be an objective; a single run needs none.

        Returns:
            What was loaded, and all problems.
        """
        problems: list[Problem] = []
        settings = self.settings(problems)
        checked = check(settings, probing=probing, searching=searching)
        return checked.with_problems([*problems, *checked.problems])

    def run(
        self, listener: ProgressListener | None = None, *, resume: bool = False, progress: bool = True
    ) -> SearchResult:
        """Check, start the endpoints, search, stop the endpoints.

        Args:
            listener: Called with how it goes, in place of what is shown.
            resume: Go on with the newest search of this name, if there is one; else every search is a new
                one, in a new folder.
            progress: Whether it is shown how it goes, as by the command: live on a terminal, in plain lines
                in a notebook, a pipe or a log.

        Raises:
            ConfigurationError: All that is wrong, before anything is generated.
            SearchFailedError: No trial has a score.
            PixarisError: Nothing could go on; what is done is kept.
        """
        from pixaris.search.driver.start import run  # needs Ray

        checked = self.check(probing=False)
        with shown(progress) if listener is None else nullcontext(listener) as told:
            result = run(checked, told, resume=resume)
        if result.error is not None:
            raise result.error
        return result

    def settings(self, problems: list[Problem]) -> SearchSettings:
        """What the search is.

        Args:
            problems: What is wrong with the arguments is added, and stands as something harmless.
        """
        names = (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)
        space = collect(problems, self._space) or Space()
        sources = collect(problems, self._sources) or ()
        problems += variable_problems(sources)
        seeds = collect(problems, lambda: seeds_of({"seeds": self.seeds})) or 1
        results = Path(self.results_dir) if self.results_dir else Config.load().results_dir
        return SearchSettings(
            home=Home(self.project, self.name, results, collect(problems, self._storage)),
            data_loader=self.data_loader,
            generator=self.image_generator,
            sources=sources,
            space=space,
            metrics=tuple(self.metrics),
            objective=self._objective(names, problems),
            strategy=self._strategy(space, len(names), problems),
            limits=LimitSettings(self._budget(problems), self.policy or Policy()),
            images=ImageSettings(self.args, seeds),
            keeping=Keeping(self._handler(problems), self.cache, feedback=self.feedback_handler),
            evidence=self._evidence(problems),
        )

    def _handler(self, problems: list[Problem]) -> ExperimentHandler | HandlerMaker:
        """What keeps the results, or the function that makes it; what is neither stands as itself."""
        given = self.experiment_handler
        if callable(given) and (isinstance(given, type) or not hasattr(given, "store_results")):
            return given
        return collect(problems, lambda: adapted(given)) or given

    def _storage(self) -> BucketPath | None:
        if self.storage is None:
            return None
        return BucketPath.of(self.storage)

    def _space(self) -> Space:
        if isinstance(self.space, Space):
            return self.space
        from pixaris.search.algorithms.tune_domains import space_of  # Tune's own domains: needs Ray

        return space_of(self.space, nodes=self.image_generator.has_nodes)

    def _sources(self) -> tuple[EndpointSource, ...]:
        if self.endpoints:
            api, given = self.image_generator.api, self.endpoints
            return tuple(source_of(one, api) if isinstance(one, str) else one for one in given)
        if self.image_generator.source is not None:
            return (self.image_generator.source,)
        return tuple(GivenSource.of(one) for one in self.image_generator.endpoints())

    def _objective(self, names: tuple[str, ...], problems: list[Problem]) -> ObjectiveSettings:
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            problems.append(Problem("", f"names {', '.join(repeated)} twice; keep one of them", "objective"))
        if self.failures not in get_args(FailurePolicy):
            problems.append(Problem("", f"must be skip or worst (got {self.failures!r})", "failures"))
        given: Mapping[str, Direction] = {}
        if isinstance(self.direction, Mapping):
            given = self.direction
        elif self.direction is not None:
            given = dict.fromkeys(names, self.direction)
            if len(names) > 1:
                rule = "with several objectives write {score: 'max' or 'min'}, one for each"
                problems.append(Problem("", rule, "direction"))
        return ObjectiveSettings(names, given, self.failures)

    def _budget(self, problems: list[Problem]) -> Budget:
        if isinstance(self.budget, Budget):
            given = self.budget.as_dict()
        else:
            given = dict(self.budget or {})
        reader = Reader(Document({"budget": given}))
        budget = read_budget(reader, "budget", given)
        problems += reader.problems
        return budget

    def _evidence(self, problems: list[Problem]) -> EvidenceSettings:
        given = asdict(self.recheck) if isinstance(self.recheck, Recheck) else self.recheck
        fields = {"holdout": self.holdout, **({} if given is None else {"recheck": given})}
        reader = Reader(Document(fields))
        evidence = read_evidence(reader, fields)
        problems += reader.problems
        return evidence

    def _strategy(self, space: Space, objectives: int, problems: list[Problem]) -> StrategySettings:
        """The strategy's keywords, read as a search file's are; objects of Ray Tune stand as they are."""
        found = self._misplaced()
        problems += found
        if found:
            return StrategySettings(Choice("random"))
        section = self._section()
        reader = Reader(Document({"search": section}))
        read = read_strategy(reader, section, space, objectives)
        problems += reader.problems
        if not isinstance(self.algorithm, str):
            read = replace(read, algorithm=Choice(self.algorithm))
        if not isinstance(self.scheduler, str):
            read = replace(read, scheduler=Choice(self.scheduler))
        if self.num_samples is None:
            return replace(read, num_samples=None)
        return read

    def _misplaced(self) -> list[Problem]:
        """What a named algorithm or scheduler takes, given beside an object."""
        for name, options in (("algorithm", self.algorithm_options), ("scheduler", self.scheduler_options)):
            given = getattr(self, name)
            if options and not isinstance(given, str):
                rule = f"belong to a named {name}; give {type(given).__name__} its own arguments"
                return [Problem("", rule, f"{name}_options")]
        if self.points_to_evaluate and not isinstance(self.algorithm, str):
            kind = type(self.algorithm).__name__
            rule = f"belong to a named algorithm; give them to {kind} itself"
            return [Problem("", rule, "points_to_evaluate")]
        return []

    def _section(self) -> dict[str, object]:
        """The keywords as the section ``search`` of a file has them."""
        section: dict[str, object] = {"points_to_evaluate": [_plain(one) for one in self.points_to_evaluate]}
        for name in ("num_samples", "seed", "step", "max_concurrent"):
            if getattr(self, name) is not None:
                section[name] = getattr(self, name)
        if self.algorithm == "grid":
            section.pop("num_samples", None)
        if isinstance(self.algorithm, str):
            section["algorithm"] = {"type": self.algorithm, **self.algorithm_options}
        if isinstance(self.scheduler, str):
            section["scheduler"] = {"type": self.scheduler, **self.scheduler_options}
        return section


def _plain(point: Mapping[str, object]) -> dict[str, object]:
    """A point with Python's own values: numpy's scalars come in too."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in point.items()}
