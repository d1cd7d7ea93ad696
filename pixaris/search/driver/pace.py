"""How a search keeps its endpoints busy: trials at once, items a step, images queued ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from pixaris.generation.base import makes_itself
from pixaris.metrics.base import COMPUTING
from pixaris.search.algorithms import schedulers
from pixaris.search.algorithms.guided import IN_FLIGHT, guides
from pixaris.search.algorithms.racing import RACE, known_at_start, races
from pixaris.search.check import CheckedSearch

_FOR_SCORING = 4
"""Trials that run at once, at most, only because metrics are slow: each is a process."""

_RACING = 8
"""Trials that race at once, at most, where each has only its own image under way: each is a process."""

_BEYOND_FOR_A_SLOT = 1.5
"""Images that are queued for trials that come, for every slot of the endpoints, where it is known what
comes.
"""

_FIRST_FOR_A_SLOT, _FIRST = 8, 256
"""Images asked for before the trials' processes are up, which takes seconds: for every slot of the endpoints,
and in all.
"""


@dataclass(frozen=True)
class Situation:
    """What the pace depends on besides the search itself.

    Attributes:
        models: Models that are worked on at the same time.
        endpoints: How many endpoints there are, once they are up; 0 before.
        processors: How many Ray has, once it is up; 0 before.
        resumed: Whether the search was begun by an earlier process.
        pauses: Whether the scheduler pauses trials.
    """

    models: int = 1
    endpoints: int = 0
    processors: int = 0
    resumed: bool = False
    pauses: bool = False


class Pace:
    """How many trials run at once, and how far each runs ahead.

    Args:
        checked: The search.
        situation: What else it depends on.
    """

    def __init__(self, checked: CheckedSearch, situation: Situation) -> None:
        self._strategy = checked.settings.strategy
        self._settings = checked.settings
        self._budget = checked.settings.limits.budget
        self._generator = checked.settings.generator
        self._metrics = checked.setup.metrics
        self._items = len(checked.setup.eval_set)
        self._seeds = checked.setup.seeds
        self._trials = checked.size.trials
        self._situation = situation
        self.slots = sum(source.slots for source in checked.sources) or checked.parallel
        if makes_itself(self._generator) and self._generator.uses_endpoints:
            self.slots += checked.parallel

    @cached_property
    def step(self) -> int:
        """Items between two reports of a trial."""
        if self._strategy.scheduler.type == RACE and not self.races:
            return self._items
        return min(self._items, self._strategy.step or schedulers.default_step(self._strategy, self._items))

    @cached_property
    def races(self) -> bool:
        """Whether the sets race: a trial then runs one item at a time, and is told before each."""
        return races(self._settings)

    @property
    def stops(self) -> bool:
        """Whether the scheduler may end a trial early."""
        return self.races or self._strategy.scheduler.type not in ("fifo", RACE)

    @cached_property
    def ahead(self) -> int:
        """Items a trial queues before it is told to go on; none where they cost something and it may be
        stopped instead.
        """
        limits = (self._budget.images, self._budget.endpoint_seconds, self._budget.credits)
        costly = self._generator.charges or any(limit is not None for limit in limits)
        if self.races or (costly and self.stops):
            return 0
        return self.step

    @property
    def known(self) -> bool:
        """Whether all parameter sets are known from the start."""
        return known_at_start(self._settings)

    @cached_property
    def concurrent(self) -> int:
        """Trials at once: a trial keeps two steps' images in flight, so a few trials fill every slot there
        will be.

        Two at least where there are several slots: while one trial scores and reports, the other one
        generates. And one for each of the models that are worked on at the same time. Where metrics wait for
        something else and trials have few images under way, some more: while a trial's last images are
        scored, the others must have images left for every slot. No more than have something to compute with,
        where the slots are kept busy for trials that come (`beyond`).
        """
        if self._strategy.max_concurrent is not None:
            return self._strategy.max_concurrent
        # 1.5 times the slots over the images that a trial has in flight, which are those of two steps.
        filling = math.ceil(3 * self.slots / (2 * 2 * self.step * self._seeds))
        if self.beyond or self.races_ahead:
            filling = min(filling, max(_FOR_SCORING, self._situation.processors))
        elif self.races:
            filling = min(filling, IN_FLIGHT if guides(self._settings) else _RACING)
        wanted = max(min(2, self.slots), filling, self._situation.models)
        if any(metric.parallel > COMPUTING for metric in self._metrics):
            if self.stops:
                kept = min(self._items, 2 * self.step)
            else:
                kept = self._items
            scoring = math.ceil(3 * self.slots / max(1, kept * self._seeds))
            wanted = max(wanted, min(_FOR_SCORING, scoring))
        return min(wanted, self._trials or wanted)

    @cached_property
    def first(self) -> int:
        """Trials whose first images are asked for before their processes are up: enough for every slot to be
        busy till then.

        As many as run at once, or more if it is known what comes after them.
        """
        if not self._prefetches or self.races:
            return 0
        if not self.known:
            return self.concurrent
        wanted = min(_FIRST_FOR_A_SLOT * self.slots, _FIRST)
        return max(self.concurrent, math.ceil(wanted / self._first_images))

    @cached_property
    def beyond(self) -> int:
        """Trials beyond those that run for which images are asked already: enough to keep every slot busy.

        None where it is not known what comes, where it may be stopped, and where the trials at once are
        limited by the user.
        """
        limited = self._strategy.max_concurrent is not None
        if not self._prefetches or not self.known or self.stops or limited:
            return 0
        return math.ceil(_BEYOND_FOR_A_SLOT * self.slots / self._first_images)

    @property
    def races_ahead(self) -> bool:
        """Whether the driver asks for the items that come next in a race."""
        return self.races and self._prefetches

    @property
    def _prefetches(self) -> bool:
        """Whether the driver may queue images for trials.

        Nobody has to be asked first, no trial changes its process, and nobody pays for an image that no trial
        is there to keep if the account is empty before.
        """
        pooled = self._generator.uses_endpoints and not makes_itself(self._generator)
        free = pooled and not self._generator.charges and not self._budget
        return free and not self._situation.resumed and not self._situation.pauses

    @property
    def _first_images(self) -> int:
        return min(self._items, self.step + self.ahead) * self._seeds

    def describe(self) -> str:
        """How many trials run at once and why, in words."""
        if self.concurrent > 1:
            trials = f"{self.concurrent} trials at a time"
        else:
            trials = "one trial at a time"
        if self._strategy.max_concurrent is not None:
            return f"{trials} (as search.max_concurrent says)"
        if self.slots == 1:
            return f"{trials}: the endpoint takes one image at a time"
        where, endpoints = "", self._situation.endpoints
        if endpoints:
            where = f" on {endpoints} endpoint{'s' if endpoints > 1 else ''}"
        return f"{trials}{where} (up to {self.slots} images queued; change with search.max_concurrent)"
