"""A search, checked and ready to run: what `pixaris.search.driver.run` is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from pixaris.endpoints.base import Endpoint
from pixaris.endpoints.sources.base import EndpointSource
from pixaris.exceptions import ConfigurationError
from pixaris.experiment.setup import RunSetup
from pixaris.experiment_handlers.base import ExperimentHandler
from pixaris.generation.base import choose
from pixaris.results.bucket.mirror import Mirror
from pixaris.results.evidence.preferences import read_preferences
from pixaris.results.journal import History
from pixaris.results.objective import Objective
from pixaris.results.paths import SearchPaths
from pixaris.search.algorithms import factory, ordering, schedulers
from pixaris.search.algorithms.guided import votes_propose
from pixaris.search.algorithms.raced import RacedSearch
from pixaris.search.algorithms.racing import order_of, races
from pixaris.search.check import CheckedSearch
from pixaris.search.driver.identity import Identity
from pixaris.search.driver.pace import Pace, Situation
from pixaris.search.resume import Earlier
from pixaris.search.settings import SearchSettings
from pixaris.search.size import SearchSize
from pixaris.search.space.space import Space
from pixaris.search.steering.opinion import heard
from pixaris.types import ParamValue


@dataclass(frozen=True)
class Before:
    """What earlier processes did of the search.

    Attributes:
        history: What happened.
        seconds: Wall time that it took.
        images: Images that were made.
    """

    history: History = field(default_factory=History)
    seconds: float = 0.0
    images: int = 0


@dataclass(frozen=True)
class SearchPlan:
    """Everything a search needs, checked and ready.

    Attributes:
        checked: The search.
        setup: Eval set, generator, metrics; ``setup.search`` is the name of the search's folder.
        paths: The search's own folder, which exists.
        handler: Keeps the results of every trial.
        identity: What stays the same when it is resumed.
        before: What earlier processes did of it.
        endpoints: How many endpoints there are, once they are up; the sources may promise more.
        processors: How many Ray has, once it is up; 0 before.
        mirror: Keeps its folder in a bucket; None where that is not wished.
        goes_on: Whether something comes after its trials, so that it has not ended with them.
    """

    checked: CheckedSearch
    setup: RunSetup
    paths: SearchPaths
    handler: ExperimentHandler
    identity: Identity = field(default_factory=Identity)
    before: Before = field(default_factory=Before)
    endpoints: int = 0
    processors: int = 0
    mirror: Mirror | None = None
    goes_on: bool = False

    @property
    def settings(self) -> SearchSettings:
        """What the search is."""
        return self.checked.settings

    @property
    def space(self) -> Space:
        """What varies."""
        return self.checked.space

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised, the leading score first."""
        return self.checked.objectives

    @property
    def size(self) -> SearchSize:
        """Its trials and images."""
        return self.checked.size

    @cached_property
    def baseline(self) -> dict[str, ParamValue]:
        """The workflow's own values of the space's parameters."""
        return self.checked.baseline()

    @property
    def items(self) -> int:
        """Items of the eval set."""
        return len(self.setup.eval_set)

    @property
    def order(self) -> tuple[int, ...]:
        """The order in which every trial goes through the items, as indices."""
        return order_of(self.settings, self.setup.eval_set)

    @cached_property
    def pace(self) -> Pace:
        """How it keeps its endpoints busy."""
        situation = Situation(
            models=self.models_at_once,
            endpoints=self.endpoints,
            processors=self.processors,
            resumed=bool(self.before.history.events),
            pauses=not races(self.settings) and schedulers.pauses(self.scheduler()),
        )
        return Pace(self.checked, situation)

    def admitted(self, endpoints: Sequence[Endpoint]) -> SearchPlan:
        """The plan, held against servers that were started, and made for them.

        Raises:
            ConfigurationError: They lack something that the search needs.
        """
        return replace(self, setup=self.checked.admit(endpoints).setup_in(self.setup.search))

    def on(self, source: EndpointSource) -> SearchPlan:
        """The plan with these endpoints alone."""
        settings = replace(self.checked.settings, sources=(source,))
        return replace(self, checked=replace(self.checked, settings=settings))

    def going_on(self, earlier: Earlier) -> SearchPlan:
        """The plan of a search that goes on with an earlier one, in its folder."""
        manifest, own = earlier.manifest, self.identity
        identity = Identity(manifest.get("id", own.id), manifest.get("proposal_seed", own.proposal_seed))
        made = earlier.images(self.paths.store)
        before = Before(earlier.history, earlier.result.seconds, made)
        return replace(self, identity=identity, before=before)

    def searcher(self) -> Searcher:
        """What proposes the parameter sets, made anew.

        Raises:
            ConfigurationError: It cannot be made of its options, or for this space and these objectives.
        """
        seed, parallel = self.identity.proposal_seed, races(self.settings) or self.pace.concurrent > 1
        context = factory.context_of(self.settings, self.baseline, seed=seed, parallel=parallel)
        if votes_propose(self.settings):
            context = replace(context, heard=heard(read_preferences(self.paths), len(self.space.varying)))
        return factory.make(self.settings.strategy, context)

    def scheduler(self) -> TrialScheduler:
        """What stops trials early, made anew.

        Raises:
            ConfigurationError: It cannot be made of its options, or makes no sense here.
        """
        if races(self.settings):
            made = RacedSearch(
                self.settings, self.order, self.baseline, self.size, self.identity.proposal_seed
            )
            return made.scheduler(self.pace.concurrent)
        return schedulers.make(
            self.settings.strategy,
            items=self.items,
            direction=self.objectives[0].direction,
            objectives=len(self.objectives),
        )

    @cached_property
    def models_at_once(self) -> int:
        """Models that are worked on at the same time, so that each endpoint can stay with its own; 1 if the
        space varies none.
        """
        endpoints = max(sum(source.count for source in self.checked.sources), self.endpoints)
        most = min(endpoints, self.settings.strategy.max_concurrent or endpoints)
        return ordering.models_at_once(self.space, self._deciding, most)

    def by_models(self, sets: Sequence[Mapping[str, ParamValue]]) -> list[int]:
        """The order of parameter sets, as indices, that needs few model loads; the baseline, which has its
        turn first, apart.
        """
        keys = ordering.keys([self.baseline, *sets], self._deciding, self._affinity_key)
        return [index - 1 for index in ordering.by_models(keys, self.models_at_once) if index]

    @cached_property
    def _deciding(self) -> tuple[str, ...]:
        return ordering.deciding(self.space, self.baseline, self._affinity_key)

    def _affinity_key(self, values: Mapping[str, ParamValue]) -> str:
        args = self.setup.args.with_params(self.space.bind(values, partial=True))
        generator, args = choose(self.setup.generator, args)
        if generator.workflow is None:
            return ""
        try:
            return generator.workflow.bind(args.params, generator.object_info).affinity_key(
                generator.object_info
            )
        except ConfigurationError:
            return ""  # only the servers know of such an input, and they have not been asked yet
