"""The schedulers that look after every item, made for a search: the race, and the guided one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from pixaris.experiment.setup import directions
from pixaris.results.report import OBJECTIVE
from pixaris.search.algorithms.gp.book import GuidedBook
from pixaris.search.algorithms.gp.guide import Guide
from pixaris.search.algorithms.gp.searcher import GpSearcher
from pixaris.search.algorithms.gp.values import ValueCube
from pixaris.search.algorithms.guided import IN_FLIGHT, guides
from pixaris.search.algorithms.race import RaceScheduler
from pixaris.search.algorithms.race_book import Book, Field, RaceBook, RacedScores
from pixaris.search.algorithms.racing import affordable_items, raced_names, rules_of, side_by_side
from pixaris.search.algorithms.searchers import neutral
from pixaris.search.settings import SearchSettings
from pixaris.search.size import SearchSize, points
from pixaris.statistics.racing.race import Race
from pixaris.types import ParamValue


@dataclass(frozen=True)
class RacedSearch:
    """What a race is made from.

    Attributes:
        settings: The search, whose sets race.
        order: Item indices as every trial goes through them.
        baseline: The workflow's own values.
        size: Trials and images of the whole search.
        seed: Of the proposals.
    """

    settings: SearchSettings
    order: tuple[int, ...]
    baseline: Mapping[str, ParamValue]
    size: SearchSize
    seed: int

    def scheduler(self, processes: int) -> RaceScheduler:
        """Decides after every item, and hands out so many processes."""
        book: Book = self._guided() if guides(self.settings) else self._raced()
        return RaceScheduler(book, processes)

    def _raced(self) -> RaceBook:
        settings, trials, items = self.settings, self.size.trials, len(self.order)
        race = Race(rules_of(settings, items, trials), affordable_items(settings))
        return RaceBook(race, self._scores(), Field(side_by_side(settings, items), trials))

    def _guided(self) -> GuidedBook:
        settings = self.settings
        images, limit = affordable_items(settings), settings.strategy.num_samples
        assert images is not None
        cube = ValueCube(settings.space)
        rules = rules_of(settings, len(self.order), None)
        # The limit counts sets besides the baseline, which is the guide's first row.
        guide = Guide(cube.cube, rules, images, None if limit is None else limit + 1, self.seed)
        first = points(settings.strategy, self.baseline)
        guide.begin([cube.point(self.baseline), *map(cube.point, first)])
        in_flight = int(settings.strategy.algorithm.options.get("in_flight", IN_FLIGHT))
        return GuidedBook(guide, self._scores(), in_flight)

    def _scores(self) -> RacedScores:
        settings = self.settings
        objectives = {objective.metric: objective.direction for objective in settings.objectives()}
        ways = {**directions(settings.metrics), **objectives}
        failures = settings.objective.compared(settings.metrics)
        names = raced_names(settings)
        return RacedScores(
            names,
            tuple(1.0 if ways[name] == "max" else -1.0 for name in names),
            self.order,
            worst=failures.bound if failures.policy == "worst" else None,
        )


def guided_searcher(settings: SearchSettings, scheduler: TrialScheduler) -> Searcher | None:
    """What proposes the sets of a guided search, given its scheduler; None for any other."""
    if not isinstance(scheduler, RaceScheduler) or not isinstance(scheduler.book, GuidedBook):
        return None
    keys = {name: key for key, name in neutral(settings.space).items()}
    direction = settings.objectives()[0].direction
    return GpSearcher(scheduler.book.guide, ValueCube(settings.space), keys, OBJECTIVE, direction)
