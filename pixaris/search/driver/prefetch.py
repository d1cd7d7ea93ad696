"""The driver's head start: images are asked for while the trials' processes are still coming up, or busy with
other trials.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from pixaris.endpoints.ray import RayPool
from pixaris.exceptions import PixarisError
from pixaris.experiment.scoring import Scorer
from pixaris.experiment.submitters import AHEAD, Submitter, request_of_run
from pixaris.generation.base import ItemArgs
from pixaris.search.driver.trial import TrialRecipe, experiment_run
from pixaris.types import GeneratedImage, ParamValue

log = logging.getLogger(__name__)


class HeadStart:
    """Queues for a trial what it will queue itself: same run, same requests, same name towards the pool.

    Args:
        recipe: What trials are made from; ``head_start`` of them are served, and ``leads`` beyond the newest.
        pool: Expects the first trials, one for each process.
        upcoming: As `Proposals.upcoming`.
    """

    def __init__(
        self,
        recipe: TrialRecipe,
        pool: RayPool,
        upcoming: Callable[[int], Sequence[Mapping[str, ParamValue]]],
    ) -> None:
        self._recipe = recipe
        self._pool = pool
        self._upcoming = upcoming
        self._begun = 0
        self._served = 0
        self._settled = False
        self._scorer = Scorer(())

    def give(self, number: int, values: Mapping[str, ParamValue]) -> None:
        """Queue a new trial's first images, if it is a led one, and those of the trials known to come after
        it.

        The first call returns when the endpoint workers are up: the trials' processes, which start next,
            would keep them from it.
        """
        if self._begun < self._recipe.processes:
            self._begun += 1
            self._pool.expect(self._recipe.run_id(number))
        if self._recipe.is_led(number):
            self._lead(number, values)
        if not self._settled:
            self._pool.wait_for_workers()
            self._settled = True

    def _lead(self, number: int, values: Mapping[str, ParamValue]) -> None:
        led = max(self._recipe.head_start, number + 1 + self._recipe.leads)
        for place, one in enumerate([values, *self._upcoming(led)], number):
            if place >= self._served:
                self._serve(place, one)
                self._served = place + 1

    def _serve(self, number: int, values: Mapping[str, ParamValue]) -> None:
        recipe = self._recipe
        try:
            sender = _Sender(recipe, recipe.run_id(number))
            experiment_run(recipe, recipe.setup, number, values, sender, self._scorer).start_ahead(
                recipe.step + recipe.ahead
            )
        except PixarisError:
            log.debug(
                "no head start for trial %d", number, exc_info=True
            )  # the trial itself will meet it, and tell


class _Sender(Submitter):
    """Sends a run's requests, and leaves it to the trial to collect the images; what is in the cache the
    trial takes itself.
    """

    def __init__(self, recipe: TrialRecipe, run: str) -> None:
        self._recipe = recipe
        self._pool: RayPool = recipe.pool.connect(run)
        self._run = run

    def start(self, items: Sequence[ItemArgs], priority: int) -> list[Future[GeneratedImage]]:
        generator, cache = self._recipe.setup.generator, self._recipe.cache
        requests = [request_of_run(generator.request(args), args, self._run) for args in items]
        missing = [request for request in requests if cache is None or cache.get(request.cache_key) is None]
        if missing:
            self._pool.send(missing, priority=AHEAD)
        return [Future() for _ in requests]

    def hurry(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # the trial does that when it waits

    def withdraw(self, futures: Sequence[Future[GeneratedImage]]) -> None:
        pass  # the pool withdraws what nobody collects
